package finish

import "github.com/servaldb/serval/router/plan"

// indexedRows is from how many rows on a copy gets its table's secondary keys:
// making them costs more than they bring where there are fewer.
const indexedRows = 1000

// index adds the keys of fragment i, which has so many rows, behind its rows:
// a key is made faster at once than row by row.
func (l *Load) index(i int, rows int64) {
	f := l.Plan.Fragments[i]
	if rows < indexedRows || len(f.Indexes) == 0 {
		return
	}
	l.statements = append(l.statements, statement{sql: addKeys(l.Bound.Database, i, f), table: i, rows: -1, optional: true})
}

func addKeys(database string, i int, f *plan.Fragment) []byte {
	b := []byte("ALTER TABLE " + quoted(database, i))
	for j, k := range f.Indexes {
		if j > 0 {
			b = append(b, ',')
		}
		b = append(b, " ADD KEY ("+k+")"...)
	}
	return b
}
