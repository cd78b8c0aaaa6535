package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// residents are rows with unique emails, of which each worker has its own. What
// a worker was told is there is there, under that email and no other.
type residents struct {
	*bank
	mu   sync.Mutex
	rows map[int64]string // what was acknowledged, by id; guarded by mu
	// unsure are rows of which a statement's outcome is not known.
	unsure map[int64]bool
	counts map[string]int
}

func newResidents(t *testing.T, s *serverSet) *residents {
	t.Helper()
	h := &residents{bank: &bank{clusters: s.Clusters(t), schema: schemaOf(t), listen: freeAddr(t), admin: freeAddr(t)},
		rows: map[int64]string{}, unsure: map[int64]bool{}, counts: map[string]int{}}
	dropSchema(t, h.clusters, h.schema)
	t.Cleanup(func() { dropSchema(t, h.clusters, h.schema) })
	cfg := settings{Schema: h.schema, Tables: fmt.Sprintf(uniqueTables, 4), Clusters: clusterLines(h.clusters)}
	h.config = filepath.Join(t.TempDir(), "uniq.yaml")
	require.NoError(t, os.WriteFile(h.config, []byte(cfg.yaml(h.listen, h.admin)), 0o600))
	p := h.serve(t, binary)
	c := oneConn(t, p.open(t, ""))
	mustExec(t, c, "CREATE DATABASE "+h.schema, "USE "+h.schema)
	mustExec(t, c, uniqueCreates...)
	p.stop(t)
	return h
}

// work has workers change their rows until ctx ends or Serval is gone.
func (h *residents) work(ctx context.Context, t *testing.T, p *serval, seed uint64, started func()) {
	t.Helper()
	db := p.open(t, h.schema)
	var workers sync.WaitGroup
	var errs errorList
	conns := make([]*sql.Conn, 8)
	for w := range conns { // all of them: a worker may have Serval killed
		conns[w] = oneConn(t, db)
	}
	started()
	for w, conn := range conns {
		r := rand.New(rand.NewPCG(uint64(w), seed))
		workers.Go(func() {
			for ctx.Err() == nil {
				if err := h.step(context.WithoutCancel(ctx), conn, int64(w), r); err != nil {
					select {
					case <-p.done: // that is why
					case <-time.After(5 * time.Second):
						errs.add(err)
					}
					return
				}
			}
		})
	}
	workers.Wait()
	require.NoError(t, errs.first())
}

// step is one transaction of one worker: one statement, or several that may be
// rolled back. Emails are of a small pool that all share.
func (h *residents) step(ctx context.Context, c *sql.Conn, w int64, r *rand.Rand) error {
	id, email := 100*(w+1)+int64(r.IntN(6)), fmt.Sprintf("e%d@x", r.IntN(40))
	h.mu.Lock()
	had, unsure := h.rows[id], h.unsure[id]
	h.mu.Unlock()
	if unsure {
		return nil // nobody knows what it is
	}
	var statement, after string
	kind := r.IntN(10)
	switch {
	case had == "":
		statement, after = fmt.Sprintf("INSERT INTO members (id, email, name) VALUES (%d, '%s', 'w%d')", id, email, w), email
	case kind < 3:
		statement = fmt.Sprintf("DELETE FROM members WHERE id = %d", id)
	case kind < 5:
		statement = fmt.Sprintf("DELETE FROM members WHERE email = '%s' AND id = %d", had, id)
	case kind < 8:
		statement, after = fmt.Sprintf("UPDATE members SET email = '%s' WHERE id = %d", email, id), email
	default:
		return h.read(ctx, c, id, had)
	}
	rollback := r.IntN(5) == 0
	statements := []string{statement}
	if rollback {
		statements = []string{"BEGIN", statement, "ROLLBACK"}
	} else if r.IntN(4) == 0 {
		statements = []string{"BEGIN", "UPDATE members SET name = CONCAT(name, '.') WHERE id = 999", statement, "COMMIT"}
	}
	h.mark(id, true) // until it is known
	for _, s := range statements {
		var e *mysql.MySQLError
		_, err := c.ExecContext(ctx, s)
		switch {
		case err == nil:
		case errors.As(err, &e) && (e.Number == 1062 || deadlock(err)):
			h.count(fmt.Sprint(e.Number))
			h.mark(id, false)
			_, err = c.ExecContext(ctx, "ROLLBACK")
			return err
		default:
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.unsure, id)
	switch h.counts["done"]++; {
	case rollback:
	case after == "":
		delete(h.rows, id)
	default:
		h.rows[id] = after
	}
	return nil
}

// read looks for the worker's own row by its email, which nobody else changes.
func (h *residents) read(ctx context.Context, c *sql.Conn, id int64, email string) error {
	var got int64
	err := c.QueryRowContext(ctx, "SELECT id FROM members WHERE email = ?", email).Scan(&got)
	if err == nil && got != id || errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("the row of %s is not found, but %d: %w", email, got, errors.Join(err, errWrongRow))
	}
	h.count("read")
	return err
}

