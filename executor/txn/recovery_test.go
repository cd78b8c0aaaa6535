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
	removed  bool // from the configuration
}

func (s *oneServer) Clusters() []string {
	if s.removed {
		return []string{"c0"}
	}
	return []string{"c1"}
}

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
	for _, err := range []error{errors.New("connection refused"), sqlerr.New(sqlerr.OptionPreventsWrite, "Cluster c1 has no primary")} { // the fleet tells of these
		s.err = err
		r.Round(t.Context(), time.Unix(0, 0))
	}
	require.Equal(t, 1, told())
}

func TestABranchOfAnotherServalIsEndedAsDecided(t *testing.T) {
	s := &oneServer{branches: [][][]byte{branchRow("serval:other:1", "1:c0"), branchRow("serval:other", "x"), branchRow("theirs", "1:c0")}}
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

// A cluster that is taken out of the configuration takes no branch with it
// unnoticed, neither one that was seen nor one that a COMMIT could not end.
func TestABranchOfAClusterThatIsTakenOutIsTold(t *testing.T) {
	var log bytes.Buffer
	seen := branchRow("serval:other:1", "1:c0")
	s := &oneServer{branches: [][][]byte{seen}}
	r := NewRecovery(s, slog.New(slog.NewTextHandler(&log, nil)), nil)
	now := time.Unix(1000, 0)
	r.Round(t.Context(), now)
	name := r.Name()
	s.removed, s.branches = true, nil
	r.Ended("c0", name, true, []Branch{{Cluster: "c1", First: "c0", GTRID: name, XID: xid(name, 1, "c0")}})
	for range 3 {
		r.Round(t.Context(), now)
		require.Len(t, r.Branches(), 2)
		for _, b := range r.Branches() {
			require.Equal(t, "c1", b.Cluster)
			require.Contains(t, b.Trouble, "cluster c1 is not in the configuration any more")
		}
	}
	require.Equal(t, 2, strings.Count(log.String(), "level=WARN"))
	require.Empty(t, s.ran, "nothing is decided, and no decision is deleted")

	s.removed, s.branches = false, [][][]byte{seen}
	r.Round(t.Context(), now)
	require.Len(t, r.Branches(), 1, "the other one was ended there")
	require.Empty(t, r.Branches()[0].Trouble)
}

func branchRow(gtrid, bqual string) [][]byte {
	return [][]byte{[]byte("1"), []byte(strconv.Itoa(len(gtrid))), []byte(strconv.Itoa(len(bqual))), []byte(gtrid + bqual)}
}

// recoveries counts branches by whether they were committed.
type recoveries map[bool]int

func (r recoveries) Recovered(committed bool)         { r[committed]++ }
func (recoveries) AtomicCommit(string, time.Duration) {}
func (recoveries) Halved(int)                         {}
