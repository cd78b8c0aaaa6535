package finish

import (
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
)

// bigComputed is how many rows of CTEs are too many for a session to keep their
// space.
const bigComputed = 100_000

// Name is the quoted name of a plan.Once's table.
func (l *Load) Name(number int) string {
	return sqlval.QuoteName(l.Bound.Database) + "." + sqlval.QuoteName(plan.ScratchName(number))
}

// Table begins the statement that makes and fills such a table; Clean drops it.
func (l *Load) Table(number int) string {
	l.computed = append(l.computed, l.Name(number))
	return "CREATE TEMPORARY TABLE " + l.Name(number)
}

// Computed says how many rows were put into them.
func (l *Load) Computed(rows int64) { l.computedRows += rows }
