package session

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
)

// assignmentKind is what one part of a SET statement sets.
type assignmentKind uint8

const (
	// assignSystem: a session system variable.
	assignSystem assignmentKind = iota
	// assignUser: a user variable, @x.
	assignUser
	// assignNames: NAMES, CHARACTER SET.
	assignNames
	// assignTransaction: [SESSION] TRANSACTION ISOLATION LEVEL and access mode.
	assignTransaction
)

// assignment is one part of a SET statement.
type assignment struct {
	Kind assignmentKind
	// Name is the variable's, lower case, without @.
	Name string
	// Value is the text right of the =, or all of NAMES …, TRANSACTION ….
	Value string
	// SQL is the whole part as written.
	SQL string
	// Next: SET TRANSACTION without SESSION, which is for the next
	// transaction only.
	Next bool
	// tokens of Value.
	tokens []token
}

// parseSet reads a SET statement. What changes more than the session is
// refused by name.
func parseSet(text string, mode parser.Mode) ([]assignment, error) {
	tokens := scan(text, mode)
	if n := len(tokens); n > 0 && tokens[n-1].op(";") {
		tokens = tokens[:n-1]
	}
	if len(tokens) < 2 || !tokens[0].is("SET") {
		return nil, syntaxError(text)
	}
	tokens = tokens[1:]
	if err := refusedSet(tokens); err != nil {
		return nil, err
	}
	var out []assignment
	for len(tokens) > 0 {
		part, rest := cutAtComma(tokens)
		if len(out) == 0 && transactionWords(part) {
			// The comma in SET TRANSACTION parts characteristics.
			part, rest = tokens, nil
		}
		a, err := parseAssignment(text, part)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
		tokens = rest
	}
	return out, nil
}

// cutAtComma cuts at the first comma outside parentheses.
func cutAtComma(tokens []token) (part, rest []token) {
	depth := 0
	for i, t := range tokens {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case t.op(",") && depth == 0:
			return tokens[:i], tokens[i+1:]
		}
	}
	return tokens, nil
}

func refusedSet(tokens []token) error {
	switch {
	case tokens[0].is("PASSWORD"):
		return sqlerr.Refuse("SET PASSWORD", "users of Serval are in its configuration", "change the password there")
	case tokens[0].is("ROLE") || tokens[0].is("DEFAULT") && len(tokens) > 1 && tokens[1].is("ROLE"):
		return sqlerr.Refuse("SET ROLE", "roles are of the account on the servers, which all users share", "")
	case tokens[0].is("RESOURCE"):
		return sqlerr.Refuse("SET RESOURCE GROUP", "connections to the servers are shared", "")
	case tokens[0].is("STATEMENT"): // MariaDB's, and see setFor
		return syntaxError(words(tokens))
	}
	return nil
}

func transactionWords(tokens []token) bool {
	if len(tokens) > 1 && (tokens[0].is("SESSION") || tokens[0].is("LOCAL") || tokens[0].is("GLOBAL")) {
		tokens = tokens[1:]
	}
	return len(tokens) > 1 && tokens[0].is("TRANSACTION") && !isAssign(tokens[1])
}

func isAssign(t token) bool { return t.op("=") || t.op(":=") }

func parseAssignment(text string, tokens []token) (assignment, error) {
	if len(tokens) == 0 {
		return assignment{}, syntaxError(text)
	}
	whole := text[tokens[0].Start:tokens[len(tokens)-1].End]
	switch {
	case transactionWords(tokens):
		return parseSetTransaction(text, tokens)
	case tokens[0].is("NAMES") || tokens[0].is("CHARSET"),
		tokens[0].is("CHARACTER") && len(tokens) > 1 && tokens[1].is("SET"):
		return assignment{Kind: assignNames, Name: "names", Value: whole, SQL: whole, tokens: tokens}, nil
	}
	scope, name, rest := assignmentName(tokens)
	if name == "" || len(rest) < 2 || !isAssign(rest[0]) {
		return assignment{}, syntaxError(text)
	}
	switch scope {
	case "GLOBAL", "PERSIST", "PERSIST_ONLY":
		return assignment{}, refuseGlobal(scope, name)
	}
	a := assignment{
		Kind: assignSystem, Name: strings.ToLower(name), SQL: whole,
		Value: text[rest[1].Start:rest[len(rest)-1].End], tokens: rest[1:],
	}
	if scope == "@" {
		a.Kind = assignUser
		return a, nil
	}
	return a, refuseLogged(a.Name)
}