var errWrongRow = errors.New("a row that was acknowledged is not found by its unique key")

func (h *residents) mark(id int64, unsure bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unsure[id] = unsure; !unsure {
		delete(h.unsure, id)
	}
}

func (h *residents) count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[what]++
}

// check: every acknowledged row is there with its email, no email is there twice,
// and the lookup tables say the same.
func (h *residents) check(t *testing.T, p *serval) {
	t.Helper()
	c := oneConn(t, p.open(t, h.schema))
	mustExec(t, c, "SET serval_consistency = 'global'")
	there, taken := map[string]string{}, map[string]string{}
	for _, row := range allRows(t, c, "SELECT id, email FROM members") {
		id, email, _ := strings.Cut(row, "|")
		there[id] = email
		require.Empty(t, taken[email], "%s and %s have %s", id, taken[email], email)
		taken[email] = id
	}
	for id, email := range h.rows {
		if !h.unsure[id] {
			require.Equal(t, email, there[fmt.Sprint(id)], "row %d", id)
		}
		delete(there, fmt.Sprint(id))
	}
	for id := range there {
		var n int64
		_, err := fmt.Sscan(id, &n)
		require.NoError(t, err)
		require.True(t, h.unsure[n], "row %s is there and was deleted or never acknowledged", id)
	}
	requireKept(t, c, "all")
	t.Logf("%d rows, of %d unsure; %v", len(h.rows), len(h.unsure), h.counts)
}

// No crash of Serval parts a row from its lookup rows.
func TestNoCrashPartsARowFromItsLookupRows(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		faulty := buildFaulty(t)
		h := newResidents(t, s)
		for i, point := range faultPoints {
			p := h.serve(t, faulty, "SERVAL_FAULT="+point)
			h.until(t, p, uint64(i), func() {})
		}
		for i := range 3 {
			p := h.serve(t, binary)
			h.until(t, p, uint64(100+i), func() {
				time.AfterFunc(time.Duration(200+150*i)*time.Millisecond, func() { _ = p.cmd.Process.Kill() }) // any moment will do
			})
		}
		p := h.serve(t, binary)
		h.awaitRecovery(t)
		h.check(t, p)
	})
}

// until works until Serval is killed.
func (h *residents) until(t *testing.T, p *serval, seed uint64, started func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h.awaitRecovery(t)
	for id := range h.unsure { // what the last one left
		delete(h.rows, id)
		for _, c := range h.clusters {
			for shard := range 4 {
				var email string
				err := c.Primary.DB().QueryRowContext(ctx, fmt.Sprintf("SELECT email FROM %s_%d.members WHERE id = %d", h.schema, shard, id)).Scan(&email)
				if err == nil {
					h.rows[id] = email
				}
			}
		}
	}
	h.unsure = map[int64]bool{}
	h.work(ctx, t, p, seed, started)
	p.awaitKilled(t)
}

// The second session that inserts a value waits for the first, and fails or goes
// on as the first ends.
func TestUniqueWaitsForTheFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		h := newResidents(t, s)
		p := h.serve(t, binary)
		first, second := oneConn(t, p.open(t, h.schema)), oneConn(t, p.open(t, h.schema))
		mustExec(t, first, "SET serval_consistency = 'global'") // it reads what the second has written
		for i, end := range []string{"COMMIT", "ROLLBACK"} {
			insert := func(c *sql.Conn, id int) error {
				_, err := c.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO members (id, email) VALUES (%d, 'w%d@x')", id, i))
				return err
			}
			mustExec(t, first, "BEGIN")
			require.NoError(t, insert(first, 10*i+1))
			done := make(chan error, 1)
			go func() { done <- insert(second, 10*i+2) }()
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			case <-time.After(300 * time.Millisecond):
			}
			mustExec(t, first, end)
			err := <-done
			if end == "ROLLBACK" {
				require.NoError(t, err)
				continue
			}
			var e *mysql.MySQLError
			require.ErrorAs(t, err, &e)
			require.Equal(t, uint16(1062), e.Number)
			key := "members.email"
			if s.engine.String() == "mariadb" {
				key = "email"
			}
			require.Equal(t, "Duplicate entry 'w0@x' for key '"+key+"'", e.Message)
		}
		s.sync(t)
		requireKept(t, first, "waiting")
	})
}
