package parser

import "strings"

// ConstraintSpan is where the name of a CHECK or FOREIGN KEY stands in a CREATE
// or ALTER TABLE.
type ConstraintSpan struct {
	Span
	Name string
}

// Constraints are the names of CHECKs and FOREIGN KEYs in the text, in order;
// DROP CONSTRAINT is taken for one of theirs, though it may mean a unique key.
func (s *Statement) Constraints() ([]ConstraintSpan, error) {
	o, err := newOutline(s.Text, s.Mode)
	if err != nil {
		return nil, err
	}
	var out []ConstraintSpan
	for i := range o.tokens {
		if name := o.constraintName(i); o.isName(name) {
			out = append(out, ConstraintSpan{Span: Span{Start: o.tokens[name].start, End: o.tokens[name].end}, Name: o.nameText(name)})
		}
	}
	return out, nil
}

// constraintName is the token with the name behind the words that begin at i, past
// the end for none: [DROP | ALTER] CONSTRAINT x, DROP or ALTER CHECK x, DROP FOREIGN KEY
// x, each with IF [NOT] EXISTS (MariaDB).
func (o *outline) constraintName(i int) int {
	none := len(o.tokens)
	changes := o.word(i-1, "DROP") || o.word(i-1, "ALTER")
	switch {
	case changes && o.word(i, "CHECK"):
		return o.pastIf(i + 1)
	case changes && o.word(i, "FOREIGN") && o.word(i+1, "KEY"):
		return o.pastIf(i + 2)
	case !o.word(i, "CONSTRAINT"):
		return none
	}
	name := o.pastIf(i + 1)
	if !changes && !o.word(name+1, "CHECK") && !o.word(name+1, "FOREIGN") {
		return none // without a name, or of a key
	}
	return name
}

func (o *outline) pastIf(i int) int {
	if !o.word(i, "IF") {
		return i
	}
	if i++; o.word(i, "NOT") {
		i++
	}
	return i + 1
}

func (o *outline) word(i int, word string) bool {
	return i >= 0 && i < len(o.tokens) && o.tokens[i].kind == tokenWord && strings.EqualFold(o.text[o.tokens[i].start:o.tokens[i].end], word)
}
