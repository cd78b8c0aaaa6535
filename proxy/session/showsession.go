package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/topology"
)

// SHOW VARIABLES and SHOW GRANTS: what a server would answer is in part about
// the connection Serval has there and about Serval's own account.

// ownVariables are those whose value is the session's, not a connection's.
var ownVariables = []string{
	"autocommit", "identity", "last_insert_id", "pseudo_thread_id", "warning_count", "error_count", "in_transaction",
	"serval_consistency", "serval_transaction", "serval_timeout", "serval_max_rows",
}

// showVariables answers SHOW [SESSION|LOCAL] VARIABLES [LIKE …|WHERE …] by a query
// of the server's own, with the session's values put in. tokens[at] is VARIABLES.
func (s *Session) showVariables(ctx context.Context, text string, tokens []token, at int) (bool, error) {
	info := s.deps.Catalog.Load().Information
	if info == nil {
		return false, nil
	}
	table, name, value, end := "performance_schema.session_variables", "VARIABLE_NAME", "CASE VARIABLE_NAME", ""
	if info.Flavor == topology.FlavorMariaDB {
		table, name, value, end = "information_schema.SESSION_VARIABLES", "IFNULL(LOWER(VARIABLE_NAME), '')", "IFNULL(CASE LOWER(VARIABLE_NAME)", ", '')"
	}
	filter, ok := showFilter(text, tokens[at+1:])
	if !ok {
		return false, nil
	}
	cases, added := "", ""
	for _, v := range ownVariables {
		own, n := s.sessionVariable([]token{{Kind: tokenOther, Text: "@@"}, {Kind: tokenWord, Text: v}})
		if n == 0 {
			continue
		}
		shown := string(own.text)
		if v == "autocommit" {
			shown = map[string]string{"1": "ON", "0": "OFF"}[shown]
		}
		cases += " WHEN " + quoteText(v) + " THEN " + quoteText(shown)
		if isOption(v) && (filter == "" || strings.Contains(strings.ToLower(filter), "serval")) { // it changes the columns' types
			added += " UNION ALL SELECT " + quoteText(v) + ", " + quoteText(shown)
		}
	}
	sql := "SELECT /*+ SERVAL(primary) */ Variable_name, Value FROM (SELECT " + name + " AS Variable_name, " + value + cases +
		" ELSE VARIABLE_VALUE END" + end + " AS Value FROM " + table + added + ") AS v" + filter + " ORDER BY Variable_name"
	return true, s.runInstead(ctx, sql)
}

// showFilter is SHOW's LIKE or WHERE as a query's WHERE, empty for none.
func showFilter(text string, rest []token) (filter string, ok bool) {
	switch {
	case len(rest) == 0:
		return "", true
	case rest[0].is("LIKE"):
		return " WHERE Variable_name " + text[rest[0].Start:rest[len(rest)-1].End], true
	case rest[0].is("WHERE"):
		return " " + text[rest[0].Start:rest[len(rest)-1].End], true
	}
	return "", false
}

// runInstead runs a query of Serval's own words.
func (s *Session) runInstead(ctx context.Context, sql string) error {
	q := prepared{text: []byte(sql)}
	if err := s.lexer.Fingerprint(q.text, s.settings.mode, &q.fp); err != nil {
		return err
	}
	e, err := s.planNew(s.deps.Catalog.Load(), q.text)
	if err != nil {
		return s.failed(ctx, err)
	}
	e.tables, e.kind = nil, parser.KindShow // whatever they are, they tell of this session only
	args := textArgs{text: q.text, literals: q.fp.Literals, mode: s.settings.mode}
	if !s.binary {
		return s.dispatch(ctx, e, &args, nil)
	}
	q.args = preparedArgs{textArgs: args}
	for range q.fp.Literals {
		q.args.marker = append(q.args.marker, -1)
	}
	return s.dispatch(ctx, e, &q.args, &q.args)
}

// showGrants answers SHOW GRANTS [FOR CURRENT_USER[()]] with what Serval lets
// the user do.
func (s *Session) showGrants(tokens []token) (bool, error) {
	rest := tokens[2:]
	own := len(rest) == 0 || rest[0].is("FOR") && len(rest) > 1 && rest[1].is("CURRENT_USER")
	u := s.c.User
	if !own {
		if len(u.Schemas) == 0 {
			return false, nil
		}
		return true, sqlerr.New(errSpecificAccessDenied, "Access denied; user '%s' may only see the own grants", u.Name)
	}
	what := "ALL PRIVILEGES"
	if u.ReadOnly {
		what = "SELECT, SHOW VIEW"
	}
	to := " TO " + sqlval.QuoteName(u.Name) + "@`%`"
	var rows [][][]byte
	if len(u.Schemas) == 0 {
		rows = append(rows, [][]byte{[]byte("GRANT " + what + " ON *.*" + to)})
	} else {
		rows = append(rows, [][]byte{[]byte("GRANT USAGE ON *.*" + to)})
	}
	for _, schema := range u.Schemas {
		rows = append(rows, [][]byte{[]byte("GRANT " + what + " ON " + sqlval.QuoteName(schema) + ".*" + to)})
	}
	s.table([]column{{name: fmt.Sprintf("Grants for %s@%%", u.Name)}}, rows)
	return true, nil
}

// ofServer reports a SHOW that tells of the server as a whole, which a user of
// some schemas may not see.
func ofServer(tokens []token) string {
	if len(tokens) < 2 || !tokens[0].is("SHOW") {
		return ""
	}
	for _, word := range [...]string{"ENGINE", "BINARY", "BINLOG", "MASTER", "REPLICA", "REPLICAS", "SLAVE", "RELAYLOG", "ALL"} {
		if tokens[1].is(word) {
			return strings.ToUpper("SHOW " + word)
		}
	}
	return ""
}
