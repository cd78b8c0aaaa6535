package reshard

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a stream cannot follow ends it with the reason; what is of no concern to it
// does not.
func TestStreamStopsWhereItCannotFollow(t *testing.T) {
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		for i, c := range []struct {
			name string
			sql  []string // %s is the table
			why  string   // empty: it goes on
		}{
			{"ALTER of the table", []string{"ALTER TABLE %s ADD x INT"}, "it was changed by ALTER TABLE"},
			{"TRUNCATE of the table", []string{"TRUNCATE %s"}, "it was changed by TRUNCATE"},
			{"DROP of the table", []string{"DROP TABLE %s"}, "it was changed by DROP TABLE"},
			{"RENAME of the table", []string{"RENAME TABLE %s TO a_0.gone"}, "it was changed by RENAME TABLE"},
			{"an index", []string{"CREATE INDEX i ON %s (n)"}, "it was changed by CREATE INDEX"},
			{"a statement for rows", []string{"SET binlog_format = 'STATEMENT'", "INSERT INTO %s (id, user_id, n) VALUES (1, 1, 1)"}, "binlog_format has to be ROW"},
			{"others", []string{
				"CREATE TABLE IF NOT EXISTS a_0.other LIKE %s", "INSERT INTO a_0.other (id, user_id, n) VALUES (1, 1, 1) ON DUPLICATE KEY UPDATE n = 2", "ALTER TABLE a_0.other ADD IF_ANY INT",
				"DROP TABLE a_0.other", "CREATE OR REPLACE VIEW a_0.v AS SELECT * FROM %s", "CREATE TEMPORARY TABLE a_0.tt SELECT * FROM %s", "DROP TEMPORARY TABLE a_0.tt",
				"ANALYZE TABLE %s", "SET binlog_format = 'STATEMENT'", "CREATE TABLE IF NOT EXISTS a_0.s (a INT)", "INSERT INTO a_0.s VALUES (1)",
			}, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				name := fmt.Sprintf("t%d", i)
				from := spread(name, "a", 1, intColumn("user_id"))
				l := s.layout(t, move{name: name, columns: ordersColumns, key: []string{"id"}, from: from, to: spread(name, "b", 2, intColumn("user_id"))})
				s.exec(t, "c0", "INSERT INTO "+table(from.Shards[0])+" (id, user_id, n) VALUES (100, 1, 1)")
				r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
				r.copyDone(t)
				var run []string
				for _, sql := range c.sql {
					run = append(run, strings.ReplaceAll(sql, "%s", table(from.Shards[0])))
				}
				s.alone(t, "c0", run...)
				if c.why == "" {
					s.exec(t, "c0", "INSERT INTO "+table(from.Shards[0])+" (id, user_id, n) VALUES (101, 5, 1)")
					r.caughtUp(t)
					require.Equal(t, 2, s.sameRows(t, l, "*"))
					return
				}
				select {
				case err := <-r.done:
					require.ErrorContains(t, err, c.why)
					require.ErrorContains(t, err, "cluster c0")
				case <-time.After(20 * time.Second):
					require.Fail(t, "it went on")
				}
			})
		}
	})
}

// A prepared transaction holds the position and the end; its rows come with its
// commit, and not with its rollback. One with too many keys is read a second time.
func TestPreparedTransactionsAreWaitedFor(t *testing.T) {
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		from := spread("t", "a", 1, intColumn("user_id"))
		l := s.layout(t, move{name: "t", columns: ordersColumns, key: []string{"id"}, from: from, to: spread("t", "b", 2, intColumn("user_id"))})
		s.exec(t, "c0", "CREATE TABLE a_0.seq (i INT PRIMARY KEY)", "INSERT INTO a_0.seq VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
		many := "SELECT %d + a.i + 10*b.i + 100*c.i, 1, 1 FROM a_0.seq a, a_0.seq b, a_0.seq c"
		s.alone(t, "c0", "XA START 'before'", "INSERT INTO a_0.t (id, user_id, n) VALUES (1, 1, 1)", "XA END 'before'", "XA PREPARE 'before'")
		j := newMemory()
		r := s.start(t, MoverConfig{Layout: l, Journal: j, MaxDirty: 300})
		select {
		case <-r.Copied():
			require.Fail(t, "it began before what was prepared had ended")
		case <-time.After(300 * time.Millisecond):
		}
		s.exec(t, "c0", "XA COMMIT 'before'")
		r.copyDone(t)
		s.alone(t, "c0", "XA START 'a'", "INSERT INTO a_0.t (id, user_id, n) VALUES (2, 2, 1)", "XA END 'a'", "XA PREPARE 'a'")
		s.alone(t, "c0", "XA START 'large','x',3", "INSERT INTO a_0.t (id, user_id, n) "+fmt.Sprintf(many, 10_000), "XA END 'large','x',3", "XA PREPARE 'large','x',3")
		s.alone(t, "c0", "XA START 'back'", "INSERT INTO a_0.t (id, user_id, n) "+fmt.Sprintf(many, 20_000), "XA END 'back'", "XA PREPARE 'back'")
		s.exec(t, "c0", "INSERT INTO a_0.t (id, user_id, n) "+fmt.Sprintf(many, 30_000))
		time.Sleep(1200 * time.Millisecond) // a position is written down once a second
		held, err := s.primary("c0").GTID(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, held, j.resume().Positions["c0"])
		r.end()
		again := j.resume()
		r = s.start(t, MoverConfig{Layout: l, Journal: j, Resume: again, MaxDirty: 300})
		r.copyDone(t)
		s.exec(t, "c0", "XA COMMIT 'large','x',3", "XA ROLLBACK 'back'", "XA START 'one'", "UPDATE a_0.t SET n = 5 WHERE id = 1", "XA END 'one'", "XA COMMIT 'one' ONE PHASE",
			"XA COMMIT 'a'")
		r.caughtUp(t)
		require.Equal(t, 2002, s.sameRows(t, l, "*"))
		r.verified(t)
	})
}

