package txn

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Holder is an open transaction on several clusters, with its connection's
// thread on each.
type Holder struct {
	Session uint32
	Began   time.Time
	// Waits: a statement of it runs.
	Waits   bool
	Threads map[string]uint32
}

// Deadlocks finds transactions, of this Serval or of several, that wait for each
// other on different clusters, which no server can see. It asks the servers only
// while two or more transactions over several clusters are open with a statement
// that does not end, or one with one that does not for longer.
type Deadlocks struct {
	Servers Servers
	// Holders are the transactions on two or more clusters.
	Holders func() []Holder
	// Break ends the session's statement as a deadlock's victim.
	Break func(session uint32)
	Log   *slog.Logger

	waiting map[uint32]int // for how many looks
	name    string         // this Serval's among those that meet, see strangers.go
	told    int
	old     map[string]bool // clusters that answer to the old query only
	blind   map[string]bool // clusters that were warned of, see guess
}

// lookEvery is how often waiting transactions are looked at: a wait is one
// that lasts from one look to the next.
const lookEvery = 500 * time.Millisecond

// waitQueries ask who waits for whom, by thread: MySQL 8 and later (manual,
// "The data_lock_waits Table"; without performance_schema it is empty, which the
// row with 0 tells), and MariaDB (information_schema.INNODB_LOCK_WAITS).
var waitQueries = [2]string{
	"(SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM performance_schema.data_lock_waits w" +
		" JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID" +
		" JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID LIMIT 10000)" +
		" UNION ALL SELECT 0, @@performance_schema",
	"SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM information_schema.INNODB_LOCK_WAITS w" +
		" JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id" +
		" JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id LIMIT 10000",
}

// Run looks until ctx ends.
func (d *Deadlocks) Run(ctx context.Context) {
	d.old, d.blind, d.name = map[string]bool{}, map[string]bool{}, rand.Text()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.look(ctx)
		}
	}
}

