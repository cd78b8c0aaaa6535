package parser

// CreateSelect is CREATE TABLE … SELECT without what defines the table, read by
// its words: TiDB's parser does not know all that may stand in it.
type CreateSelect struct {
	Name TableName
	// OrReplace, Temporary, IfNotExists, Ignore and Replace are its words.
	OrReplace, Temporary, IfNotExists, Ignore, Replace bool
	// Head is what stands between the table's name and the query, without
	// IGNORE, REPLACE and AS.
	Head Span
	// Query is the SELECT, from its WITH or parenthesis on.
	Query Span
	// References: the definition has a foreign key.
	References bool
}

// CreateSelect reads a CREATE TABLE … SELECT, nil for other statements. A query
// begins with a reserved word that no definition has outside of parentheses.
func (s *Statement) CreateSelect() *CreateSelect {
	if s.Verb != "CREATE" {
		return nil
	}
	o, err := newOutline(s.Text, s.Mode)
	if err != nil {
		return nil
	}
	c, r := &CreateSelect{}, viewReader{outline: o}
	r.take("CREATE")
	c.OrReplace = r.take("OR", "REPLACE")
	c.Temporary = r.take("TEMPORARY")
	if !r.take("TABLE") {
		return nil
	}
	c.IfNotExists = r.take("IF", "NOT", "EXISTS")
	if !r.isName(r.i) {
		return nil
	}
	c.Name.Table = r.nameText(r.i)
	if r.i++; r.isPunct(r.i, '.') && r.isName(r.i+1) {
		c.Name = TableName{Schema: c.Name.Table, Table: r.nameText(r.i + 1)}
		r.i += 2
	}
	at := r.query(r.i)
	if at < 0 {
		return nil
	}
	c.Query = Span{o.tokens[at].start, o.tokens[len(o.tokens)-1].end}
	for i := r.i; i < at; i++ {
		c.References = c.References || r.word(i) == "REFERENCES"
	}
	for ; at > r.i; at-- {
		word := r.word(at - 1)
		if word != "AS" && word != "IGNORE" && word != "REPLACE" {
			break
		}
		c.Ignore, c.Replace = c.Ignore || word == "IGNORE", c.Replace || word == "REPLACE"
	}
	c.Head = Span{o.tokens[r.i].start, o.tokens[r.i].start}
	if at > r.i {
		c.Head.End = o.tokens[at-1].end
	}
	return c
}

// query is the first token of the query behind token i, -1 if there is none.
func (r *viewReader) query(i int) int {
	depth := 0
	for ; i < len(r.tokens); i++ {
		switch {
		case depth == 0 && r.beginsQuery(i):
			return i
		case r.isPunct(i, '('):
			depth++
		case r.isPunct(i, ')'):
			depth--
		}
	}
	return -1
}

// beginsQuery: token i is the first of a query, or its parenthesis.
func (r *viewReader) beginsQuery(i int) bool {
	for r.isPunct(i, '(') {
		i++
	}
	switch r.word(i) {
	case "SELECT", "WITH":
		return true
	}
	return false
}
