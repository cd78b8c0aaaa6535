package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/topology"
)

// Numbers that need no server once a minute (auto_increment: snowflake(id)):
// the time, the Serval, and a count within the millisecond. Of one Serval they
// grow; those of several are in the order of their clocks.
//
//	41 bits  milliseconds since 2026 (until 2095)
//	10 bits  the worker: which Serval, leased in serval_meta.workers
//	12 bits  count within the millisecond
const (
	snowflakeShift = 22
	workerShift    = 12
	maxWorkers     = 1 << 10
	maxPerMilli    = 1 << workerShift
)

// snowflakeEpoch is 2026-01-01 in UTC.
var snowflakeEpoch = time.Unix(1767225600, 0)

const (
	// leaseTime is how long a worker's number is nobody else's, by the server's
	// clock; it is used for leaseUse only, by this one's.
	leaseTime = 60 * time.Second
	leaseUse  = 40 * time.Second
	// leaseAhead bounds the milliseconds a lease may use, so that the next
	// holder of its number starts behind them whatever its clock says.
	leaseAhead = 120 * time.Second
)

// snowflake is the worker's number on one home cluster.
type snowflake struct {
	mu     sync.Mutex
	owner  string
	worker uint64
	leased bool
	good   time.Time // until when the lease is used
	limit  uint64    // milliseconds it may use
	last   uint64    // the millisecond of the last number, and how many of it
	count  uint64    // are given; guarded by mu, as is all
}

func newSnowflake() *snowflake {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	return &snowflake{owner: hex.EncodeToString(id[:])}
}

