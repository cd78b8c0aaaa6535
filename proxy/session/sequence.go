package session

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// sequenceBlock is how many numbers are reserved at once. A Serval that stops
// leaves a gap of at most that many, as a server's restart may.
const sequenceBlock = 1000

// ServerSequences hands out auto-increment numbers. Every Serval reserves
// blocks from one row of serval_meta.sequences on the schema's home cluster,
// and hands out of its block without asking. Safe for concurrent use.
//
// Numbers of several Servals are not in the order of time, but never the same:
// the row is moved by one UPDATE.
type ServerSequences struct {
	catalog *catalog.Store
	fleet   Fleet

	mu     sync.Mutex
	tables map[tableKey]*sequence // guarded by mu
	flakes map[string]*snowflake  // by home cluster; guarded by mu
}

type tableKey struct{ schema, table string }

// sequence is one table's block.
type sequence struct {
	mu   sync.Mutex
	next uint64 // the next number, if below end
	end  uint64 // guarded by mu, as is next
	// used is above every number handed out here: a promoted replica may have
	// lost the row's last moves.
	used uint64
}

// NewSequences makes the source.
func NewSequences(store *catalog.Store, fleet Fleet) *ServerSequences {
	return &ServerSequences{catalog: store, fleet: fleet, tables: map[tableKey]*sequence{}, flakes: map[string]*snowflake{}}
}

var _ Sequences = (*ServerSequences)(nil)

func (q *ServerSequences) of(schema, table string) *sequence {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := tableKey{schema, table}
	s := q.tables[k]
	if s == nil {
		s = &sequence{}
		q.tables[k] = s
	}
	return s
}

// snowflakes reports whether the table's numbers are of that kind, and on which
// cluster the workers are told apart.
func (q *ServerSequences) snowflakes(schema, table string) (home string, ok bool) {
	cat := q.catalog.Load()
	t := cat.Table(schema, table)
	return cat.HomeOf(schema), t != nil && t.Snowflake
}

func (q *ServerSequences) flake(home string) *snowflake {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.flakes[home]
	if f == nil {
		f = newSnowflake()
		q.flakes[home] = f
	}
	return f
}

// Reserve implements Sequences.
func (q *ServerSequences) Reserve(ctx context.Context, schema, table string, n int) (uint64, error) {
	if n <= 0 {
		return 0, sqlerr.New(sqlerr.UnknownError, "Serval: %d auto-increment numbers were asked for", n)
	}
	if home, ok := q.snowflakes(schema, table); ok {
		return q.flake(home).reserve(ctx, n, time.Now, q.renew(home))
	}
	s := q.of(schema, table)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end-s.next < uint64(n) {
		first, err := q.block(ctx, schema, table, s.used, uint64(max(n, sequenceBlock)))
		if err != nil {
			return 0, err
		}
		s.next, s.end = first, first+uint64(max(n, sequenceBlock))
	}
	first := s.next
	s.next += uint64(n)
	s.used = s.next
	return first, nil
}

// Forget gives up the blocks that are held: where a table was in one place
// meanwhile, its server may have given their numbers.
func (q *ServerSequences) Forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.tables {
		s.mu.Lock()
		s.next, s.end = 0, 0
		s.mu.Unlock()
	}
}

// Observe implements Sequences. A number within or above the block moves the
// row; the rest of the block up to it is given up.
func (q *ServerSequences) Observe(ctx context.Context, schema, table string, largest uint64) error {
	if _, ok := q.snowflakes(schema, table); ok {
		return nil // a number from elsewhere is taken as it is
	}
	s := q.of(schema, table)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case largest < s.next:
		return nil
	case largest < s.end:
		s.next = largest + 1
		return nil
	case largest == ^uint64(0):
		return nil // nothing is above it
	}
	s.next, s.end = 0, 0
	return q.onPrimary(ctx, schema, func(c *backend.Conn) error {
		if err := q.ensure(ctx, c, schema, table); err != nil {
			return err
		}
		_, err := c.Exec(ctx, fmt.Sprintf("UPDATE serval_meta.sequences SET next = GREATEST(next, %d) WHERE %s", largest+1, rowOf(schema, table)))
		return err
	})
}

func rowOf(schema, table string) string {
	return "schema_name = " + quoteText(schema) + " AND table_name = " + quoteText(table)
}

