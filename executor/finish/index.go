package finish

import (
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// Copy fills the table of fragment i from the one it is to have the rows of,
// whose rows were passed on before.
func (l *Load) Copy(i int) error {
	f := l.Plan.Fragments[i]
	columns := columnNames(f)
	of := l.filled[f.From]
	l.sql = append(l.sql[:0], "INSERT INTO "+l.quoted(i)+" ("+columns+") SELECT "+columns+" FROM "+l.quoted(f.From)...)
	return l.pass(statement{table: i, rows: of.rows, zeros: of.zeros, copied: true})
}

// columnNames are those of the table, which an INSERT has to name: it leaves
// invisible ones out else.
func columnNames(f *plan.Fragment) string {
	names := ""
	for j, c := range f.Columns {
		if j > 0 {
			names += ", "
		}
		names += sqlval.QuoteName(c.Name)
	}
	return names
}

// indexedRows is from how many rows on a copy gets its table's secondary keys:
// making them costs more than they bring where there are fewer.
const indexedRows = 1000

// Index adds the keys of all large fragments, behind their rows: a key is made
// faster at once than row by row, and a copy made before is in the same order.
func (l *Load) Index() error {
	for i, f := range l.Plan.Fragments {
		if l.filled[i].rows < indexedRows || len(f.Indexes) == 0 {
			continue
		}
		if err := l.answers(); err != nil {
			return err
		}
		l.queue(statement{table: i, rows: -1, optional: true}, addKeys(l.quoted(i), f))
	}
	return nil
}

func addKeys(table string, f *plan.Fragment) []byte {
	b := []byte("ALTER TABLE " + table)
	for j, k := range f.Indexes {
		if j > 0 {
			b = append(b, ',')
		}
		b = append(b, " ADD KEY ("+k+")"...)
	}
	return b
}