// reserve gives n numbers in a row.
func (f *snowflake) reserve(ctx context.Context, n int, now func() time.Time, renew func(context.Context, *snowflake) error) (uint64, error) {
	if n > maxPerMilli {
		return 0, sqlerr.Refuse("an INSERT of "+strconv.Itoa(n)+" rows that are numbered by snowflake", "a millisecond has 4096 numbers and a statement's are of one",
			"write at most 4096 rows a statement")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for range 3 {
		at := now()
		milli := max(uint64(max(at.Sub(snowflakeEpoch).Milliseconds(), 0)), f.last)
		if milli == f.last && f.count+uint64(n) > maxPerMilli {
			milli++ // ahead of the clock, which catches up
		}
		if !f.leased || !at.Before(f.good) || milli > f.limit {
			if err := renew(ctx, f); err != nil {
				return 0, err
			}
			continue
		}
		if milli > f.last {
			f.last, f.count = milli, 0
		}
		first := milli<<snowflakeShift | f.worker<<workerShift | f.count
		f.count += uint64(n)
		return first, nil
	}
	return 0, sqlerr.New(sqlerr.UnknownError, "Serval: no snowflake numbers: its number in serval_meta.workers could not be leased")
}

// renew prolongs the lease on the cluster's primary, or takes a worker's number
// that is free.
func (q *ServerSequences) renew(cluster string) func(context.Context, *snowflake) error {
	return func(ctx context.Context, f *snowflake) error {
		conns, err := q.fleet.Acquire(ctx, backend.Want{Cluster: cluster, Target: topology.TargetPrimary, N: 1})
		if err != nil {
			return err
		}
		c := conns[0]
		c.Want(&backend.State{})
		began := time.Now()
		limit := max(uint64(time.Since(snowflakeEpoch).Milliseconds()), f.last) + uint64(leaseAhead.Milliseconds())
		err = leaseWorker(ctx, c, f, limit)
		c.Release(err)
		if err == nil {
			f.leased, f.good = true, began.Add(leaseUse)
		}
		return err
	}
}

var workersSchema = []string{
	"CREATE DATABASE IF NOT EXISTS serval_meta",
	"CREATE TABLE IF NOT EXISTS serval_meta.workers (id SMALLINT UNSIGNED NOT NULL PRIMARY KEY, owner CHAR(32) CHARACTER SET ascii NOT NULL," +
		" expires DATETIME(3) NOT NULL, used_until BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
}

// leaseWorker is renew on a connection. A row is one Serval's until it expires; its
// used_until is behind every number that was given with it.
func leaseWorker(ctx context.Context, c *backend.Conn, f *snowflake, limit uint64) error {
	set := fmt.Sprintf("owner = '%s', expires = UTC_TIMESTAMP(3) + INTERVAL %d SECOND, used_until = GREATEST(used_until, %d)", f.owner, int(leaseTime.Seconds()), limit)
	if f.leased {
		ok, err := c.Exec(ctx, fmt.Sprintf("UPDATE serval_meta.workers SET %s WHERE id = %d AND owner = '%s'", set, f.worker, f.owner))
		if err != nil || ok.AffectedRows == 1 {
			f.limit = max(f.limit, limit)
			return err
		}
		f.leased = false // another one has taken it
	}
	for range maxWorkers {
		_, rows, err := c.Select(ctx, "SELECT id, used_until FROM serval_meta.workers WHERE expires < UTC_TIMESTAMP(3) ORDER BY id LIMIT 1")
		if missing(err) {
			for _, ddl := range workersSchema {
				if _, err := c.Exec(ctx, ddl); err != nil {
					return err
				}
			}
			continue
		}
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			if taken, err := f.newWorker(ctx, c, limit); taken || err != nil {
				return err
			}
			continue
		}
		id, err1 := strconv.ParseUint(string(rows[0][0]), 10, 16)
		used, err2 := strconv.ParseUint(string(rows[0][1]), 10, 64)
		if err1 != nil || err2 != nil {
			return sqlerr.New(sqlerr.UnknownError, "Serval: serval_meta.workers has a row that is none: %q, %q", rows[0][0], rows[0][1])
		}
		from := max(used+1, f.last) // behind whatever its last holder gave
		limit := max(limit, from+uint64(leaseAhead.Milliseconds()))
		ok, err := c.Exec(ctx, fmt.Sprintf("UPDATE serval_meta.workers SET owner = '%s', expires = UTC_TIMESTAMP(3) + INTERVAL %d SECOND, used_until = %d"+
			" WHERE id = %d AND used_until = %d AND expires < UTC_TIMESTAMP(3)", f.owner, int(leaseTime.Seconds()), limit, id, used))
		if err != nil {
			return err
		}
		if ok.AffectedRows == 1 {
			f.worker, f.last, f.count, f.limit = id, from, 0, limit
			return nil
		}
	}
	return sqlerr.New(sqlerr.UnknownError, "Serval: no worker's number is to be had from serval_meta.workers")
}

// newWorker takes the next number nobody has had; not taken: another Serval was
// faster.
func (f *snowflake) newWorker(ctx context.Context, c *backend.Conn, limit uint64) (taken bool, err error) {
	_, rows, err := c.Select(ctx, "SELECT COALESCE(MAX(id) + 1, 0) FROM serval_meta.workers")
	if err != nil || len(rows) != 1 {
		return false, err
	}
	id, err := strconv.ParseUint(string(rows[0][0]), 10, 32)
	if err != nil {
		return false, err
	}
	if id >= maxWorkers {
		return false, sqlerr.Refuse("another Serval with snowflake numbers", "there are 1024 of them, all at work within the last minute", "use blocks of numbers: auto_increment: column")
	}
	_, err = c.Exec(ctx, fmt.Sprintf("INSERT INTO serval_meta.workers VALUES (%d, '%s', UTC_TIMESTAMP(3) + INTERVAL %d SECOND, %d)", id, f.owner, int(leaseTime.Seconds()), limit))
	if err != nil {
		if sqlerr.From(err).Code == errDuplicateKey {
			return false, nil
		}
		return false, err
	}
	f.worker, f.count, f.limit = id, 0, limit
	return true, nil
}

// errDuplicateKey is ER_DUP_ENTRY.
const errDuplicateKey = 1062
