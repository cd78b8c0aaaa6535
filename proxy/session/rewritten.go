package session

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
)

// rewritten is a statement about definitions in words that the router knows:
// DESCRIBE t 'pattern', SHOW EXTENDED TABLES, whose further rows are what ALTER
// TABLE left of a crash, and what asks for Serval's own tables.
func (s *Session) rewritten(tokens []token, text string) (string, bool) {
	switch n := len(tokens); {
	case tokens[0].is("SHOW"):
		return s.rewrittenShow(tokens, text)
	case !tokens[0].is("DESCRIBE") && !tokens[0].is("DESC") && !tokens[0].is("EXPLAIN"):
		return "", false
	case n > 1 && tokens[1].Kind != tokenWord && tokens[1].Kind != tokenName:
		return "", false
	case n > 2 && tokens[n-1].Kind == tokenString && (n == 3 || n == 5 && tokens[2].op(".")):
		return "SHOW COLUMNS FROM " + text[tokens[1].Start:tokens[n-2].End] + " LIKE " + tokens[n-1].Text, true
	case n == 4 && tokens[2].op("."):
		return s.ownColumns(tokens[1].name(), tokens[3].name(), false, "")
	case n == 2:
		return s.ownColumns(s.settings.db, tokens[1].name(), false, "")
	}
	return "", false
}

func (s *Session) rewrittenShow(tokens []token, text string) (string, bool) {
	rest, extended, full := tokens[1:], false, false
	if extended = len(rest) > 0 && rest[0].is("EXTENDED"); extended {
		rest = rest[1:]
	}
	if full = len(rest) > 0 && rest[0].is("FULL"); full {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return "", false
	}
	what, db := rest[0], s.settings.db
	rest = rest[1:]
	switch {
	case what.is("TABLES"):
		if len(rest) > 1 && (rest[0].is("FROM") || rest[0].is("IN")) {
			db, rest = rest[1].name(), rest[2:]
		}
		if strings.EqualFold(db, ownSchema) {
			return s.ownTables(full, filter(rest, text))
		}
		if extended && !s.onMariaDB() {
			return "SHOW " + text[tokens[2].Start:tokens[len(tokens)-1].End], true
		}
	case (what.is("COLUMNS") || what.is("FIELDS")) && len(rest) > 1:
		table := rest[1].name()
		if rest = rest[2:]; len(rest) > 1 && rest[0].op(".") {
			db, table, rest = table, rest[1].name(), rest[2:]
		}
		if len(rest) > 1 && (rest[0].is("FROM") || rest[0].is("IN")) {
			db, rest = rest[1].name(), rest[2:]
		}
		return s.ownColumns(db, table, full, filter(rest, text))
	}
	return "", false
}

// filter is the LIKE or WHERE at a statement's end.
func filter(tokens []token, text string) string {
	if len(tokens) == 0 {
		return ""
	}
	return text[tokens[0].Start:tokens[len(tokens)-1].End]
}

// ownTables is SHOW TABLES of Serval's own schema as a query.
func (s *Session) ownTables(full bool, filter string) (string, bool) {
	if s.deps.Own == nil || !allowed(s.c.User, ownSchema) {
		return "", false
	}
	columns := []string{"Tables_in_" + ownSchema}
	if full {
		columns = append(columns, "Table_type")
	}
	var rows [][]string
	for _, name := range s.deps.Own.Names() {
		rows = append(rows, []string{name, "VIEW"})
	}
	return constants(columns, rows, filter), true
}

// ownColumns is SHOW COLUMNS of one of Serval's own tables as a query; not ok
// where it is none.
func (s *Session) ownColumns(db, table string, full bool, filter string) (string, bool) {
	if !strings.EqualFold(db, ownSchema) || s.deps.Own == nil || !allowed(s.c.User, ownSchema) {
		return "", false
	}
	_, names, ok := s.deps.Own.Query(table)
	if !ok {
		return "", false
	}
	columns := []string{"Field", "Type", "Null", "Key", "Default", "Extra"}
	if full {
		columns = []string{"Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"}
	}
	var rows [][]string
	for i, t := range s.deps.Own.Types(table) {
		row := []string{names[i], t, "YES", "", nullText, ""}
		if full {
			collation := nullText
			if strings.HasPrefix(t, "varchar") {
				collation = "utf8mb4_general_ci"
			}
			row = []string{names[i], t, collation, "YES", "", nullText, "", "select", ""}
		}
		rows = append(rows, row)
	}
	return constants(columns, rows, filter), true
}

// constants is a SELECT of rows that stand in it; filter is SHOW's. None of the
// texts has a quote.
func constants(columns []string, rows [][]string, filter string) string {
	var b strings.Builder
	b.WriteString("SELECT * FROM (")
	for i, row := range rows {
		b.WriteString(pickWord(i > 0, " UNION ALL SELECT ", "SELECT "))
		for k, name := range columns {
			value := "'" + row[k] + "'"
			if row[k] == nullText {
				value = nullText
			}
			b.WriteString(pickWord(k > 0, ", ", "") + value + " AS " + sqlval.QuoteName(name))
		}
	}
	b.WriteString(") AS t")
	if len(filter) > 4 && strings.EqualFold(filter[:4], "LIKE") {
		filter = "WHERE " + sqlval.QuoteName(columns[0]) + " " + filter
	}
	return b.String() + pickWord(filter == "", "", " "+filter)
}

func pickWord(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// skipped: the statement is a version comment as a whole, and the servers skip
// it: MySQL what is MariaDB's or newer than itself, MariaDB also what dumps of
// MySQL 5.7 and later have.
func (s *Session) skipped(text []byte) bool {
	text = bytes.TrimSpace(text)
	if len(text) < 4 || text[0] != '/' || text[1] != '*' || bytes.Index(text, []byte("*/")) != len(text)-2 {
		return false
	}
	number, mariadb := bytes.CutPrefix(text[2:], []byte("M!"))
	if !mariadb {
		var versioned bool
		if number, versioned = bytes.CutPrefix(text[2:], []byte("!")); !versioned {
			return false
		}
	}
	digits := 0
	for digits < min(len(number), 6) && number[digits] >= '0' && number[digits] <= '9' {
		digits++
	}
	wants, _ := strconv.Atoi(string(number[:digits])) // none: any version
	have := serverVersion(s.deps.Version)
	newer := have > 0 && wants > have
	if !s.onMariaDB() {
		return mariadb || newer
	}
	return newer || !mariadb && wants >= 50700 && wants <= 99999
}

// serverVersion is 8.4.10 as 80410, 0 where it is no version.
func serverVersion(version string) int {
	var major, minor, patch int
	version = strings.TrimPrefix(version, "5.5.5-") // what MariaDB puts in front
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n < 3 {
		return 0
	}
	return (major*100+minor)*100 + patch
}
