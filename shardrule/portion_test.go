package shardrule

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func placementOf(t *testing.T, rule Rule, shards int, periods ...Period) *Placement {
	t.Helper()
	a, err := rule.Algorithm(shards, Periods{Table: "t", List: periods})
	require.NoError(t, err)
	c := Column{Name: "k", Type: TypeInt, Bits: 64}
	if len(periods) > 0 {
		c = Column{Name: "k", Type: TypeDate}
	}
	if b, ok := a.(Binder); ok {
		a, err = b.Bind(c, nil)
		require.NoError(t, err)
	}
	return &Placement{Kind: Sharded, Algorithm: a, Column: c}
}

func pairs(list ...string) Arg {
	var a Arg
	for i := 0; i < len(list); i += 2 {
		a.Pairs = append(a.Pairs, Pair{Key: list[i], Value: list[i+1]})
	}
	return a
}

func TestShardsOfTwoRulesThatHaveTheSameRows(t *testing.T) {
	rule := func(name, param string, a Arg) Rule {
		return Rule{Name: name, Columns: []string{"k"}, Args: Args{param: a}}
	}
	four := placementOf(t, Rule{Name: "hash", Columns: []string{"k"}}, 4)
	eight := placementOf(t, Rule{Name: "hash", Columns: []string{"k"}}, 8)
	two := placementOf(t, rule("range", "ranges", pairs("0-99", "0", "100-", "1")), 0)
	cut := placementOf(t, rule("range", "ranges", pairs("0-99", "0", "100-199", "1", "200-", "2")), 0)
	listed := placementOf(t, rule("list", "values", pairs("1", "0", "2", "1")), 0)
	longer := placementOf(t, rule("list", "values", pairs("1", "0", "2", "1", "3", "1")), 0)
	months := placementOf(t, Rule{Name: "month", Columns: []string{"k"}}, 0, 24310, 24311)
	later := placementOf(t, Rule{Name: "month", Columns: []string{"k"}}, 0, 24311, 24312)
	years := placementOf(t, Rule{Name: "year", Columns: []string{"k"}}, 0, 2025, 2026)
	given := placementOf(t, rule("hash", "slots", pairs("0", "0-299", "1", "300-511", "2", "512-767", "3", "768-1023")), 4)
	other := *four
	other.Column.Name = "other"
	for _, c := range []struct {
		name string
		p    *Placement
		i    int
		q    *Placement
		j    int
		same bool
	}{
		{"the same rule keeps its shards", four, 2, four, 2, true},
		{"and no shard is another", four, 2, four, 1, false},
		{"twice the shards have other rows each", four, 0, eight, 0, false},
		{"another column has other rows", four, 0, &other, 0, false},
		{"a shard whose slots are given as they were stays", four, 2, given, 2, true},
		{"one that lost slots does not", four, 1, given, 1, false},
		{"a range that was not cut stays", two, 0, cut, 0, true},
		{"one that was cut does not", two, 1, cut, 1, false},
		{"a list's value of its own stays", listed, 0, longer, 0, true},
		{"a shard that gets one more value does not", listed, 1, longer, 1, false},
		{"a month is the same month under another number", months, 1, later, 0, true},
		{"and no other month", months, 0, later, 0, false},
		{"a year is no month", months, 0, years, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.same, SameRows(c.p, c.i, c.q, c.j)) })
	}
}

func TestTheShardOfTheRestStaysWhileTheOthersKeepTheirs(t *testing.T) {
	args := func(n string, values ...string) Rule {
		return Rule{Name: "list", Columns: []string{"k"}, Args: Args{"values": pairs(values...), "default": Arg{Text: n}}}
	}
	p := placementOf(t, args("2", "1", "0", "2", "1"), 0)
	q := placementOf(t, args("2", "1", "0", "2", "1", "3", "0"), 0)
	require.True(t, SameRows(p, 2, p, 2))
	require.False(t, SameRows(p, 2, q, 2), "a value was taken from it")
	require.True(t, SameRows(p, 1, q, 1))
}

