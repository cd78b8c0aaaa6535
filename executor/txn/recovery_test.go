package txn

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
)

// oneServer is a cluster that answers XA RECOVER with err or its branches.
type oneServer struct {
	err      error
	branches [][][]byte
	ran      []string
	refuses  map[string]error
}

func (s *oneServer) Clusters() []string { return []string{"c1"} }

func (s *oneServer) Select(_ context.Context, _, sql string) ([][][]byte, error) {
	if sql == "XA RECOVER" {
		return s.branches, s.err
	}
	return [][][]byte{{[]byte("commit")}}, nil
}

func (s *oneServer) Exec(_ context.Context, cluster, sql string) error {
	s.ran = append(s.ran, cluster+": "+sql)
	for prefix, err := range s.refuses {
		if strings.HasPrefix(sql, prefix) {
			return err
		}
	}
	return nil
}

func TestARefusedRecoverIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	s := &oneServer{err: sqlerr.New(1401, "XAER_RMERR: Fatal error occurred in the transaction branch - check your data for consistency")}
	r := NewRecovery(s, slog.New(slog.NewTextHandler(&log, nil)), nil)
	told := func() int { return strings.Count(log.String(), "XA_RECOVER_ADMIN") }
	for range 3 {
		r.Round(t.Context(), time.Unix(0, 0))
	}
	require.Equal(t, 1, told())
	s.err = nil
	r.Round(t.Context(), time.Unix(0, 0))
	s.err = errors.New("connection refused") // the fleet tells of that
	r.Round(t.Context(), time.Unix(0, 0))
	require.Equal(t, 1, told())
}

func TestABranchOfAnotherServalIsEndedAsDecided(t *testing.T) {
	branch := func(gtrid, bqual string) [][]byte {
		return [][]byte{[]byte("1"), []byte(strconv.Itoa(len(gtrid))), []byte(strconv.Itoa(len(bqual))), []byte(gtrid + bqual)}
	}
	s := &oneServer{branches: [][][]byte{branch("serval:other:1", "1:c0"), branch("serval:other", "x"), branch("theirs", "1:c0")}}
	counted := recoveries{}
	r := NewRecovery(s, slog.New(slog.DiscardHandler), counted)
	began := time.Unix(1000, 0)
	r.Round(t.Context(), began)
	require.Empty(t, s.ran, "it may be in the middle of its commit")
	require.Len(t, r.Branches(), 1, "an application's own branches are its own")

	r.Round(t.Context(), began.Add(recoverAfter))
	require.Equal(t, []string{"c0: " + insertDecision("serval:other:1", "abort"), "c1: XA ROLLBACK 'serval:other:1','1:c0'"}, s.ran)
	require.Empty(t, r.Branches())

	s.ran, s.refuses = nil, map[string]error{"INSERT": sqlerr.New(errDuplicate, "Duplicate entry")}
	r.Round(t.Context(), began)
	r.Round(t.Context(), began.Add(recoverAfter))
	require.Equal(t, "c1: XA COMMIT 'serval:other:1','1:c0'", s.ran[len(s.ran)-1], "the decision was there")
	require.Equal(t, recoveries{false: 1, true: 1}, counted)
}

// recoveries counts branches by whether they were committed.
type recoveries map[bool]int

func (r recoveries) Recovered(committed bool)         { r[committed]++ }
func (recoveries) AtomicCommit(string, time.Duration) {}
