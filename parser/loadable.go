package parser

import "strings"

// Loadable is CREATE FUNCTION … SONAME, or a DROP FUNCTION that may mean such a
// function.
type Loadable struct {
	Name string // in lower case
	Drop bool
}

// Loadable reads it, nil for other statements. A loadable function belongs to no
// database.
func (s *Statement) Loadable() *Loadable {
	if s.Verb != "CREATE" && s.Verb != "DROP" {
		return nil
	}
	o, err := newOutline(s.Text, s.Mode)
	if err != nil {
		return nil
	}
	r := viewReader{outline: o}
	r.i = 1
	l := &Loadable{Drop: s.Verb == "DROP"}
	r.take("OR", "REPLACE")
	r.take("AGGREGATE")
	if !r.take("FUNCTION") {
		return nil
	}
	if !r.take("IF", "NOT", "EXISTS") {
		r.take("IF", "EXISTS")
	}
	if !r.isName(r.i) {
		return nil
	}
	l.Name = strings.ToLower(r.nameText(r.i))
	r.i++
	if l.Drop {
		if r.i < len(r.tokens) {
			return nil
		}
		return l
	}
	if r.take("RETURNS") && r.word(r.i+1) == "SONAME" {
		return l
	}
	return nil
}