// The cluster's primary is killed and a replica takes its place: the stream goes on
// there, from where it was.
func TestStreamFollowsThePrimary(t *testing.T) {
	eachEngine(t, 1, func(t *testing.T, s *stand) {
		from := spread("t", "a", 4, intColumn("user_id"))
		l := s.layout(t, move{name: "t", columns: ordersColumns, key: []string{"id"}, from: from, to: spread("t", "b", 3, intColumn("id"))})
		s.fill(t, from, 5000)
		j := newMemory()
		r := s.start(t, MoverConfig{Layout: l, Journal: j})
		r.copyDone(t)
		s.exec(t, "c0", "UPDATE a_0.t SET n = n + 1 WHERE id % 3 = 0")
		r.caughtUp(t) // a replica that lacks writes would lose them, the mover's as anybody's
		require.NoError(t, s.clusters[0].Sync(t.Context()))
		require.NoError(t, s.clusters[0].Primary.Kill9())
		require.NoError(t, s.clusters[0].Promote(t.Context(), s.clusters[0].Replicas[0]))
		s.publish()
		s.exec(t, "c0", "UPDATE a_2.t SET n = n + 1 WHERE id % 3 = 1", "DELETE FROM a_0.t WHERE id % 5 = 0", "INSERT INTO a_0.t (id, user_id, n) VALUES (100000, 1, 1)")
		r.caughtUp(t)
		s.exec(t, "c0", "UPDATE a_2.t SET n = n + 1 WHERE id % 3 = 2")
		r.caughtUp(t)
		require.NotZero(t, s.sameRows(t, l, "*"))
		r.verified(t)
		r.end()
		t.Logf("positions %v", j.resume().Positions)

		// What the job needs is gone from the binlogs.
		s.exec(t, "c0", "UPDATE a_0.t SET n = n + 1", "FLUSH BINARY LOGS")
		logs := func() (names []string) {
			rows, err := s.primary("c0").DB().QueryContext(t.Context(), "SHOW BINARY LOGS")
			require.NoError(t, err)
			for _, l := range lines(t, rows) {
				names = append(names, strings.Split(l, "\"")[1])
			}
			return names
		}
		last := logs()[len(logs())-1]
		require.Eventually(t, func() bool { // MariaDB keeps a binlog until the engine has written what it has
			s.exec(t, "c0", "PURGE BINARY LOGS TO '"+last+"'")
			return logs()[0] == last
		}, 20*time.Second, 50*time.Millisecond)
		gone := s.start(t, MoverConfig{Layout: l, Journal: j, Resume: j.resume()})
		select {
		case err := <-gone.done:
			require.ErrorContains(t, err, "purged")
			t.Log(err)
		case <-time.After(20 * time.Second):
			require.Fail(t, "it goes on without the changes")
		}

		// With a journal that can note it, it goes on from now, and a comparison finds them.
		d := &doubting{memory: j}
		r = s.start(t, MoverConfig{Layout: l, Journal: d, Resume: j.resume()})
		select {
		case err := <-r.done:
			require.ErrorIs(t, err, ErrPrimaries)
			require.Contains(t, d.why, "purged")
		case <-time.After(20 * time.Second):
			require.Fail(t, "it goes on without the changes")
		}
		r = s.start(t, MoverConfig{Layout: l, Journal: d, Resume: j.resume()})
		r.copyDone(t)
		s.exec(t, "c0", "DELETE FROM a_2.t WHERE id % 11 = 0")
		v, err := r.Verify(t.Context(), VerifyOptions{Repair: true})
		require.NoError(t, err)
		require.Empty(t, v.Differing)
		require.Positive(t, v.Repaired)
		require.NotZero(t, s.sameRows(t, l, "*"))
	})
}

// doubting is a memory that can note that rows may differ.
type doubting struct {
	*memory
	why string
}

// Doubt implements Doubter.
func (d *doubting) Doubt(_ context.Context, why string) error {
	d.why = why
	return nil
}
