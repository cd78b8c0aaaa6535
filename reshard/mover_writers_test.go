package reshard

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// intColumn is a sharding column of type BIGINT.
func intColumn(name string) shardrule.Column {
	return shardrule.Column{Name: name, Type: shardrule.TypeInt, Bits: 64, SQLType: "bigint"}
}

// writers change a table as Serval's sessions do: rows of one shard plainly, rows
// that move to another shard with XA on both.
type writers struct {
	t      *testing.T
	from   *shardrule.Placement
	dbs    map[string]*sql.DB
	unique bool
	ids    atomic.Int64
	ops    atomic.Int64
	wg     sync.WaitGroup
	stop   chan struct{}
	err    atomic.Pointer[error]
}

// write starts n writers on the table of a placement by user_id.
func (s *stand) write(t *testing.T, from *shardrule.Placement, n int, unique bool) *writers {
	w := &writers{t: t, from: from, dbs: map[string]*sql.DB{}, unique: unique, stop: make(chan struct{})}
	w.ids.Store(1_000_000)
	for _, c := range s.clusters {
		db, err := c.Primary.Open(mysqlproc.AppUser, mysqlproc.AppPassword, "")
		require.NoError(t, err)
		db.SetMaxIdleConns(2 * n)
		w.dbs[c.Name] = db
		t.Cleanup(func() { _ = db.Close() })
	}
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 42))
		w.wg.Go(func() {
			mine := []int64{}
			users := map[int64]int64{}
			for {
				select {
				case <-w.stop:
					return
				default:
				}
				if err := w.one(r, i, &mine, users); err != nil {
					w.err.CompareAndSwap(nil, &err)
					return
				}
				w.ops.Add(1)
			}
		})
	}
	return w
}

func (w *writers) end() {
	close(w.stop)
	w.wg.Wait()
	if err := w.err.Load(); err != nil {
		require.NoError(w.t, *err)
	}
}

func (w *writers) shard(user int64) topology.Shard {
	if w.from.Kind != shardrule.Sharded {
		return w.from.Shards[0]
	}
	i, err := w.from.Algorithm.ShardOf(shardrule.Key{Bytes: strconv.AppendInt(nil, user, 10), Int: user, IsInt: true})
	if err != nil {
		panic(err)
	}
	return w.from.Shards[i]
}

func table(s topology.Shard) string { return s.Database + "." + s.Table }

// one does one thing with a row of the writer's own.
func (w *writers) one(r *rand.Rand, writer int, mine *[]int64, users map[int64]int64) error {
	ctx := context.Background()
	if len(*mine) < 50 || r.IntN(10) == 0 {
		id, user := w.ids.Add(1), r.Int64N(10_000)
		s := w.shard(user)
		_, err := w.dbs[s.Cluster].ExecContext(ctx, fmt.Sprintf("INSERT INTO %s (id, user_id, n, u) VALUES (?, ?, 0, ?)", table(s)), id, user, fmt.Sprintf("%d-%d", writer, id))
		*mine, users[id] = append(*mine, id), user
		return err
	}
	at := r.IntN(len(*mine))
	id := (*mine)[at]
	s := w.shard(users[id])
	db := w.dbs[s.Cluster]
	switch r.IntN(8) {
	case 0:
		_, err := db.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE id = ?", table(s)), id)
		(*mine)[at] = (*mine)[len(*mine)-1]
		*mine = (*mine)[:len(*mine)-1]
		return err
	case 1, 2:
		user := r.Int64N(10_000)
		keep, err := w.moveRow(ctx, r, id, s, w.shard(user), user)
		if keep {
			users[id] = user
		}
		return err
	case 3:
		if !w.unique {
			break
		}
		// Two rows exchange a unique value by way of a third one.
		return w.exchange(ctx, id, users[id], (*mine)[r.IntN(len(*mine))], users)
	case 4:
		_, err := db.ExecContext(ctx, fmt.Sprintf("REPLACE INTO %s (id, user_id, n, u) VALUES (?, ?, 7, ?)", table(s)), id, users[id], fmt.Sprintf("%d-%d-r%d", writer, id, r.IntN(1_000_000_000)))
		return err
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE id = ?", table(s)), id)
	return err
}

// exchange gives a the unique value of b, and b a new one, one after the other.
func (w *writers) exchange(ctx context.Context, a, userA, b int64, users map[int64]int64) error {
	if a == b {
		return nil
	}
	sa, sb := w.shard(userA), w.shard(users[b])
	var u string
	if err := w.dbs[sb.Cluster].QueryRowContext(ctx, fmt.Sprintf("SELECT u FROM %s WHERE id = ?", table(sb)), b).Scan(&u); err != nil {
		return err
	}
	if _, err := w.dbs[sb.Cluster].ExecContext(ctx, fmt.Sprintf("UPDATE %s SET u = CONCAT(id, '-x-', UUID()) WHERE id = ?", table(sb)), b); err != nil {
		return err
	}
	_, err := w.dbs[sa.Cluster].ExecContext(ctx, fmt.Sprintf("UPDATE %s SET u = ? WHERE id = ?", table(sa)), u, a)
	return err
}

// moveRow gives a row another user, on another shard with XA over both.
func (w *writers) moveRow(ctx context.Context, r *rand.Rand, id int64, from, to topology.Shard, user int64) (moved bool, err error) {
	if from == to {
		_, err := w.dbs[from.Cluster].ExecContext(ctx, fmt.Sprintf("UPDATE %s SET user_id = ? WHERE id = ?", table(from)), user, id)
		return true, err
	}
	a, err := w.dbs[from.Cluster].Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = a.Close() }()
	b, err := w.dbs[to.Cluster].Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = b.Close() }()
	var n int64
	var u sql.NullString
	xa := fmt.Sprintf("'%d','a'", w.ids.Add(1))
	xb := fmt.Sprintf("'%d','b'", w.ids.Add(1))
	run := func(c *sql.Conn, sql string, args ...any) {
		if err == nil {
			_, err = c.ExecContext(ctx, sql, args...)
		}
	}
	run(a, "XA START "+xa)
	if err == nil {
		err = a.QueryRowContext(ctx, fmt.Sprintf("SELECT n, u FROM %s WHERE id = ? FOR UPDATE", table(from)), id).Scan(&n, &u)
	}
	run(a, fmt.Sprintf("DELETE FROM %s WHERE id = ?", table(from)), id)
	run(b, "XA START "+xb)
	run(b, fmt.Sprintf("INSERT INTO %s (id, user_id, n, u) VALUES (?, ?, ?, ?)", table(to)), id, user, n, u)
	run(a, "XA END "+xa)
	run(b, "XA END "+xb)
	run(a, "XA PREPARE "+xa)
	run(b, "XA PREPARE "+xb)
	if r.IntN(20) == 0 {
		time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond) // the time that a coordinator takes
	}
	end := "XA COMMIT "
	if r.IntN(6) == 0 {
		end = "XA ROLLBACK "
	}
	run(a, end+xa)
	run(b, end+xb)
	return end == "XA COMMIT ", err
}

