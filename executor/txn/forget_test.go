package txn

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// decisions is a cluster with a table of decisions.
type decisions struct {
	rows map[string]bool
	lost error
	ran  []string
}

func (d *decisions) Clusters() []string { return []string{"c0"} }

func (d *decisions) Select(_ context.Context, _, sql string) (out [][][]byte, err error) {
	if d.lost != nil || sql == "XA RECOVER" {
		return nil, d.lost
	}
	for name := range d.rows {
		if strings.Contains(sql, quoted(name)) {
			out = append(out, [][]byte{[]byte(name)})
		}
	}
	return out, nil
}

func (d *decisions) Exec(_ context.Context, _, sql string) error {
	d.ran = append(d.ran, sql)
	for name := range d.rows {
		if strings.HasPrefix(sql, "DELETE") && strings.Contains(sql, quoted(name)) {
			delete(d.rows, name)
		}
	}
	return d.lost
}

func (d *decisions) committed(r *Recovery) string {
	name := r.Name()
	d.rows[name] = true
	r.Ended("c0", name, true, nil)
	return name
}

func TestDecisionsAreForgottenWhenTheyAreOld(t *testing.T) {
	var log bytes.Buffer
	d := &decisions{rows: map[string]bool{}}
	counted := &halves{}
	r := NewRecovery(d, slog.New(slog.NewTextHandler(&log, nil)), counted)
	a, b := d.committed(r), d.committed(r)
	now := time.Now()

	r.Round(t.Context(), now.Add(keepDecision/2))
	require.Len(t, d.rows, 2, "a branch may be prepared again by a failover")

	d.lost = errors.New("connection refused")
	r.Round(t.Context(), now.Add(2*keepDecision))
	d.lost = nil
	require.Len(t, d.rows, 2)

	delete(d.rows, a) // the primary is another one, which had not got it
	r.Round(t.Context(), now.Add(2*keepDecision))
	require.Empty(t, d.rows)
	require.Equal(t, 1, counted.n)
	require.Contains(t, log.String(), a)
	require.NotContains(t, log.String(), b)
	ran := len(d.ran)
	r.Round(t.Context(), now.Add(2*keepDecision))
	require.Len(t, d.ran, ran, "there is nothing left to do")
}

func TestDecisionsAreForgottenEarlierWhereTheyAreMany(t *testing.T) {
	d := &decisions{rows: map[string]bool{}}
	r := NewRecovery(d, slog.New(slog.DiscardHandler), nil)
	for range mostKept + forgetBatch + 1 {
		r.Ended("c0", r.Name(), true, nil)
	}
	r.Round(t.Context(), time.Now())
	require.Len(t, d.ran, 2)
	require.Len(t, r.mu.needless["c0"], mostKept)
}

func TestDecisionsAreForgottenWhenServalEnds(t *testing.T) {
	d := &decisions{rows: map[string]bool{}}
	r := NewRecovery(d, slog.New(slog.DiscardHandler), nil)
	d.committed(r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx)
	require.Empty(t, d.rows)
}

// halves counts transactions that are half there.
type halves struct {
	recoveries
	n int
}

func (h *halves) Halved(n int) { h.n += n }
