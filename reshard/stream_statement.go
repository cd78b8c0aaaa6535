package reshard

import (
	"strings"
)

// effect is what a statement of the binlog is to a stream.
type effect uint8

const (
	// beginsTransaction: what follows, up to its end, is one transaction.
	beginsTransaction effect = iota
	// endsTransaction: a COMMIT, or a ROLLBACK of what cannot be rolled back.
	endsTransaction
	// inTransaction: a savepoint, XA END: the transaction goes on.
	inTransaction
	// commitsXA and rollsBackXA end a prepared transaction.
	commitsXA
	rollsBackXA
	// harmless: a definition or an account statement that changes no rows and no
	// table that is moved.
	harmless
	// defines: a definition of a table or database.
	defines
	// writes: a change of rows that was not logged by rows.
	writes
)

// words are the bare words of a statement, without comments; names in backticks
// and strings are one word each, and dots stand alone.
func words(sql string, most int) []string {
	var out []string
	for len(sql) > 0 && len(out) < most {
		switch c := sql[0]; {
		case c == '/' && strings.HasPrefix(sql, "/*"):
			end := strings.Index(sql, "*/")
			if strings.HasPrefix(sql, "/*!") || strings.HasPrefix(sql, "/*M!") { // its text counts
				sql = strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(sql, "/*M!"), "/*!"), "0123456789")
				continue
			}
			if end < 0 {
				return out
			}
			sql = sql[end+2:]
		case c == '#' || strings.HasPrefix(sql, "-- "):
			_, sql, _ = strings.Cut(sql, "\n")
		case c == '`' || c == '\'' || c == '"':
			var word string
			word, sql = quotedWord(sql)
			out = append(out, word)
		case isWordByte(c):
			n := 1
			for n < len(sql) && isWordByte(sql[n]) {
				n++
			}
			out = append(out, sql[:n])
			sql = sql[n:]
		case c == '.':
			out = append(out, ".")
			sql = sql[1:]
		default:
			sql = sql[1:]
		}
	}
	return out
}

func quotedWord(sql string) (word, rest string) {
	quote := sql[0]
	var b strings.Builder
	for i := 1; i < len(sql); i++ {
		switch {
		case sql[i] == '\\' && quote != '`' && i+1 < len(sql):
			i++
			b.WriteByte(sql[i])
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
			b.WriteByte(quote)
		case sql[i] == quote:
			return b.String(), sql[i+1:]
		default:
			b.WriteByte(sql[i])
		}
	}
	return b.String(), ""
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// effectOf reads what kind of statement the binlog has.
func effectOf(w []string) effect {
	word := func(i int) string {
		if i < len(w) {
			return strings.ToUpper(w[i])
		}
		return ""
	}
	switch word(0) {
	case "BEGIN", "START":
		return beginsTransaction
	case "COMMIT":
		return endsTransaction
	case "ROLLBACK":
		if word(1) == "TO" || word(1) == "WORK" && word(2) == "TO" {
			return inTransaction
		}
		return endsTransaction
	case "SAVEPOINT", "RELEASE":
		return inTransaction
	case "XA":
		switch word(1) {
		case "START", "BEGIN":
			return beginsTransaction
		case "COMMIT":
			return commitsXA
		case "ROLLBACK":
			return rollsBackXA
		}
		return inTransaction
	case "INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "CALL", "WITH":
		return writes
	case "ALTER", "DROP", "RENAME", "TRUNCATE", "CREATE":
		return definition(word)
	}
	return harmless
}

// definition tells definitions of tables from those of other things.
func definition(word func(int) string) effect {
	for i := 1; i < 8; i++ {
		switch word(i) {
		case "TABLE", "TABLES", "INDEX", "DATABASE", "SCHEMA", "TRIGGER":
			if word(0) == "CREATE" && (word(i) == "DATABASE" || word(i) == "SCHEMA") {
				return harmless
			}
			return defines
		case "TEMPORARY", "USER", "ROLE", "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "SERVER", "SEQUENCE":
			return harmless
		}
	}
	if word(0) == "TRUNCATE" || word(0) == "ALTER" {
		return defines // TRUNCATE t
	}
	return harmless
}

// names: one of the words is the table, and where a database stands before it, it
// is the right one; without, the statement ran in it.
func names(w []string, current, database, table string) bool {
	for i, word := range w {
		if !strings.EqualFold(word, table) {
			continue
		}
		switch {
		case i >= 2 && w[i-1] == ".":
			if strings.EqualFold(w[i-2], database) {
				return true
			}
		case strings.EqualFold(current, database):
			return true
		}
	}
	return false
}

// namesDatabase: one of the words is the database itself (DROP DATABASE, ALTER
// DATABASE).
func namesDatabase(w []string, database string) bool {
	for i := 1; i < len(w); i++ {
		if strings.EqualFold(w[i], database) && (i+1 == len(w) || w[i+1] != ".") {
			return true
		}
	}
	return false
}

// forbids says why a stream cannot go on behind a statement, or nothing.
func forbids(w []string, e effect, current, database, table string) string {
	switch e {
	case writes:
		if names(w, current, database, table) {
			return "a change of its rows is in the binlog as a statement, not as rows (binlog_format has to be ROW)"
		}
	case defines:
		upper := strings.ToUpper(w[0])
		if upper == "CREATE" && len(w) > 1 && strings.EqualFold(w[1], "TABLE") {
			return "" // what could be created was not there: the table of a new period
		}
		if upper == "CREATE" && len(w) > 1 && !strings.EqualFold(w[1], "TRIGGER") {
			w = upToLike(w)
		}
		if names(w, current, database, table) {
			return "it was changed by " + excerpt(w)
		}
		if upper == "DROP" && len(w) > 1 && (strings.EqualFold(w[1], "DATABASE") || strings.EqualFold(w[1], "SCHEMA")) && namesDatabase(w, database) {
			return "its database was dropped"
		}
	case beginsTransaction, endsTransaction, inTransaction, commitsXA, rollsBackXA, harmless:
	}
	return ""
}

// upToLike cuts a CREATE TABLE before what it only reads; of a CREATE INDEX nothing.
func upToLike(w []string) []string {
	for i, word := range w {
		if strings.EqualFold(word, "LIKE") || strings.EqualFold(word, "SELECT") || strings.EqualFold(word, "REFERENCES") {
			return w[:i]
		}
	}
	return w
}

func excerpt(w []string) string {
	const most = 8
	if len(w) > most {
		w = append(w[:most:most], "…")
	}
	return strings.ReplaceAll(strings.Join(w, " "), " . ", ".")
}