const ordersColumns = "(id BIGINT NOT NULL PRIMARY KEY, user_id BIGINT NOT NULL, n INT NOT NULL, u VARCHAR(60), pad CHAR(60) NOT NULL DEFAULT 'abcdefghijklmnopqrstuvwxyz', KEY (user_id))"

// fill puts rows into the tables of a placement by user_id.
func (s *stand) fill(t *testing.T, p *shardrule.Placement, rows int) {
	t.Helper()
	w := &writers{from: p}
	values := map[topology.Shard]string{}
	for id := range int64(rows) {
		shard := w.shard(id * 7 % 10_000)
		if values[shard] != "" {
			values[shard] += ","
		}
		values[shard] += fmt.Sprintf("(%d,%d,1,'f%d')", id, id*7%10_000, id)
		if len(values[shard]) > 100_000 {
			s.exec(t, shard.Cluster, "INSERT INTO "+table(shard)+" (id, user_id, n, u) VALUES "+values[shard])
			values[shard] = ""
		}
	}
	for shard, v := range values {
		if v != "" {
			s.exec(t, shard.Cluster, "INSERT INTO "+table(shard)+" (id, user_id, n, u) VALUES "+v)
		}
	}
}

// composite is a placement over four databases by two columns.
func composite(table, prefix string) *shardrule.Placement {
	p := spread(table, prefix, 4, intColumn("id"))
	two, err := shardrule.NewHash(2)
	if err != nil {
		panic(err)
	}
	p.Parts = []shardrule.Part{{Column: intColumn("user_id"), Algorithm: two, Stride: 2}, {Column: intColumn("id"), Algorithm: two, Stride: 1}}
	p.Algorithm, p.Column = shardrule.NewComposite(p.Parts), shardrule.Column{}
	return p
}

// Rows arrive while others insert, change, delete and move them, and the mover is
// ended as a crash does, again and again.
func TestRowsAreFollowedWhileTheyAreWritten(t *testing.T) {
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		unique := "(" + ordersColumns[1:len(ordersColumns)-1] + ", UNIQUE KEY (u))"
		for _, c := range []struct {
			name, columns string
			from, to      *shardrule.Placement
			unique        bool
		}{
			{"four_to_eight", ordersColumns, spread("o1", "a", 4, intColumn("user_id")), spread("o1", "b", 8, intColumn("user_id")), false},
			{"other_key", ordersColumns, spread("o2", "a", 4, intColumn("user_id")), spread("o2", "b", 3, intColumn("id")), false},
			{"composite", ordersColumns, spread("o7", "a", 2, intColumn("user_id")), composite("o7", "b"), false},
			{"from_home", ordersColumns, home("o3"), spread("o3", "b", 4, intColumn("user_id")), false},
			{"to_home", unique, spread("o4", "a", 4, intColumn("user_id")), home("o5"), true},
			{"unique", unique, spread("o6", "a", 4, intColumn("user_id")), spread("o6", "b", 2, intColumn("id")), true},
		} {
			t.Run(c.name, func(t *testing.T) {
				l := s.layout(t, move{name: c.from.Table, columns: c.columns, key: []string{"id"}, from: c.from, to: c.to})
				s.fill(t, c.from, 3_000)
				j := newMemory()
				w := s.write(t, c.from, 4, c.unique)
				var r *running
				for i := range 4 {
					r = s.start(t, MoverConfig{Layout: l, Journal: j, Resume: j.resume(), RowsPerSecond: 20_000 + 50_000*i, MaxDirty: 500 + 1000*i})
					if i == 3 {
						break
					}
					select {
					case err := <-r.done:
						require.NoError(t, err)
					case <-time.After(time.Duration(100+60*i) * time.Millisecond):
					}
					r.end()
				}
				r.copyDone(t)
				v, err := r.Verify(t.Context(), VerifyOptions{})
				require.NoError(t, err)
				require.Empty(t, v.Differing, "while it is written")
				t.Logf("%d rows in %d ranges compared, %d unsteady", v.Rows, v.Ranges, v.Unsteady)
				held := r.caughtUp(t)
				w.end()
				quick := r.caughtUp(t)
				t.Logf("%d changes, %d keys settled; caught up in %v under load, in %v with writes held", w.ops.Load(), r.Progress().Settled, held, quick)
				require.Greater(t, s.sameRows(t, l, "*"), 2_500)
				r.verified(t)
				r.end()
			})
		}
	})
}
