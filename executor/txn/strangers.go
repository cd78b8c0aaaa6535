package txn

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Transactions of two Servals may wait for each other too. A Serval that meets a
// stranger's thread where one of its own transactions waits for long writes down
// which threads are that transaction's, on each of its clusters; the other does the
// same, so both see the circle, and the same victim in it.

// waitingTable has a row for each thread of a transaction that waits.
const waitingTable = "serval_meta.waiting"

const (
	// patience is after how many looks a wait is told to other Servals.
	patience = 3
	// strangersFrom is the first number of a transaction of another Serval.
	strangersFrom = 1 << 31
)

var makeWaiting = []string{
	"CREATE DATABASE IF NOT EXISTS serval_meta",
	"CREATE TABLE IF NOT EXISTS " + waitingTable + " (thread BIGINT UNSIGNED NOT NULL PRIMARY KEY, holder VARBINARY(64) NOT NULL," +
		" began BIGINT NOT NULL COMMENT 'microseconds since 1970', seen BIGINT NOT NULL COMMENT 'seconds since 1970') ENGINE=InnoDB",
}

// readWaiting are the transactions that have waited within the last seconds.
const readWaiting = "SELECT thread, holder, began FROM " + waitingTable + " WHERE seen >= UNIX_TIMESTAMP() - 5 LIMIT 10000"

// waitsOn is who waits for whom on a cluster.
type waitsOn struct {
	cluster string
	pairs   [][2]uint32
	guessed bool
}

// strangers are the transactions of other Servals that those of this one meet;
// their threads are added to threads.
func (d *Deadlocks) strangers(ctx context.Context, holders []Holder, waits []waitsOn, threads map[string]map[uint32]uint32) (out []Holder) {
	if !meetsStrangers(waits, threads) {
		return nil
	}
	for _, h := range holders {
		if d.waiting[h.Session] >= patience {
			d.tell(ctx, h)
		}
	}
	numbers := map[string]uint32{}
	for _, w := range waits {
		rows, err := d.Servers.Select(ctx, w.cluster, readWaiting)
		if err != nil {
			d.Log.Debug("who waits is not to be had of other Servals", "cluster", w.cluster, "err", err)
			continue
		}
		for _, r := range rows {
			thread, err1 := strconv.ParseUint(string(r[0]), 10, 32)
			began, err2 := strconv.ParseInt(string(r[2]), 10, 64)
			if err1 != nil || err2 != nil || threads[w.cluster][uint32(thread)] != 0 {
				continue // our own
			}
			number, known := numbers[string(r[1])]
			if !known {
				number = strangersFrom + uint32(len(numbers))
				numbers[string(r[1])] = number
				out = append(out, Holder{Session: number, Began: time.UnixMicro(began)})
			}
			threads[w.cluster][uint32(thread)] = number
		}
	}
	return out
}

// meetsStrangers: one of this Serval's transactions waits for a thread that is none
// of them, or is waited for by one.
func meetsStrangers(waits []waitsOn, threads map[string]map[uint32]uint32) bool {
	return slices.ContainsFunc(waits, func(w waitsOn) bool {
		own := threads[w.cluster]
		return slices.ContainsFunc(w.pairs, func(p [2]uint32) bool { return (own[p[0]] == 0) != (own[p[1]] == 0) })
	})
}

// tell writes down which threads are the transaction's.
func (d *Deadlocks) tell(ctx context.Context, h Holder) {
	for cluster, thread := range h.Threads {
		row := "REPLACE INTO " + waitingTable + " VALUES (" + strconv.FormatUint(uint64(thread), 10) + ", '" + d.name + ":" + strconv.FormatUint(uint64(h.Session), 10) + "', " +
			strconv.FormatInt(h.Began.UnixMicro(), 10) + ", UNIX_TIMESTAMP())"
		if err := d.write(ctx, cluster, row); err != nil {
			d.Log.Debug("a waiting transaction could not be told to other Servals", "cluster", cluster, "err", err)
		}
	}
	if d.told++; d.told%100 == 1 { // rows of threads that are gone
		for cluster := range h.Threads {
			_ = d.Servers.Exec(ctx, cluster, "DELETE FROM "+waitingTable+" WHERE seen < UNIX_TIMESTAMP() - 600")
		}
	}
}

// write makes the table where it is not there.
func (d *Deadlocks) write(ctx context.Context, cluster, row string) error {
	err := d.Servers.Exec(ctx, cluster, row)
	if err == nil {
		return nil
	}
	if code := sqlerr.From(err).Code; code != sqlerr.NoSuchTable && code != sqlerr.BadDB {
		return err
	}
	for _, sql := range makeWaiting {
		if err := d.Servers.Exec(ctx, cluster, sql); err != nil {
			return err
		}
	}
	return d.Servers.Exec(ctx, cluster, row)
}
