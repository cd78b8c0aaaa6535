package parser

import "strings"

// Classify tells the kind of a statement by its tokens alone, for texts TiDB's
// parser rejects. tables are all names that could be tables: more than there
// are, never fewer, so that nobody overlooks a sharded table.
func Classify(sql []byte, mode Mode) (kind Kind, tables []TableName) {
	words, _ := collectTokens(sql, mode, nil)
	c := &classifier{sql: sql, tokens: words, seen: map[TableName]bool{}}
	kind = c.kind()
	switch kind {
	case KindXA, KindBegin, KindCommit, KindRollback, KindSavepoint, KindUse, KindKill:
		return kind, nil
	}
	c.names()
	return kind, c.tables
}

// collectTokens cuts a text into tokens, those within /*! and /*M! comments
// too, as some server may execute them. It stops where the text cannot be
// read.
func collectTokens(sql []byte, mode Mode, out []outlineToken) ([]outlineToken, error) {
	return collectFrom(&scanner{sql: sql, mode: mode, body: true}, out)
}

func collectFrom(sc *scanner, out []outlineToken) ([]outlineToken, error) {
	for {
		t, err := sc.next()
		if err != nil || t.kind == tokenEnd {
			return out, err
		}
		if t.kind == tokenVersioned {
			start := t.start + 3
			for start < t.end-2 && (sc.sql[start] == '!' || charClass[sc.sql[start]]&charDigit != 0) {
				start++
			}
			inner := &scanner{sql: sc.sql[:t.end-2], pos: start, mode: sc.mode, body: sc.body}
			if out, err = collectFrom(inner, out); err != nil {
				return out, err
			}
			continue
		}
		ot := outlineToken{token: t}
		dotted := len(out) > 0 && sc.sql[out[len(out)-1].start] == '.'
		if t.kind == tokenWord && !dotted {
			ot.kw = keywordOf(sc.sql[t.start:t.end])
		}
		out = append(out, ot)
	}
}

type classifier struct {
	sql    []byte
	tokens []outlineToken
	tables []TableName
	seen   map[TableName]bool
}

// word is token i in upper case, empty if it is no word.
func (c *classifier) word(i int) string {
	if i >= len(c.tokens) || c.tokens[i].kind != tokenWord {
		return ""
	}
	t := c.tokens[i]
	return strings.ToUpper(string(c.sql[t.start:t.end]))
}

// firstWords are the kinds that the first word alone decides.
var firstWords = map[string]Kind{
	"SELECT": KindSelect, "VALUES": KindSelect, "TABLE": KindSelect,
	"INSERT": KindInsert, "REPLACE": KindInsert, "UPDATE": KindUpdate, "DELETE": KindDelete,
	"TRUNCATE": KindDDL, "COMMIT": KindCommit, "SAVEPOINT": KindSavepoint, "RELEASE": KindSavepoint,
	"USE": KindUse, "SHOW": KindShow, "EXPLAIN": KindExplain, "DESCRIBE": KindExplain, "DESC": KindExplain,
	"KILL": KindKill, "UNLOCK": KindLock, "CALL": KindCall, "DO": KindDo, "PREPARE": KindPrepare,
	"EXECUTE": KindPrepare, "DEALLOCATE": KindPrepare, "LOAD": KindLoad, "IMPORT": KindAdmin, "XA": KindXA,
	"CHECK": KindAdmin, "CHECKSUM": KindAdmin, "REPAIR": KindAdmin, "OPTIMIZE": KindAdmin, "FLUSH": KindAdmin,
	"GRANT": KindAdmin, "REVOKE": KindAdmin, "RESET": KindAdmin, "PURGE": KindAdmin, "CHANGE": KindAdmin,
	"STOP": KindAdmin, "INSTALL": KindAdmin, "UNINSTALL": KindAdmin, "SHUTDOWN": KindAdmin,
	"RESTART": KindAdmin, "BINLOG": KindAdmin, "CACHE": KindAdmin, "BACKUP": KindAdmin, "CLONE": KindAdmin,
}