// block reserves n numbers in the row, none below from.
func (q *ServerSequences) block(ctx context.Context, schema, table string, from, n uint64) (first uint64, err error) {
	err = q.onPrimary(ctx, schema, func(c *backend.Conn) error {
		update := fmt.Sprintf("UPDATE serval_meta.sequences SET next = LAST_INSERT_ID(GREATEST(next, %d)) + %d WHERE %s", from, n, rowOf(schema, table))
		ok, err := c.Exec(ctx, update)
		if missing(err) || err == nil && ok.AffectedRows == 0 {
			if err = q.ensure(ctx, c, schema, table); err == nil {
				ok, err = c.Exec(ctx, update)
			}
		}
		if err != nil {
			return err
		}
		if ok.AffectedRows == 0 || ok.LastInsertID == 0 {
			return sqlerr.New(sqlerr.UnknownError, "Serval: no auto-increment numbers for %s.%s: its row in serval_meta.sequences did not change", schema, table)
		}
		first = ok.LastInsertID
		return nil
	})
	return first, err
}

// missing: the database (1049) or table (1146) is not there yet.
func missing(err error) bool {
	if err == nil {
		return false
	}
	code := sqlerr.From(err).Code
	return code == sqlerr.BadDB || code == sqlerr.NoSuchTable
}

// ensure makes database, table and row, the row starting above the largest
// number any shard has.
func (q *ServerSequences) ensure(ctx context.Context, c *backend.Conn, schema, table string) error {
	_, rows, err := c.Select(ctx, "SELECT 1 FROM serval_meta.sequences WHERE "+rowOf(schema, table))
	switch {
	case err == nil && len(rows) > 0:
		return nil
	case missing(err):
		for _, ddl := range []string{
			"CREATE DATABASE IF NOT EXISTS serval_meta",
			"CREATE TABLE IF NOT EXISTS serval_meta.sequences (schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
				" table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, next BIGINT UNSIGNED NOT NULL," +
				" PRIMARY KEY (schema_name, table_name)) ENGINE=InnoDB",
		} {
			if _, err := c.Exec(ctx, ddl); err != nil {
				return err
			}
		}
	case err != nil:
		return err
	}
	largest, err := q.largest(ctx, schema, table)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, fmt.Sprintf("INSERT IGNORE INTO serval_meta.sequences VALUES (%s, %s, %d)", quoteText(schema), quoteText(table), largest+1))
	return err
}

// largest is the largest number in the column on any shard.
func (q *ServerSequences) largest(ctx context.Context, schema, table string) (uint64, error) {
	t := q.catalog.Load().Table(schema, table)
	if t == nil || t.Placement == nil || t.AutoIncrement == "" {
		return 0, sqlerr.New(sqlerr.UnknownError, "Serval: table %s.%s has no auto-increment column", schema, table)
	}
	var most uint64
	for _, shard := range t.Placement.Shards {
		if t.Placement.Kind == shardrule.Global && shard.Index > 0 {
			break // all copies are the same
		}
		n, err := q.largestOn(ctx, shard, t.AutoIncrement)
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}

func (q *ServerSequences) largestOn(ctx context.Context, shard topology.Shard, column string) (uint64, error) {
	conns, err := q.fleet.Acquire(ctx, backend.Want{Cluster: shard.Cluster, Target: topology.TargetPrimary, N: 1})
	if err != nil {
		return 0, err
	}
	c := conns[0]
	_, rows, err := c.Select(ctx, "SELECT MAX("+sqlval.QuoteName(column)+") FROM "+sqlval.QuoteName(shard.Database)+"."+sqlval.QuoteName(shard.Table))
	c.Release(err)
	if err != nil || len(rows) != 1 || rows[0][0] == nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(rows[0][0]), 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // negative: numbers start at 1
	}
	return n, nil
}

// onPrimary runs do in autocommit on a connection of its own.
func (q *ServerSequences) onPrimary(ctx context.Context, schema string, do func(*backend.Conn) error) error {
	conns, err := q.fleet.Acquire(ctx, backend.Want{
		Cluster: q.catalog.Load().HomeOf(schema), Target: topology.TargetPrimary, N: 1,
	})
	if err != nil {
		return err
	}
	c := conns[0]
	c.Want(&backend.State{})
	err = do(c)
	c.Release(err)
	return err
}
