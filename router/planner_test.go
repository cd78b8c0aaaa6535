package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// The session answers FOUND_ROWS() where it counted the rows; what reaches the
// router is a count nobody has.
func TestFoundRowsThatNobodyCountedIsRefused(t *testing.T) {
	_, _, err := planText(t, shop(t), "shop", "SELECT FOUND_ROWS()")
	require.ErrorContains(t, err, "refuses FOUND_ROWS")
	require.Equal(t, uint16(sqlerr.NotSupported), sqlerr.From(err).Code)
}

func TestAnInsertInErrorNamesTheUnknownColumnFirst(t *testing.T) {
	_, _, err := planText(t, shop(t), "shop", "INSERT INTO users (no_such_column) VALUES (1)")
	require.Equal(t, uint16(sqlerr.BadField), sqlerr.From(err).Code)
}

// Without Pad the merge would take the collation of the result, which is the
// connection's, for the column's.
func TestEverySortKeyByWeightKnowsItsCollation(t *testing.T) {
	cat := shop(t)
	for _, sql := range []string{
		"SELECT region FROM orders ORDER BY region DESC",
		"SELECT id FROM orders ORDER BY UPPER(region)",
		"SELECT region, COUNT(*) FROM orders GROUP BY region ORDER BY COUNT(*), region DESC",
		"SELECT COUNT(*) FROM orders GROUP BY region ORDER BY COUNT(*), region DESC",
		"SELECT status, MAX(region) FROM orders GROUP BY status ORDER BY MAX(region), status",
		"SELECT DISTINCT region FROM orders",
	} {
		p, _, err := planText(t, cat, "shop", sql)
		require.NoError(t, err, sql)
		seen := 0
		var walk func(n plan.Node)
		walk = func(n plan.Node) {
			var keys []plan.SortKey
			switch n := n.(type) {
			case *plan.MergeSort:
				keys = n.Keys
			case *plan.Sort:
				keys = n.Keys
			case *plan.Distinct:
				keys = n.Keys
			}
			for _, k := range keys {
				if k.Weight >= 0 {
					seen++
					require.True(t, k.Pad.Known, "%s: %T by %s", sql, n, k.Label)
				}
			}
			for _, c := range n.Children() {
				walk(c)
			}
		}
		walk(p.Root)
		require.Positive(t, seen, sql)
	}
}
