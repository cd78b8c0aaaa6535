package txn

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
)

func TestVictims(t *testing.T) {
	began := time.Unix(1000, 0)
	holder := func(session uint32) Holder {
		return Holder{Session: session, Began: began.Add(time.Duration(session) * time.Second)}
	}
	holders := []Holder{holder(1), holder(2), holder(3), holder(4)}
	for name, c := range map[string]struct {
		edges map[uint32][]uint32
		want  []uint32
	}{
		"nobody waits":                          {nil, nil},
		"a queue is no circle":                  {map[uint32][]uint32{1: {2}, 2: {3}, 3: {4}}, nil},
		"of two the one that began last goes":   {map[uint32][]uint32{1: {2}, 2: {1}}, []uint32{2}},
		"of three likewise, whoever waits last": {map[uint32][]uint32{1: {3}, 3: {2}, 2: {1}}, []uint32{3}},
		"who waits for a circle is not in it":   {map[uint32][]uint32{1: {2}, 2: {1}, 4: {1}}, []uint32{2}},
		"one victim may break two circles":      {map[uint32][]uint32{1: {4}, 4: {1, 2}, 2: {4}}, []uint32{4}},
		"two circles need two":                  {map[uint32][]uint32{1: {2}, 2: {1}, 3: {4}, 4: {3}}, []uint32{4, 2}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, victims(holders, c.edges)) })
	}
}

// scriptedWaits answers by cluster and query.
type scriptedWaits map[string]map[string]string

func (s scriptedWaits) Clusters() []string                         { return nil }
func (s scriptedWaits) Exec(context.Context, string, string) error { return nil }
func (s scriptedWaits) Select(_ context.Context, cluster, sql string) (rows [][][]byte, err error) {
	answer, ok := s[cluster][sql]
	if !ok {
		return nil, sqlerr.New(1142, "SELECT command denied")
	}
	for _, pair := range strings.Fields(answer) {
		a, b, _ := strings.Cut(pair, ":")
		rows = append(rows, [][]byte{[]byte(a), []byte(b)})
	}
	return rows, nil
}

func TestWhoIsEnded(t *testing.T) {
	asked, guessed := waitQueries[0], guessQuery
	for name, c := range map[string]struct {
		c0, c1 map[string]string
		want   []uint32
	}{
		"servers tell of a circle":                {map[string]string{asked: "11:12 0:1"}, map[string]string{asked: "22:21 0:1"}, []uint32{2}},
		"servers tell of no circle":               {map[string]string{asked: "11:12 0:1"}, map[string]string{asked: "0:1"}, nil},
		"what is told is not guessed":             {map[string]string{asked: "0:1", guessed: "11:1 12:0"}, map[string]string{asked: "22:21 0:1"}, nil},
		"one is told, the other guessed":          {map[string]string{asked: "0:0", guessed: "11:1 12:0"}, map[string]string{asked: "22:21 0:1"}, []uint32{2}},
		"both are guessed":                        {map[string]string{asked: "0:0", guessed: "11:1 12:0"}, map[string]string{guessed: "22:1 21:0"}, []uint32{2}},
		"one guess, one victim":                   {map[string]string{asked: "0:0", guessed: "11:1 12:0 13:0"}, map[string]string{guessed: "22:1 23:1 21:0"}, []uint32{3}},
		"who holds nothing there is not in it":    {map[string]string{asked: "0:0", guessed: "11:1"}, map[string]string{asked: "0:0", guessed: "22:1 21:0"}, nil},
		"who does not wait for long is not in it": {map[string]string{asked: "0:0", guessed: "11:0 12:0"}, map[string]string{asked: "0:0", guessed: "22:1 21:0"}, nil},
		"a server tells nothing at all":           {nil, map[string]string{asked: "22:21 0:1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []uint32
			d := Deadlocks{
				Servers: scriptedWaits{"c0": c.c0, "c1": c.c1}, Break: func(s uint32) { got = append(got, s) }, Log: slog.New(slog.DiscardHandler),
				waiting: map[uint32]int{1: 1, 2: 1, 3: 1}, old: map[string]bool{}, blind: map[string]bool{},
				Holders: func() (out []Holder) {
					for i := range uint32(3) {
						out = append(out, Holder{Session: i + 1, Began: time.Unix(int64(i), 0), Waits: true, Threads: map[string]uint32{"c0": 11 + i, "c1": 21 + i}})
					}
					return out
				},
			}
			d.look(t.Context())
			require.Equal(t, c.want, got)
		})
	}
}

// twoServals share two clusters: session 1 of each waits for the other's, on
// different clusters. What they tell each other is kept by cluster.
type twoServals struct {
	rows  map[string][][][]byte
	waits map[string]string
}

func (s *twoServals) Clusters() []string { return nil }

func (s *twoServals) Exec(_ context.Context, cluster, sql string) error {
	values, ok := strings.CutPrefix(sql, "REPLACE INTO serval_meta.waiting VALUES (")
	if !ok {
		return nil
	}
	if s.rows == nil { // the table is not there yet
		s.rows = map[string][][][]byte{}
		return sqlerr.New(sqlerr.NoSuchTable, "no such table")
	}
	var row [][]byte
	for _, v := range strings.Split(values, ", ")[:3] {
		row = append(row, []byte(strings.Trim(v, "'")))
	}
	s.rows[cluster] = append(s.rows[cluster], row)
	return nil
}

func (s *twoServals) Select(ctx context.Context, cluster, sql string) ([][][]byte, error) {
	if sql == readWaiting {
		return s.rows[cluster], nil
	}
	return scriptedWaits{cluster: {waitQueries[0]: s.waits[cluster]}}.Select(ctx, cluster, sql)
}

func TestTheYoungerOfTwoServalsTransactionsIsEnded(t *testing.T) {
	servers := &twoServals{waits: map[string]string{"c0": "11:12 0:1", "c1": "22:21 0:1"}}
	var gone []string
	serval := func(name string, began int64, c0, c1 uint32) *Deadlocks {
		return &Deadlocks{
			Servers: servers, name: name, Log: slog.New(slog.DiscardHandler), old: map[string]bool{}, blind: map[string]bool{}, Break: func(uint32) { gone = append(gone, name) },
			Holders: func() []Holder {
				return []Holder{{Session: 1, Began: time.Unix(began, 0), Waits: true, Threads: map[string]uint32{"c0": c0, "c1": c1}}}
			},
		}
	}
	a, b := serval("a", 100, 11, 21), serval("b", 101, 12, 22)
	for range patience - 1 {
		a.look(t.Context())
		b.look(t.Context())
	}
	require.Empty(t, servers.rows, "they are patient")
	for range 2 {
		a.look(t.Context())
	}
	require.Empty(t, gone, "the other has not told who it is")
	b.look(t.Context())
	a.look(t.Context())
	require.Equal(t, []string{"b"}, gone)
}
