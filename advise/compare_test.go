package advise

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
)

func TestStatementsThatRunAnotherWayUnderOtherRules(t *testing.T) {
	by := func(column string) *catalog.Catalog {
		return (&advisor{cat: shop(t)}).with(map[TableName]string{{"shop", "orders"}: column})
	}
	byUser, byID := by("user_id"), by("id")
	w := NewWorkload()
	w.AddDigest(Digest{DB: "shop", Text: "SELECT * FROM orders WHERE user_id = ?", Count: 5})
	w.AddDigest(Digest{DB: "shop", Text: "SELECT * FROM orders WHERE id = ?", Count: 9})
	w.AddDigest(Digest{DB: "shop", Text: "SELECT COUNT(*) FROM orders", Count: 100})
	require.Equal(t, []Change{
		{DB: "shop", Digest: "SELECT * FROM orders WHERE user_id = ?", Count: 5, From: Single, To: Scatter},
		{DB: "shop", Digest: "SELECT * FROM orders WHERE id = ?", Count: 9, From: Scatter, To: Single},
	}, Changes(byUser, byID, w))
	require.Empty(t, Changes(byUser, byUser, w))
}