func TestShardsOfRulesOfSeveralColumns(t *testing.T) {
	at, id := Column{Name: "at", Type: TypeDate}, Column{Name: "id", Type: TypeInt, Bits: 64}
	other := Column{Name: "other", Type: TypeInt, Bits: 64}
	month := func(periods ...Period) Algorithm {
		return placementOf(t, Rule{Name: "month", Columns: []string{"at"}}, 0, periods...).Algorithm
	}
	hash := func(n int) Algorithm { return placementOf(t, Rule{Name: "hash", Columns: []string{"id"}}, n).Algorithm }
	of := func(parts ...Part) *Placement {
		stride := 1
		for i := len(parts) - 1; i >= 0; i-- {
			parts[i].Stride = stride
			if !parts[i].Or {
				stride *= parts[i].Algorithm.Shards()
			}
		}
		return &Placement{Kind: Sharded, Algorithm: NewComposite(parts), Parts: parts}
	}
	one := func(c Column, a Algorithm) *Placement { return &Placement{Kind: Sharded, Algorithm: a, Column: c} }
	for _, c := range []struct {
		name string
		p    *Placement
		i    int
		q    *Placement
		j    int
		same bool
	}{
		{"a month more leaves the others where they are", of(Part{Column: at, Algorithm: month(24310, 24311)}, Part{Column: id, Algorithm: hash(2)}), 3,
			of(Part{Column: at, Algorithm: month(24311, 24312)}, Part{Column: id, Algorithm: hash(2)}), 1, true},
		{"the other half of a month is not the same", of(Part{Column: at, Algorithm: month(24310, 24311)}, Part{Column: id, Algorithm: hash(2)}), 3,
			of(Part{Column: at, Algorithm: month(24311, 24312)}, Part{Column: id, Algorithm: hash(2)}), 0, false},
		{"the order of the functions is none of the rows'", of(Part{Column: other, Algorithm: hash(2)}, Part{Column: id, Algorithm: hash(3)}), 5,
			of(Part{Column: id, Algorithm: hash(3)}, Part{Column: other, Algorithm: hash(2)}), 5, true},
		{"nor its places' numbers", of(Part{Column: other, Algorithm: hash(2)}, Part{Column: id, Algorithm: hash(3)}), 4,
			of(Part{Column: id, Algorithm: hash(3)}, Part{Column: other, Algorithm: hash(2)}), 4, false},
		{"a month is not a part of it", one(at, month(24310)), 0, of(Part{Column: at, Algorithm: month(24310)}, Part{Column: id, Algorithm: hash(2)}), 0, false},
		{"either of two columns takes fewer rows than one of them", of(Part{Column: id, Algorithm: hash(2)}, Part{Column: other, Algorithm: hash(2), Or: true}), 1, one(id, hash(2)), 1, false},
		{"either is the other way round the same", of(Part{Column: id, Algorithm: hash(2)}, Part{Column: other, Algorithm: hash(2), Or: true}), 1,
			of(Part{Column: other, Algorithm: hash(2)}, Part{Column: id, Algorithm: hash(2), Or: true}), 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.same, SameRows(c.p, c.i, c.q, c.j))
			require.Equal(t, c.same, SameRows(c.q, c.j, c.p, c.i))
		})
	}
	for _, c := range []struct {
		name   string
		p, q   *Placement
		splits bool
	}{
		{"a month is cut up by another column", one(at, month(24310)), of(Part{Column: at, Algorithm: month(24310, 24311)}, Part{Column: id, Algorithm: hash(2)}), true},
		{"its parts come together", of(Part{Column: at, Algorithm: month(24310)}, Part{Column: id, Algorithm: hash(2)}), one(at, month(24310)), false},
		{"twice as many in each month", of(Part{Column: at, Algorithm: month(24310)}, Part{Column: id, Algorithm: hash(2)}), of(Part{Column: at, Algorithm: month(24310)}, Part{Column: id, Algorithm: hash(4)}), true},
		{"half as many more do not", of(Part{Column: at, Algorithm: month(24310)}, Part{Column: id, Algorithm: hash(2)}), of(Part{Column: at, Algorithm: month(24310)}, Part{Column: id, Algorithm: hash(3)}), false},
		{"one of two columns says it, too", of(Part{Column: id, Algorithm: hash(2)}, Part{Column: other, Algorithm: hash(2), Or: true}), one(other, hash(4)), true},
		{"another column says nothing", one(id, hash(2)), one(other, hash(2)), false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.splits, Splits(c.p, c.q)) })
	}
}
