package plan

// Met is how an Add changes the rows that it meets, where their shards cannot:
// by an UPDATE of each.
type Met struct {
	// Keys are the unique keys by which a row is met, the primary key first.
	Keys []KeptKey
	// Set are the UPDATE's assignments, in which VALUES() stood Values times.
	Set    []MetPiece
	Values int
	// Number is the table's AUTO_INCREMENT column as an expression; empty for none.
	Number string
}

// MetPiece is SQL; or New, an expression over the row that was to be inserted,
// whose value stands there.
type MetPiece struct {
	SQL Template
	New string
}

// bindMet are the pieces' SQL.
func (b *binder) bindMet(m *Met) []string {
	out := make([]string, len(m.Set))
	for i := range m.Set {
		sql, _ := b.render(nil, nil, m.Set[i].SQL, at{from: b.Args.Len()})
		out[i] = string(sql)
	}
	return out
}
