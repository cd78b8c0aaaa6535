package catalog

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shop(fold bool) *Catalog {
	users := &Table{Name: "users"}
	return &Catalog{
		Home: "c9", FoldNames: fold,
		Schemas: map[string]*Schema{
			"shop": {Name: "shop", Home: "c0", Tables: map[string]*Table{"users": users, "größe": {Name: "größe"}}},
			"bare": {Name: "bare"},
		},
	}
}

func TestTableIsFoundAsTheServersCompareNames(t *testing.T) {
	for _, c := range []struct {
		why           string
		fold          bool
		schema, table string
		want          bool
	}{
		{"the same name", false, "shop", "users", true},
		{"another case is another table", false, "shop", "Users", false},
		{"another schema", false, "other", "users", false},
		{"a table without a rule", false, "shop", "carts", false},
		{"folded: another case is the same table", true, "SHOP", "UseRS", true},
		{"folded: letters beyond ASCII too", true, "shop", "GRÖßE", true},
		{"folded: a name no server takes", true, "shop", strings.Repeat("u", 300), false},
	} {
		got := shop(c.fold).Table(c.schema, c.table)
		require.Equal(t, c.want, got != nil, c.why)
	}
}

func TestHomeIsTheSchemasOwnOrTheGeneralOne(t *testing.T) {
	c := shop(true)
	require.Equal(t, "c0", c.HomeOf("Shop"))
	require.Equal(t, "c9", c.HomeOf("bare"), "a schema without home")
	require.Equal(t, "c9", c.HomeOf("unknown"))
}

func TestTableDoesNotAllocate(t *testing.T) {
	for _, fold := range []bool{false, true} {
		c := shop(fold)
		require.Zero(t, testing.AllocsPerRun(100, func() { c.Table("shop", "Users") }))
	}
}

func TestPublishGivesTheNextVersionAndSignalsOnce(t *testing.T) {
	s := NewStore(&Catalog{})
	a, b := s.Subscribe(), s.Subscribe()
	first, second := &Catalog{Home: "c1"}, &Catalog{Home: "c2"}
	s.Publish(first)
	s.Publish(second) // nobody reads meanwhile, and Publish does not wait
	require.Equal(t, uint64(1), first.Version)
	require.Equal(t, uint64(2), second.Version)
	require.Same(t, second, s.Load())
	for _, ch := range []<-chan struct{}{a, b} {
		require.Len(t, ch, 1)
		<-ch
	}
}

func TestLoadDuringPublishSeesWholeCatalogs(t *testing.T) {
	s := NewStore(&Catalog{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := uint64(0)
			for last < 100 {
				v := s.Load().Version
				require.GreaterOrEqual(t, v, last, "versions only grow")
				last = v
			}
		})
	}
	for range 100 {
		s.Publish(&Catalog{})
	}
	readers.Wait()
}

func TestAHoldEndsForAllWhoWait(t *testing.T) {
	s := NewStore(&Catalog{})
	s.Release() // there is none
	require.Nil(t, s.Held())
	s.Hold("first")
	h := s.Held()
	s.Hold("second")
	require.Same(t, h, s.Held(), "one hold at a time")
	require.Equal(t, "first", h.Why)
	s.Release()
	<-h.Over
	require.Nil(t, s.Held())
}

func TestAHoldOfWritesBecomesOneOfEverything(t *testing.T) {
	s := NewStore(&Catalog{})
	s.HoldWrites("tables move")
	writes := s.Held()
	require.True(t, writes.Writes)
	s.Hold("they are renamed")
	<-writes.Over // who waits looks again
	all := s.Held()
	require.False(t, all.Writes)
	s.HoldWrites("again")
	require.Same(t, all, s.Held(), "less is no reason to let go")
	s.Release()
	<-all.Over
}

func BenchmarkTable(b *testing.B) {
	for _, fold := range []bool{false, true} {
		c := shop(fold)
		b.Run(map[bool]string{false: "exact", true: "folded"}[fold], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Table("shop", "users")
			}
		})
	}
}

func TestStatementsGoOnUntilAPromiseEnds(t *testing.T) {
	s := NewStore(&Catalog{})
	s.Until(time.Now().Add(time.Hour), "asked")
	require.Nil(t, s.Held())

	s.Until(time.Now().Add(-time.Millisecond), "the store is silent")
	h := s.Held()
	require.NotNil(t, h)
	require.Equal(t, "the store is silent", h.Why)
	require.False(t, h.Writes)
	s.HoldWrites("tables move")
	require.Equal(t, "the store is silent", s.Held().Why, "a hold of writes is the smaller one")

	s.Until(time.Time{}, "")
	_, open := <-h.Over
	require.False(t, open, "who waits looks again")
	require.True(t, s.Held().Writes)
	s.Release()
	require.Nil(t, s.Held())
}
