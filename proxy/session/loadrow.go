package session

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"

	"github.com/servaldb/serval/internal/infile"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// What LOAD DATA does with a line that INSERT does not, as seen on MySQL 9.7
// and MariaDB 10.11:
//
//   - a missing field gives the type's own zero, not the column's default,
//     unless that is NULL; a user variable gets NULL;
//   - NULL for a NOT NULL column gives the zero, too, with a warning of its own,
//     and the time to a TIMESTAMP;
//   - what stands in the file for a generated column is passed over;
//   - of a column listed twice the last field counts.

// loadColumn is a column as SHOW COLUMNS describes it.
type loadColumn struct {
	name, kind string // kind is the type's first word, in lower case
	nullable   bool
	// nullDefault: it is NULL if nothing is said.
	nullDefault bool
	auto        bool   // AUTO_INCREMENT
	numbered    bool   // which Serval numbers
	now         string // the time, for a TIMESTAMP NOT NULL
}

// loadField takes a field of a line: a column, a variable, or neither.
type loadField struct {
	column   *loadColumn
	variable string
}

// describe reads the table's columns; generated ones have no name to insert.
func (l *loader) describe(ctx context.Context) (map[string]*loadColumn, error) {
	table := sqlval.QuoteName(l.table)
	if l.schema != "" {
		table += " FROM " + sqlval.QuoteName(l.schema)
	}
	rows, err := l.s.innerRows(ctx, "SHOW COLUMNS FROM "+table)
	if err != nil {
		return nil, err
	}
	numbered := ""
	if t := l.s.deps.Catalog.Load().Table(l.s.schemaOr(l.schema), l.table); t != nil && t.Placement != nil {
		numbered = t.AutoIncrement
	}
	known := map[string]*loadColumn{}
	for _, r := range rows {
		if len(r) < 6 {
			return nil, sqlerr.New(sqlerr.UnknownError, "Serval: the columns of %s are not known", l.table)
		}
		c := &loadColumn{name: string(r[0]), nullable: string(r[2]) == "YES", nullDefault: r[4] == nil}
		kind, extra := strings.ToLower(string(r[1])), strings.ToUpper(string(r[5]))
		c.kind = typeWord(kind)
		c.auto, c.numbered = strings.Contains(extra, "AUTO_INCREMENT"), strings.EqualFold(c.name, numbered)
		if c.kind == "timestamp" && !c.nullable {
			c.now = "CURRENT_TIMESTAMP" + kind[len("timestamp"):]
		}
		if strings.Contains(extra, "VIRTUAL") || strings.Contains(extra, "STORED") || strings.Contains(extra, "PERSISTENT") {
			c.kind = generatedKind
		}
		known[strings.ToLower(c.name)] = c
		if !l.listed && !strings.Contains(extra, "INVISIBLE") {
			l.targets = append(l.targets, loadTarget{name: c.name})
		}
	}
	return known, nil
}

// generatedKind is a generated column's.
const generatedKind = "generated"

// typeWord is a column type's first word, in lower case.
func typeWord(kind string) string {
	kind = strings.ToLower(kind)
	return kind[:strings.IndexFunc(kind+" ", func(r rune) bool { return r < 'a' || r > 'z' })]
}

// assign says which field goes where, and begins the INSERT.
func (l *loader) assign(known map[string]*loadColumn) error {
	taken := map[string]bool{}
	l.fields = make([]loadField, len(l.targets))
	for i := len(l.targets) - 1; i >= 0; i-- { // of a column twice, the last counts
		t := l.targets[i]
		if t.variable {
			l.fields[i].variable = t.name
			continue
		}
		c := known[strings.ToLower(t.name)]
		if c == nil {
			return sqlerr.New(sqlerr.BadField, "Unknown column '%s' in 'field list'", t.name)
		}
		if c.kind == generatedKind || taken[c.name] {
			continue
		}
		taken[c.name] = true
		l.fields[i].column = c
	}
	for _, c := range known {
		l.unnumbered = l.unnumbered || c.auto && !taken[c.name]
	}
	var names []string
	for i, f := range l.fields {
		if f.column != nil {
			l.order = append(l.order, i)
			names = append(names, sqlval.QuoteName(f.column.name))
		}
	}
	for _, set := range l.sets {
		if taken[canonical(known, set.column)] {
			return sqlerr.Refuse("LOAD DATA LOCAL with SET "+set.column, "the column gets a field of the file, too", "read the field into a variable, @"+set.column+", and SET "+set.column+" from that")
		}
		names = append(names, sqlval.QuoteName(set.column))
	}
	verb, table := "INSERT IGNORE", sqlval.QuoteName(l.table)
	if l.replace {
		verb = "REPLACE"
	}
	if l.schema != "" {
		table = sqlval.QuoteName(l.schema) + "." + table
	}
	l.head = []byte(verb + " INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES ")
	l.warn.columns = map[string]int{}
	for i, f := range l.fields {
		if f.column != nil {
			l.warn.columns[strings.ToLower(f.column.name)] = i
		}
	}
	return nil
}

// canonical is a column's name as the table spells it.
func canonical(known map[string]*loadColumn, name string) string {
	if c := known[strings.ToLower(name)]; c != nil {
		return c.name
	}
	return name
}

