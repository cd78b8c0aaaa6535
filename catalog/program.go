package catalog

import (
	"regexp"
	"slices"
	"strings"

	"github.com/servaldb/serval/shardrule"
)

// Strays are what stands in databases at their home and names tables whose rows
// are, or must be written, elsewhere: it would see, or change, a table of that name
// left over there.
type Strays struct {
	// Functions and Views by name; Triggers by the table that they are of.
	Functions, Views, Triggers map[ViewName]Stray
}

// Stray is one of them.
type Stray struct {
	// Name of the trigger, or of the function or view itself.
	Name string
	// Table that it, or what it calls or reads, names.
	Table string
}

// Program is a stored program or view as a server keeps it.
type Program struct {
	// Kind is FUNCTION, PROCEDURE, TRIGGER or VIEW.
	Kind, Schema, Name string
	// On is the table that a trigger is of.
	On   string
	Text string
}

// StraysOf finds those of the programs that name tables of other servers, or
// anything that does.
func (c *Catalog) StraysOf(programs []Program) Strays {
	s := Strays{Functions: map[ViewName]Stray{}, Views: map[ViewName]Stray{}, Triggers: map[ViewName]Stray{}}
	stray := make([]string, len(programs)) // the table each of them names
	names := map[string]string{}           // of those that others may call or read
	note := func(i int, table string) {
		p := &programs[i]
		stray[i] = table
		switch at := (Stray{p.Name, table}); p.Kind {
		case "FUNCTION":
			s.Functions[c.nameOf(p.Schema, p.Name)] = at
		case "VIEW":
			s.Views[c.nameOf(p.Schema, p.Name)] = at
		case "TRIGGER":
			s.Triggers[c.nameOf(p.Schema, p.On)] = at
			return
		}
		names[strings.ToLower(p.Name)] = table
	}
	for i, p := range programs {
		if t := c.NamedBy(p.Schema, p.Text); t != nil {
			note(i, t.Name)
		}
	}
	for more := len(names) > 0; more; {
		more = false
		for i, p := range programs {
			if table := namesAny(p.Text, names); stray[i] == "" && table != "" {
				note(i, table)
				more = true
			}
		}
	}
	return s
}

// namesAny is what the first of the names that a text has stands for.
func namesAny(text string, names map[string]string) string {
	for _, w := range programToken.FindAllString(text, -1) {
		if of := names[strings.ToLower(unquoted(w))]; of != "" {
			return of
		}
	}
	return ""
}

func (c *Catalog) nameOf(schema, name string) ViewName {
	if c.FoldNames {
		schema = strings.ToLower(schema)
	}
	return ViewName{schema, strings.ToLower(name)}
}

// Stray finds a function, view or a table's trigger in one of the maps. Upper and lower case are one:
// functions have no case, and of views it is rather one too many.
func (c *Catalog) Stray(in map[ViewName]Stray, schema, name string) (Stray, bool) {
	if len(in) == 0 {
		return Stray{}, false
	}
	s, ok := in[c.nameOf(schema, name)]
	return s, ok
}

var (
	programToken   = regexp.MustCompile("`(?:[^`]|``)+`|[\\w$\u0080-\U0010ffff]+|[(),;.]")
	programComment = regexp.MustCompile(`(?s)/\*[^!M].*?\*/`)
)

// beforeTable are the words behind which a table's name stands, of which those
// that are true write it, or come before such a name together with one that does; a list of tables goes on behind
// commas, as long as lists says so.
var (
	beforeTable = map[string]bool{"from": false, "join": false, "using": false, "straight_join": false, "into": true, "update": true, "table": true, "insert": true, "replace": true,
		"delete": true, "ignore": true, "low_priority": true, "high_priority": true, "delayed": true, "quick": true, "truncate": true}
	lists    = []string{"from", "join", "straight_join", "update", "delete"}
	endLists = []string{"select", "where", "set", "values", "value", "group", "order", "having", "limit", "union", "begin", "end", "then", "do", ";"}
)

// namedTables goes through the places of a program's text where a table's name
// may stand, with the database before it, if it has one, until one is found.
type namedTables struct {
	tokens []string
	at     int
	// list: a comma is followed by a table. outer are those of the parentheses around.
	list, write bool
	outer       []bool
}

// next is the next such name; schema is empty where none is written.
func (n *namedTables) next() (schema, name string, ok bool) {
	expect := false
	for ; n.at < len(n.tokens); n.at++ {
		token := n.tokens[n.at]
		word := strings.ToLower(token)
		writes, before := beforeTable[word]
		switch {
		case before && n.at > 0 && n.tokens[n.at-1] == ".": // a column
		case before:
			if !expect {
				n.write = false
			}
			expect, n.write = true, n.write || writes
			n.list = n.list || slices.Contains(lists, word)
		case token == "(":
			n.outer = append(n.outer, n.list)
		case token == ")":
			if expect = false; len(n.outer) > 0 {
				n.list, n.outer = n.outer[len(n.outer)-1], n.outer[:len(n.outer)-1]
			}
		case token == ",":
			expect = n.list
		case slices.Contains(endLists, word):
			n.list, expect = false, false
		case token == ".":
		case expect:
			name = unquoted(token)
			if n.at++; n.at+1 < len(n.tokens) && n.tokens[n.at] == "." {
				schema, name = name, unquoted(n.tokens[n.at+1])
				n.at += 2
			}
			return schema, name, true
		}
	}
	return "", "", false
}

// NamedBy is a table that the text of a stored program or view of the schema reads or
// writes though its server has not all of the table's rows, or must not change
// its copy alone; nil for none. It may name one that is not meant: a column in a
// list of tables' conditions.
func (c *Catalog) NamedBy(schema, text string) *Table {
	n := &namedTables{tokens: programToken.FindAllString(programComment.ReplaceAllString(text, " "), -1)}
	for {
		in, name, ok := n.next()
		if !ok {
			return nil
		}
		if in == "" {
			in = schema
		}
		t := c.Table(in, name)
		if t == nil || t.Placement == nil {
			continue
		}
		switch p := t.Placement; p.Kind {
		case shardrule.Sharded:
			return t
		case shardrule.Global:
			if n.write {
				return t
			}
		case shardrule.Whole:
			if len(p.Shards) != 1 || p.Shards[0].Cluster != c.HomeOf(schema) {
				return t
			}
		}
	}
}

func unquoted(name string) string {
	if strings.HasPrefix(name, "`") {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}