func (d *Deadlocks) look(ctx context.Context) {
	holders := d.Holders()
	before := d.waiting
	d.waiting = map[uint32]int{}
	long, longest := 0, 0
	for _, h := range holders {
		if h.Waits {
			d.waiting[h.Session] = before[h.Session] + 1
			longest = max(longest, d.waiting[h.Session])
			if before[h.Session] > 0 {
				long++
			}
		}
	}
	if long < 2 && longest < patience {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	threads := map[string]map[uint32]uint32{}
	for _, h := range holders {
		for cluster, thread := range h.Threads {
			if threads[cluster] == nil {
				threads[cluster] = map[uint32]uint32{}
			}
			threads[cluster][thread] = h.Session
		}
	}
	var waits []waitsOn
	for cluster := range threads {
		w := waitsOn{cluster: cluster}
		w.pairs, w.guessed = d.waits(ctx, cluster)
		waits = append(waits, w)
	}
	holders = append(holders, d.strangers(ctx, holders, waits, threads)...)
	sure, maybe := map[uint32][]uint32{}, map[uint32][]uint32{}
	for _, on := range waits {
		for _, w := range on.pairs {
			from, to := threads[on.cluster][w[0]], threads[on.cluster][w[1]]
			if from == 0 || to == 0 || from == to {
				continue
			}
			maybe[from] = append(maybe[from], to)
			if !on.guessed {
				sure[from] = append(sure[from], to)
			}
		}
	}
	gone := victims(holders, sure)
	if len(gone) == 0 { // one at a time, the next look may find none
		gone = victims(holders, maybe)
		gone = gone[:min(len(gone), 1)]
	}
	for _, victim := range gone {
		if victim >= strangersFrom {
			continue // its own Serval sees the same
		}
		d.Log.Info("a deadlock over several clusters was broken", "session", victim)
		d.Break(victim)
	}
}

// waits are pairs of waiting and blocking thread on one cluster.
func (d *Deadlocks) waits(ctx context.Context, cluster string) (out [][2]uint32, guessed bool) {
	i := 0
	if d.old[cluster] {
		i = 1
	}
	rows, err := d.Servers.Select(ctx, cluster, waitQueries[i])
	if err != nil && i == 0 && ctx.Err() == nil && !Broken(err) {
		d.old[cluster] = true
		rows, err = d.Servers.Select(ctx, cluster, waitQueries[1])
	}
	out = numberPairs(rows)
	if err == nil && !slices.Contains(out, [2]uint32{0, 0}) {
		return out, false
	}
	return d.guess(ctx, cluster, err), true
}

// guessQuery asks which threads hold locks of rows, and which of them wait for one
// since two seconds or more. A row that is waited for counts as locked.
const guessQuery = "SELECT trx_mysql_thread_id, trx_state = 'LOCK WAIT' AND trx_wait_started <= NOW() - INTERVAL 2 SECOND FROM information_schema.INNODB_TRX" +
	" WHERE trx_rows_locked > 0 AND trx_mysql_thread_id > 0 LIMIT 1000"

// guess is waits where the server does not say who waits for whom: it may be any
// transaction that holds locks there. A circle of such waits is most likely
// one, since each of its transactions waits for long on one cluster and holds
// locks on another; where it is none, a transaction was ended in vain.
func (d *Deadlocks) guess(ctx context.Context, cluster string, why error) (out [][2]uint32) {
	rows, err := d.Servers.Select(ctx, cluster, guessQuery)
	if err != nil {
		d.Log.Debug("lock waits are not to be had", "cluster", cluster, "err", err)
		return nil
	}
	if !d.blind[cluster] {
		d.blind[cluster] = true
		d.Log.Warn("the server does not say who waits for whom (performance_schema is off, or the backend account may not read it): "+
			"after two seconds a deadlock over clusters is guessed", "cluster", cluster, "err", why)
	}
	lockers := numberPairs(rows)
	for _, w := range lockers {
		for _, l := range lockers {
			if w[1] != 0 && w[0] != l[0] {
				out = append(out, [2]uint32{w[0], l[0]})
			}
		}
	}
	return out
}

func numberPairs(rows [][][]byte) (out [][2]uint32) {
	for _, r := range rows {
		if len(r) != 2 {
			continue
		}
		a, err1 := strconv.ParseUint(string(r[0]), 10, 32)
		b, err2 := strconv.ParseUint(string(r[1]), 10, 32)
		if err1 == nil && err2 == nil {
			out = append(out, [2]uint32{uint32(a), uint32(b)})
		}
	}
	return out
}

// victims are the sessions to end so that nobody waits in a circle: of each
// circle the transaction that began last, which has done least.
func victims(holders []Holder, edges map[uint32][]uint32) (out []uint32) {
	young := slices.Clone(holders)
	slices.SortFunc(young, func(a, b Holder) int {
		if c := b.Began.Compare(a.Began); c != 0 {
			return c
		}
		return int(int64(b.Session) - int64(a.Session))
	})
	gone := map[uint32]bool{}
	for _, h := range young {
		if reaches(h.Session, edges, gone) {
			gone[h.Session] = true
			out = append(out, h.Session)
		}
	}
	return out
}

// reaches: the session waits for itself in the end, leaving out those gone.
func reaches(session uint32, edges map[uint32][]uint32, gone map[uint32]bool) bool {
	seen := map[uint32]bool{}
	next := slices.Clone(edges[session])
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		if at == session {
			return true
		}
		if !seen[at] && !gone[at] {
			seen[at] = true
			next = append(next, edges[at]...)
		}
	}
	return false
}

// DeadlockError is what the victim's client is told, as by a server.
func DeadlockError() error {
	e := sqlerr.New(sqlerr.Deadlock, "Deadlock found when trying to get lock; try restarting transaction")
	e.State = "40001"
	return e
}
