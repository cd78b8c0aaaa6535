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
				waiting: map[uint32]bool{1: true, 2: true, 3: true}, old: map[string]bool{}, blind: map[string]bool{},
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
