package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/shardrule"
)

func TestWritesToAGlobalTableAreCopies(t *testing.T) {
	global, sharded := &shardrule.Placement{Kind: shardrule.Global}, &shardrule.Placement{Kind: shardrule.Sharded}
	require.True(t, Copies(&Route{Choice: Choice{Kind: ChooseCopies, Placement: global}}))
	require.True(t, Copies(&Insert{Table: TableRef{Placement: global}}))
	require.False(t, Copies(&Insert{Table: TableRef{Placement: sharded}}))
	require.False(t, Copies(&Insert{}))
	require.False(t, Copies(&Route{Choice: Choice{Kind: ChooseByKey, Placement: sharded}}))
	require.False(t, Copies(&Const{}))
}
