package executor

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

func TestWhatAnArmIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		sum  uint64
		n    int
		want short
	}{
		"a fair share and something more":      {10, 4, short{7, 10}},
		"of many shards little":                {10, 8, short{5, 10}},
		"the larger, the nearer to the share":  {1000, 4, short{290, 1000}},
		"not worth it for few rows":            {5, 4, short{}},
		"not worth it for two shards":          {10, 2, short{}},
		"no row":                               {0, 4, short{}},
		"no bound, as MySQL writes it":         {1<<64 - 1, 4, short{}},
		"more than would ever be read at once": {2 << 20, 4, short{}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, shortOf(c.sum, c.n)) })
	}
}

func TestWhereALimitStands(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT a FROM t LIMIT 10":          "SELECT a FROM t LIMIT ",
		"SELECT a FROM t limit\n 10 \n":     "SELECT a FROM t limit\n ",
		"SELECT a FROM t LIMIT 110":         "",
		"SELECT a FROM t LIMIT 5, 10":       "",
		"SELECT a FROM t WHERE b = 10":      "",
		"SELECT a FROM t LIMIT10":           "",
		"SELECT a FROM t LIMIT 10 OFFSET 0": "",
		"":                                  "",
	} {
		t.Run(sql, func(t *testing.T) {
			got, ok := beforeLimit([]byte(sql), 10)
			require.Equal(t, want != "", ok)
			if ok {
				require.Equal(t, want, string(got))
			}
		})
	}
}

func TestArmsAreCutOffRows(t *testing.T) {
	long, longlong := &wire.Column{Type: wire.TypeLong}, &wire.Column{Type: wire.TypeLongLong}
	for name, c := range map[string]struct {
		row    string
		number *wire.Column
		width  int // 0 for text
		want   string
		arm    uint8
		bad    bool
	}{
		"text":                              {row: "\x01a\x017", want: "\x01a", arm: 7},
		"text, two digits":                  {row: "\x01a\x0231", want: "\x01a", arm: 31},
		"text, two digits behind a NULL":    {row: "\xfb\x0210", want: "\xfb", arm: 10},
		"text, a value that looks like one": {row: "\x03\x0212\x013", want: "\x03\x0212", arm: 3},
		"text that is no number":            {row: "\x01a", bad: true},
		"text, too large a number":          {row: "\x01a\x0232", bad: true},
		"binary, 8 bytes":                   {row: "\x00\x00\x01a\x05\x00\x00\x00\x00\x00\x00\x00", number: longlong, width: 2, want: "\x00\x00\x01a", arm: 5},
		"binary, 4 bytes":                   {row: "\x00\x00\x01a\x05\x00\x00\x00", number: long, width: 2, want: "\x00\x00\x01a", arm: 5},
		"binary, the bitmap loses a byte":   {row: "\x00\xf8\x00\x01a\x05\x00\x00\x00", number: long, width: 7, want: "\x00\xf8\x01a", arm: 5},
		"binary of another type":            {row: "\x00\x00\x01a\x05", number: &wire.Column{Type: wire.TypeTiny}, width: 2, bad: true},
		"binary, cut short":                 {row: "\x00\x00\x05", number: long, width: 1, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			rows := [][]byte{[]byte(c.row)}
			arms, err := cutArms(nil, rows, c.number, c.width, c.width > 0)
			if c.bad {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, string(rows[0]))
			require.Equal(t, []uint8{c.arm}, arms)
		})
	}
}

// Whatever the shards have: where less than the LIMIT of each is said to be
// enough, the first rows are those of all rows.
func TestLessOfEachArmIsEnoughOnlyIfItIs(t *testing.T) {
	type row struct {
		key int
		arm uint8
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "arms")
		s := short{each: rapid.IntRange(1, 6).Draw(t, "each"), sum: rapid.IntRange(1, 15).Draw(t, "sum")}
		var all, asked []row
		for arm := range n {
			keys := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 20).Draw(t, "keys")
			slices.Sort(keys)
			for i, k := range keys {
				all = append(all, row{k, uint8(arm)})
				if i < s.each {
					asked = append(asked, row{k, uint8(arm)})
				}
			}
		}
		byKey := func(a, b row) int { return cmp.Compare(a.key, b.key) }
		slices.SortFunc(all, byKey)
		slices.SortFunc(asked, byKey)
		if !s.enough(len(asked), func(i int) uint8 { return asked[i].arm }) {
			require.Positive(t, len(asked)/s.each, "an arm must have given all it was asked for")
			return
		}
		require.GreaterOrEqual(t, len(asked), min(s.sum, len(all)))
		for i := range min(s.sum, len(all)) {
			require.Equal(t, all[i].key, asked[i].key)
		}
	})
}

