package parser

import "strings"

// ViewHead is CREATE VIEW or ALTER VIEW without its SELECT, which TiDB's parser
// knows the first of only, and not in all its forms.
type ViewHead struct {
	Name                        TableName
	Replace, Alter, IfNotExists bool
	// Columns is the list behind the name, nil if there is none.
	Columns []string
	// Algorithm and Security are in upper case, Definer as written; empty where
	// not said.
	Algorithm, Definer, Security string
	// Check is CASCADED or LOCAL where there is WITH CHECK OPTION.
	Check string
	// Body is the SELECT.
	Body Span
}

// View is the head of a CREATE VIEW or ALTER VIEW, nil for other statements.
func (s *Statement) View() *ViewHead {
	switch s.Verb {
	case "CREATE", "ALTER":
	default:
		return nil
	}
	o, err := newOutline(s.Text, s.Mode)
	if err != nil {
		return nil
	}
	v := &ViewHead{}
	r := viewReader{outline: o}
	if !r.head(v) {
		return nil
	}
	end := r.checkOption(v)
	if r.i >= end {
		return nil
	}
	v.Body = Span{o.tokens[r.i].start, o.tokens[end-1].end}
	return v
}

// viewReader reads a view's head word by word.
type viewReader struct {
	*outline
}

func (r *viewReader) word(i int) string {
	if i < 0 || i >= len(r.tokens) || r.tokens[i].kind != tokenWord {
		return ""
	}
	return strings.ToUpper(r.text[r.tokens[i].start:r.tokens[i].end])
}

// take moves over the words if they are next.
func (r *viewReader) take(words ...string) bool {
	for k, w := range words {
		if r.word(r.i+k) != w {
			return false
		}
	}
	r.i += len(words)
	return true
}

// head reads up to the SELECT.
func (r *viewReader) head(v *ViewHead) bool {
	switch {
	case r.take("CREATE", "OR", "REPLACE"):
		v.Replace = true
	case r.take("CREATE"):
	case r.take("ALTER"):
		v.Alter = true
	default:
		return false
	}
	for !r.take("VIEW") {
		if !r.option(v) {
			return false
		}
	}
	v.IfNotExists = r.take("IF", "NOT", "EXISTS")
	if !r.isName(r.i) {
		return false
	}
	v.Name.Table = r.nameText(r.i)
	r.i++
	if r.isPunct(r.i, '.') && r.isName(r.i+1) {
		v.Name = TableName{Schema: v.Name.Table, Table: r.nameText(r.i + 1)}
		r.i += 2
	}
	return r.columns(v) && r.take("AS")
}

// option reads ALGORITHM = x, DEFINER = user, SQL SECURITY x.
func (r *viewReader) option(v *ViewHead) bool {
	switch {
	case r.word(r.i) == "ALGORITHM" && r.isPunct(r.i+1, '='):
		v.Algorithm = r.word(r.i + 2)
		r.i += 3
		return v.Algorithm != ""
	case r.take("SQL", "SECURITY"):
		v.Security = r.word(r.i)
		r.i++
		return v.Security != ""
	case r.word(r.i) == "DEFINER" && r.isPunct(r.i+1, '='):
		r.i += 2
		first := r.i
		for r.i < len(r.tokens) && r.word(r.i) != "SQL" && r.word(r.i) != "VIEW" {
			r.i++
		}
		if r.i == first || r.i == len(r.tokens) {
			return false
		}
		v.Definer = r.text[r.tokens[first].start:r.tokens[r.i-1].end]
		return true
	}
	return false
}

func (r *viewReader) columns(v *ViewHead) bool {
	if !r.isPunct(r.i, '(') {
		return true
	}
	for {
		r.i++
		if !r.isName(r.i) {
			return false
		}
		v.Columns = append(v.Columns, r.nameText(r.i))
		r.i++
		switch {
		case r.isPunct(r.i, ')'):
			r.i++
			return true
		case !r.isPunct(r.i, ','):
			return false
		}
	}
}

// checkOption reads WITH [CASCADED|LOCAL] CHECK OPTION at the end and gives the
// number of the token before which the SELECT ends.
func (r *viewReader) checkOption(v *ViewHead) int {
	n := len(r.tokens)
	if r.word(n-1) != "OPTION" || r.word(n-2) != "CHECK" {
		return n
	}
	switch kind := r.word(n - 3); {
	case kind == "WITH":
		v.Check = "CASCADED"
		return n - 3
	case (kind == "CASCADED" || kind == "LOCAL") && r.word(n-4) == "WITH":
		v.Check = kind
		return n - 4
	}
	return n
}

// viewTables: of a view's definition whose head TiDB's parser does not know the
// tables are known nevertheless.
func (s *Statement) viewTables() {
	h := s.View()
	if h == nil {
		return
	}
	if body, err := s.Part(h.Body); err == nil {
		s.Kind, s.Tables = KindDDL, append([]TableName{h.Name}, body.Tables...)
	}
}