// value appends what a column gets of a record.
func (l *loader) value(f *loadField, i int, fields []infile.Field) error {
	c := f.column
	switch {
	case i >= len(fields):
		l.empty(c)
	case !fields[i].Null:
		return l.text(c, fields[i].Text)
	case c.nullable || c.auto:
		l.generates = l.generates || c.auto
		l.tuple = append(l.tuple, nullText...)
	default:
		l.zero(c)
		if c.now == "" {
			if !l.warn.mariadb {
				i += rankNull
			}
			l.note(i, errNullToNotNull, "Column set to default value; NULL supplied to NOT NULL column '%s' at row %d", c.name, l.records)
		}
	}
	return nil
}

// text appends a field that is there.
func (l *loader) text(c *loadColumn, v []byte) error {
	if c.auto {
		number := bytes.TrimLeft(v, "0")
		l.generates = l.generates || len(number) == 0
		if c.numbered && !isNumber(string(v)) {
			return sqlerr.Refuse("row "+string(digits(int64(l.records)))+" of the file", "its value for the AUTO_INCREMENT column "+c.name+
				" is no number, and Serval numbers the table's rows", `write a number, \N or 0 there, or read the field into a variable`)
		}
	}
	l.tuple = l.literal(l.tuple, v)
	return nil
}

// empty appends what a column without a field gets.
func (l *loader) empty(c *loadColumn) {
	if c.auto || c.nullable && c.nullDefault {
		l.generates = l.generates || c.auto
		l.tuple = append(l.tuple, nullText...)
		return
	}
	l.zero(c)
}

// zero appends the type's own zero. What the server says about it as a value of
// an INSERT is not the statement's.
func (l *loader) zero(c *loadColumn) {
	l.warn.own(c.name)
	if l.strict { // the line is refused already, for what is before this
		l.tuple = append(l.tuple, c.harmless()...)
		return
	}
	l.tuple = append(l.tuple, c.zero()...)
}

// harmless is a value that no mode refuses.
func (c *loadColumn) harmless() string {
	switch c.kind {
	case "timestamp", "datetime", "date":
		return "'2000-01-01'"
	case "enum":
		return "1"
	}
	return c.zero()
}

func (c *loadColumn) zero() string {
	switch c.kind {
	case "timestamp":
		if c.now != "" {
			return c.now
		}
		return "'0000-00-00 00:00:00'"
	case "datetime":
		return "'0000-00-00 00:00:00'"
	case "date":
		return "'0000-00-00'"
	case "time":
		return "'00:00:00'"
	case "json":
		return "'null'"
	}
	if numeric(c.kind) {
		return "0"
	}
	return "''"
}

const (
	errTooFewFields  = 1261 // ER_WARN_TOO_FEW_RECORDS
	errTooManyFields = 1262 // ER_WARN_TOO_MANY_RECORDS
	errNullToNotNull = 1263 // ER_WARN_NULL_TO_NOTNULL
)

// missing warns of columns whose fields were not there.
func (l *loader) missing(have int) {
	for i := have; i < len(l.fields); i++ {
		if l.fields[i].variable == "" {
			l.note(rankShort, errTooFewFields, "Row %d doesn't contain data for all columns", l.records)
		}
	}
}

// expression appends an assigned value, with the fields for the variables they
// were read into.
func (l *loader) expression(set *loadSet, fields []infile.Field) {
	tokens := set.tokens
	from := tokens[0].Start
	for k := 0; k+1 < len(tokens); k++ {
		if !tokens[k].op("@") || tokens[k+1].Start != tokens[k].End {
			continue
		}
		name := strings.ToLower(tokens[k+1].name())
		for i := range l.fields {
			if l.fields[i].variable != name {
				continue
			}
			l.tuple = append(l.tuple, l.source[from:tokens[k].Start]...)
			l.tuple = l.fieldSQL(l.tuple, i, fields)
			from = tokens[k+1].End
			break
		}
	}
	l.tuple = append(l.tuple, l.source[from:tokens[len(tokens)-1].End]...)
}

// fieldSQL appends field i, NULL where the record has none.
func (l *loader) fieldSQL(dst []byte, i int, fields []infile.Field) []byte {
	for j := len(l.fields) - 1; j > i; j-- { // of a variable twice, the last counts
		if l.fields[j].variable == l.fields[i].variable {
			i = j
			break
		}
	}
	if i >= len(fields) || fields[i].Null {
		return append(dst, nullText...)
	}
	return l.literal(dst, fields[i].Text)
}

// remember keeps the record's variables: those of the last are the session's.
func (l *loader) remember(fields []infile.Field) {
	for i, f := range l.fields {
		if f.variable == "" {
			continue
		}
		if l.vars == nil {
			l.vars = map[string][]byte{}
		}
		v := []byte(nil)
		if i < len(fields) && !fields[i].Null {
			v = append(append([]byte{}, l.vars[f.variable][:0]...), fields[i].Text...)
		}
		l.vars[f.variable] = v
	}
}

// keepVariables gives the session what the last line left in its variables.
func (l *loader) keepVariables(to *settings) error {
	total := 0
	for name, v := range l.vars {
		sql := nullText
		if v != nil {
			sql = "CONVERT(_binary x'" + hex.EncodeToString(v) + "' USING " + l.charset + ") COLLATE " + l.collation
			if l.charset == "binary" || len(v) == 0 {
				sql = "CONVERT(" + quoteText(string(v)) + " USING " + l.charset + ")"
			}
		}
		total += len(sql)
		to.setUser(name, sql)
	}
	if total > maxVarBytes || len(to.plain.UserVars) > maxUserVars {
		return sqlerr.Refuse("LOAD DATA LOCAL into such user variables", "those of the last line are carried to every connection the session uses, at most 1000 and 64 KB", "list columns instead, or fewer variables")
	}
	return nil
}