// Four shards of one server, asked once for 7 rows each: what the client sees
// and what the server was asked are the same as, or less than, apart.
func TestArmsAreAskedForLessThanTheLimit(t *testing.T) {
	const apart = "rows id int,name text / 1|x LIMIT 10"
	seven := func(arm int, from int) (out string) {
		for i := range 7 {
			out += " / " + strconv.Itoa(from+i) + "|x|" + strconv.Itoa(arm)
		}
		return out
	}
	for name, c := range map[string]struct {
		united   string
		runs     int // statements put together that the second run sends
		prepared bool
		rows     string
	}{
		"the rows of all arms in order, their numbers cut off": {
			united: "rows id int,name text,2 int" + seven(2, 10) + " / 1|y|0 / 12|y|1 / 13|y|3 / 99|y|3", runs: 1,
			rows: "1|y\n10|x\n11|x\n12|x\n12|y\n13|x\n13|y\n14|x\n15|x\n16|x\n",
		},
		"prepared": {
			united: "rows id int,name text,2 int" + seven(3, 10) + " / 1|y|0 / 2|y|1 / 3|y|2", runs: 1, prepared: true,
			rows: "1|y\n2|y\n3|y\n10|x\n11|x\n12|x\n13|x\n14|x\n15|x\n16|x\n",
		},
		"an arm that may have more is asked again for all": {
			united: "rows id int,name text,2 int" + seven(2, 0) + " / 8|y|0 / 9|y|1", runs: 2, rows: "",
		},
		"a number that is none": {united: "rows id int,name text,2 text / 1|y|x", runs: 1, rows: ""},
	} {
		t.Run(name, func(t *testing.T) {
			route := &plan.Route{Together: true}
			limit := &plan.Limit{Input: &plan.MergeSort{Input: route, Keys: []plan.SortKey{{Column: 0, Weight: -1}}}}
			task := oneTask("c0", apart)
			task.Arm = len("rows id int,name text / 1|x")
			var h *habit
			for run := range 2 {
				conns := newScriptedConns(t, "c0")
				conns.servers["c0"].united = c.united
				var taken []string
				var out bytes.Buffer
				req := Request{Conns: countedConns{conns, &taken}, Out: wire.NewWriter(&out), DeprecateEOF: true}
				form := 0
				if c.prepared {
					req.Params, form = scriptedParams{}, 1
				}
				req.Bound = &plan.Bound{Plan: &plan.Plan{Root: limit, ReadOnly: true}, Limits: map[*plan.Limit]plan.ResolvedLimit{limit: {Count: 10}},
					Tasks: plan.Tasks{{Leaf: route, Tasks: []plan.Task{task, task, task, task}}}}
				_, err := Run(t.Context(), &req)
				require.NoError(t, err)
				require.NoError(t, req.Out.Flush())
				conns.done()
				if run == 0 {
					h, _ = route.Learned[form].Load().(*habit)
					h.apart, h.united, h.level, h.ratio = tries, tries, 1, 1
					continue
				}
				rows := c.rows
				if rows == "" { // apart after all
					rows = "1|x LIMIT 10\n1|x LIMIT 10\n1|x LIMIT 10\n1|x LIMIT 10\n"
				}
				require.Equal(t, "shop_0.users.id, shop_0.users.name\n"+rows, clientView(t, out.Bytes(), c.prepared, false))
				alone := 0
				for _, n := range taken {
					if n == "c0×1" {
						alone++
					}
				}
				require.Equal(t, c.runs, alone)
				require.Equal(t, c.runs == 2, h.shortRest > 0 || h.shortFailed > 0)
			}
		})
	}
}
