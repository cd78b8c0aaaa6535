package topology

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	a = "9bfc7855-e73d-11f1-bfe5-02fc00000001"
	b = "1bfc7855-e73d-11f1-bfe5-02fc00000002"
)

func TestHasGTIDs(t *testing.T) {
	for name, tc := range map[string]struct {
		executed, wanted string
		has              bool
	}{
		"nothing wanted is always there":                   {"", "", true},
		"nothing executed has nothing":                     {"", a + ":1", false},
		"one inside an interval":                           {a + ":1-100", a + ":7", true},
		"one behind the end":                               {a + ":1-100", a + ":101", false},
		"one in a gap":                                     {a + ":1-5:7-9", a + ":6", false},
		"an interval across a gap":                         {a + ":1-5:7-9", a + ":4-8", false},
		"several intervals, all there":                     {a + ":1-5:7-9", a + ":1-2:8", true},
		"another server's number does not count":           {b + ":1-100", a + ":7", false},
		"every server's part must be there":                {a + ":1-9", a + ":1," + b + ":1", false},
		"both servers' parts are":                          {b + ":1-9,\n" + a + ":1-9", a + ":1," + b + ":1", true},
		"case of the uuid does not matter":                 {strings.ToUpper(a) + ":1-9", a + ":3", true},
		"a tag is another sequence":                        {a + ":1-9", a + ":app:3", false},
		"a tag's own interval":                             {a + ":1-2:app:1-9", a + ":app:3", true},
		"an untagged number is not a tag's":                {a + ":app:1-9", a + ":3", false},
		"MariaDB: the same domain, far enough":             {"0-11-42,1-2-7", "0-11-42", true},
		"MariaDB: after a promotion another server writes": {"0-12-43", "0-11-42", true},
		"MariaDB: not far enough":                          {"0-11-41", "0-11-42", false},
		"MariaDB: another domain":                          {"1-11-99", "0-11-42", false},
		"MariaDB: every domain must be there":              {"0-11-99", "0-11-42,5-11-1", false},
		"rubbish is never there":                           {a + ":1-9", "rubbish", false},
		"a uuid without a number is never there":           {a + ":1-9", a + ":", false},
		"an interval from back to front is never there":    {a + ":1-9", a + ":5-3", false},
		"the spelling of one flavor is not the other's":    {"0-11-42", a + ":1", false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.has, HasGTIDs(tc.executed, tc.wanted)) })
	}
}

// Against a set of plain numbers.
func TestHasGTIDsIsSetInclusion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		has := rapid.SliceOfN(rapid.Bool(), 20, 20).Draw(t, "has")
		from := rapid.IntRange(1, 20).Draw(t, "from")
		to := rapid.IntRange(from, 20).Draw(t, "to")
		var parts []string
		for i := 0; i < 20; {
			if !has[i] {
				i++
				continue
			}
			j := i
			for j < 20 && has[j] {
				j++
			}
			parts = append(parts, fmt.Sprintf("%d-%d", i+1, j))
			i = j
		}
		executed := ""
		if parts != nil {
			executed = a + ":" + strings.Join(parts, ":")
		}
		want := true
		for i := from; i <= to; i++ {
			want = want && has[i-1]
		}
		if got := HasGTIDs(executed, fmt.Sprintf("%s:%d-%d", a, from, to)); got != want {
			t.Fatalf("%q has %d-%d: %v", executed, from, to, got)
		}
	})
}

func FuzzHasGTIDs(f *testing.F) {
	f.Add(a+":1-5:app:7", a+":1")
	f.Add("0-1-2", "0-1-2")
	f.Fuzz(func(t *testing.T, executed, wanted string) { HasGTIDs(executed, wanted) })
}

func TestJoinGTIDs(t *testing.T) {
	for name, tc := range map[string]struct{ a, b, joined string }{
		"nothing and something":                       {"", a + ":5", a + ":5"},
		"one server's become an interval":             {a + ":5", a + ":9", a + ":5-9"},
		"in any order":                                {a + ":9", a + ":5", a + ":5-9"},
		"an interval grows":                           {a + ":5-9", a + ":12", a + ":5-12"},
		"another server's are kept beside":            {a + ":5", b + ":1", a + ":5," + b + ":1"},
		"and found again":                             {a + ":5," + b + ":1", b + ":3", a + ":5," + b + ":1-3"},
		"a tag is a sequence of its own":              {a + ":5", a + ":app:7", a + ":5," + a + ":app:7"},
		"the same again changes nothing":              {a + ":app:7", a + ":app:7", a + ":app:7"},
		"MariaDB: the newest of a domain":             {"0-1-5", "0-2-7", "0-2-7"},
		"MariaDB: an older one takes nothing back":    {"0-2-7", "0-1-5", "0-2-7"},
		"MariaDB: domains are kept beside each other": {"0-1-5", "3-1-2", "0-1-5,3-1-2"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.joined, JoinGTIDs(tc.a, tc.b)) })
	}
}