// refuseLogged refuses what decides how writes are logged and replicated, which
// an account of an application may not set on a server either; Serval's may.
func refuseLogged(name string) error {
	switch name {
	case "sql_log_bin", "binlog_format", "binlog_row_image", "gtid_next", "gtid_domain_id", "gtid_seq_no", "server_id", "skip_replication",
		"pseudo_thread_id", "pseudo_slave_mode", "pseudo_replica_mode", "original_commit_timestamp", "original_server_version",
		"immediate_server_version", "rbr_exec_mode", "wsrep_on", "xa_detach_on_prepare":
		return sqlerr.Refuse("SET "+name, "replicas, and whoever follows the binary log, rely on it", "")
	}
	return nil
}

func refuseGlobal(scope, name string) error {
	return sqlerr.Refuse("SET "+scope+" "+name, "it would change one server for everybody and the others not",
		"set it on each server, or for the session with SET "+name+" = …")
}

// assignmentName reads "@x", "@@x", "@@global.x", "GLOBAL x", "x".
func assignmentName(tokens []token) (scope, name string, rest []token) {
	switch {
	case tokens[0].op("@") && len(tokens) > 1:
		name, rest = userVarName(tokens)
		return "@", name, rest
	case tokens[0].op("@@") && len(tokens) > 3 && tokens[2].op("."):
		return strings.ToUpper(tokens[1].Text), tokens[3].name(), tokens[4:]
	case tokens[0].op("@@") && len(tokens) > 1:
		return "", tokens[1].name(), tokens[2:]
	case len(tokens) > 1 && tokens[0].Kind == tokenWord && !isAssign(tokens[1]) && !tokens[1].op("."):
		return strings.ToUpper(tokens[0].Text), tokens[1].name(), tokens[2:]
	}
	return "", tokens[0].name(), tokens[1:]
}

// userVarName reads @x, @`x`, @'x', @x.y; dots are part of the name.
func userVarName(tokens []token) (name string, rest []token) {
	name, rest = tokens[1].name(), tokens[2:]
	for len(rest) > 1 && rest[0].op(".") && rest[1].Kind == tokenWord {
		name += "." + rest[1].Text
		rest = rest[2:]
	}
	return name, rest
}

// parseSetTransaction reads [SESSION|LOCAL] TRANSACTION characteristics.
func parseSetTransaction(text string, tokens []token) (assignment, error) {
	a := assignment{Kind: assignTransaction, Name: "transaction", SQL: text[tokens[0].Start:tokens[len(tokens)-1].End], Next: true}
	switch {
	case tokens[0].is("GLOBAL"):
		return a, refuseGlobal("GLOBAL", "TRANSACTION")
	case tokens[0].is("SESSION") || tokens[0].is("LOCAL"):
		a.Next, tokens = false, tokens[1:]
	}
	a.tokens = tokens[1:]
	a.Value = text[tokens[1].Start:tokens[len(tokens)-1].End]
	return a, nil
}

// characteristics are the level and access mode of SET TRANSACTION.
func (a assignment) characteristics() (isolation, access string, ok bool) {
	for rest := a.tokens; len(rest) > 0; {
		var part []token
		part, rest = cutAtComma(rest)
		words := make([]string, len(part))
		for i, t := range part {
			words[i] = strings.ToUpper(t.Text)
		}
		switch s := strings.Join(words, " "); s {
		case "READ ONLY", "READ WRITE":
			access = s
		case "ISOLATION LEVEL READ UNCOMMITTED", "ISOLATION LEVEL READ COMMITTED",
			"ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE":
			isolation = strings.TrimPrefix(s, "ISOLATION LEVEL ")
		default:
			return "", "", false
		}
	}
	return isolation, access, true
}

func syntaxError(text string) error {
	const shown = 80
	if len(text) > shown {
		text = text[:shown]
	}
	return sqlerr.New(sqlerr.Parse, "You have an error in your SQL syntax near '%s'", text)
}