func (c *classifier) kind() Kind {
	i := 0
	for i < len(c.tokens) && (c.tokens[i].kind == tokenHint || c.sql[c.tokens[i].start] == '(') {
		i++
	}
	first, second := c.word(i), c.word(i+1)
	if k, ok := firstWords[first]; ok {
		return k
	}
	switch first {
	case "WITH":
		return c.kindOfWith(i)
	case "CREATE", "ALTER", "DROP", "RENAME":
		return c.kindOfDDL(i + 1)
	case "BEGIN":
		if second == "NOT" { // BEGIN NOT ATOMIC, MariaDB's block of statements
			return KindOther
		}
		return KindBegin
	case "START":
		if second == "TRANSACTION" {
			return KindBegin
		}
		return KindAdmin
	case "ROLLBACK":
		if second == "TO" || second == "WORK" && c.word(i+2) == "TO" {
			return KindSavepoint
		}
		return KindRollback
	case "SET":
		if second == "STATEMENT" { // MariaDB: SET STATEMENT … FOR <any statement>
			return KindOther
		}
		return KindSet
	case "LOCK":
		if second == "INSTANCE" {
			return KindAdmin
		}
		return KindLock
	case "ANALYZE":
		for j := i + 1; j < i+3; j++ {
			if c.word(j) == "TABLE" || c.word(j) == "TABLES" {
				return KindAdmin
			}
		}
		return KindExplain
	}
	return KindOther
}

// kindOfWith looks for the statement behind the CTEs.
func (c *classifier) kindOfWith(i int) Kind {
	depth := 0
	for ; i < len(c.tokens); i++ {
		switch c.sql[c.tokens[i].start] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth > 0 {
			continue
		}
		switch c.tokens[i].kw {
		case kwUpdate:
			return KindUpdate
		case kwDelete:
			return KindDelete
		case kwInsert, kwReplace:
			return KindInsert
		case kwSelect:
			return KindSelect
		}
	}
	return KindSelect
}

// kindOfDDL tells accounts and prepared statements from schema objects.
func (c *classifier) kindOfDDL(i int) Kind {
	for ; i < len(c.tokens); i++ {
		switch w := c.word(i); w {
		case "OR", "REPLACE", "IF", "NOT", "EXISTS":
		case "PREPARE":
			return KindPrepare
		case "USER", "ROLE", "INSTANCE", "SERVER", "RESOURCE":
			return KindAdmin
		default:
			return KindDDL
		}
	}
	return KindDDL
}

// names collects every name that could be a table: of a.b both the table b of
// database a and the table a.
func (c *classifier) names() {
	for i := 0; i < len(c.tokens); i++ {
		first, ok := c.name(i)
		if !ok {
			continue
		}
		if c.dot(i + 1) {
			if second, ok := c.name(i + 2); ok {
				c.add(TableName{Schema: first, Table: second})
				if c.dot(i + 3) {
					i += 4
					continue
				}
				i += 2
			} else {
				i += 2 // a.*
			}
		}
		c.add(TableName{Table: first})
	}
}

func (c *classifier) dot(i int) bool {
	return i < len(c.tokens) && c.tokens[i].kind == tokenPunct && c.sql[c.tokens[i].start] == '.'
}

func (c *classifier) name(i int) (string, bool) {
	if i >= len(c.tokens) {
		return "", false
	}
	t := c.tokens[i]
	text := string(c.sql[t.start:t.end])
	switch t.kind {
	case tokenWord:
		return text, t.kw == kwNone || !reservedHere(t.kw)
	case tokenName:
		return strings.ReplaceAll(text[1:len(text)-1], text[:1]+text[:1], text[:1]), true
	}
	return "", false
}

func (c *classifier) add(t TableName) {
	if !c.seen[t] {
		c.seen[t] = true
		c.tables = append(c.tables, t)
	}
}
