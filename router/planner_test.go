package router

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
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
