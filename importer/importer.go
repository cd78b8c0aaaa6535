// Package importer reads the configuration of another proxy and writes it as
// Serval's: where the shards stand, and the function that placed the rows. What
// it cannot carry it says in comments. It reads files and knows nothing of
// servers.
package importer

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A draft is our configuration on the way to text.
type draft struct {
	title    string
	notes    []string
	listen   string
	admin    string
	users    []user
	clusters []cluster
	home     string
	schemas  []*schema
}

type user struct {
	name, password string
	schemas        []string
	readOnly       bool
	notes          []string
}

type cluster struct {
	name     string
	primary  server
	replicas []server
	user     string
	password string
	notes    []string
}

type server struct {
	addr   string
	weight int
	zone   string
}

type schema struct {
	name, home string
	tables     []*table
	notes      []string
	// about are notes on several tables.
	about []about
}

// about is a note on the tables it names.
type about struct {
	note   string
	tables []string
}

// say is a note on a table that others of the schema have too.
func (s *schema) say(t *table, note string) {
	i := slices.IndexFunc(s.about, func(a about) bool { return a.note == note })
	if i < 0 {
		s.about = append(s.about, about{note: note})
		i = len(s.about) - 1
	}
	s.about[i].tables = append(s.about[i].tables, t.name)
}

// sayTextRule is said of tables whose function takes text as it is written.
const sayTextRule = "If the column is text in a collation that ignores case, a value with letters is looked for on all shards. If the\n" +
	"application always writes a value alike, add spelling: exact, and one shard is asked."

// table is a rule; skipped: it is written as a comment.
type table struct {
	name    string
	lines   []line
	notes   []string
	skipped bool
	// at is where parts of a table that is skipped may stand.
	at []place
}

// line is a key and its value as YAML.
type line struct{ key, value string }

func (d *draft) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

func (s *schema) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (c *cluster) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// set adds a key, unless the value is empty.
func (t *table) set(key, value string) {
	if value != "" {
		t.lines = append(t.lines, line{key, value})
	}
}

// refuse makes the table a comment, with the reason.
func (t *table) refuse(format string, args ...any) {
	t.skipped = true
	t.note("NOT CARRIED OVER: "+format, args...)
}

func (d *draft) schema(name string) *schema {
	for _, s := range d.schemas {
		if s.name == name {
			return s
		}
	}
	s := &schema{name: name}
	d.schemas = append(d.schemas, s)
	return s
}

// place is where one shard stands; table is empty for the table's own name.
type place struct{ cluster, database, table string }

func (p place) String() string {
	if p.table == "" {
		return p.cluster + "/" + p.database
	}
	return p.cluster + "/" + p.database + "." + p.table
}

var lastNumber = regexp.MustCompile(`^(.*?)(\d{1,9})$`)

// placeList writes places, with a range for numbers in a row.
func placeList(places []place) string {
	var out []string
	for i := 0; i < len(places); {
		text := places[i].String()
		m := lastNumber.FindStringSubmatch(text)
		j := i + 1
		if m != nil {
			first, _ := strconv.Atoi(m[2]) // at most nine digits
			for j < len(places) && places[j].String() == fmt.Sprintf("%s%0*d", m[1], len(m[2]), first+j-i) {
				j++
			}
			if j-i > 1 {
				text = fmt.Sprintf("%s[%s-%0*d]", m[1], m[2], len(m[2]), first+j-i-1)
			}
		}
		out = append(out, quote(text))
		i = j
	}
	return "[" + strings.Join(out, ", ") + "]"
}

var plain = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)

// quote writes a scalar that YAML and our ${ENV} read as this text.
func quote(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n", "~":
		return "'" + text + "'"
	}
	if plain.MatchString(text) {
		return text
	}
	text = strings.ReplaceAll(text, "${", "$${")
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		return strconv.Quote(text)
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

var wholeNumber = regexp.MustCompile(`^(0|[1-9]\d{0,17})$`)

// value is quote, with numbers as they are.
func value(text string) string {
	if wholeNumber.MatchString(text) {
		return text
	}
	return quote(text)
}

func quoteAll(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = quote(t)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// pair is an entry of a mapping.
type pair struct{ key, value string }

func mapping(pairs []pair) string {
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = value(p.key) + ": " + value(p.value)
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// read reads one file of the configuration, from the folder or its conf.
func read(dir fs.FS, names ...string) ([]byte, error) {
	var first error
	for _, name := range names {
		for _, at := range []string{name, path.Join("conf", name)} {
			text, err := fs.ReadFile(dir, at)
			if err == nil {
				return text, nil
			}
			if first == nil {
				first = err
			}
		}
	}
	return nil, first
}

// split cuts at commas and drops what is empty.
func split(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// onePerCluster are the first places of each cluster.
func onePerCluster(places []place) []place {
	var out []place
	for _, p := range places {
		if !slices.ContainsFunc(out, func(q place) bool { return q.cluster == p.cluster }) {
			out = append(out, p)
		}
	}
	return out
}
