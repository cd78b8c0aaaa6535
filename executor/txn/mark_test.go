package txn

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// A replica shows what a session committed once it lists no branch of this
// Serval that may be one of the session's.
func TestShown(t *testing.T) {
	row := func(gtrid, bqual string) [][]byte {
		return [][]byte{[]byte("1"), []byte(strconv.Itoa(len(gtrid))), []byte(strconv.Itoa(len(bqual))), []byte(gtrid + bqual)}
	}
	for name, c := range map[string]struct {
		listed [][][]byte
		shown  bool
	}{
		"nothing is prepared":                 {nil, true},
		"the branch itself":                   {[][][]byte{row("serval:a:1a", "1:c0")}, false},
		"one before it, maybe the session's":  {[][][]byte{row("serval:a:z", "1:c0")}, false},
		"one that began later":                {[][][]byte{row("serval:a:1b", "1:c0")}, true},
		"one of another Serval":               {[][][]byte{row("serval:b:1", "1:c0")}, true},
		"an application's own":                {[][][]byte{row("serval:a:1a", "x")}, true},
		"the branch behind others of no harm": {[][][]byte{row("serval:b:1", "1:c0"), row("serval:a:1a", "2:c0")}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.shown, Shown("serval:a:1a", c.listed)) })
	}
}
