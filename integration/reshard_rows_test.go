package integration

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// primaries are the clusters' primaries as a mover asks for them.
type primaries struct{ *backend.Fleet }

// Login implements reshard.Servers.
func (primaries) Login(string) backend.Config {
	return backend.Config{User: mysqlproc.BackendUser, Password: mysqlproc.BackendPassword}
}

func primariesOf(t *testing.T, clusters []*mysqlproc.Cluster) primaries {
	t.Helper()
	view := &topology.View{Clusters: map[string]*topology.ClusterView{}}
	var configs []backend.ClusterConfig
	for _, c := range clusters {
		in := topology.Instance{Addr: c.Primary.Addr()}
		configs = append(configs, backend.ClusterConfig{Cluster: topology.Cluster{Name: c.Name, Primary: in.Addr, Instances: []topology.Instance{in}}, Config: primaries{}.Login(c.Name)})
		view.Clusters[c.Name] = &topology.ClusterView{Name: c.Name, Primary: in.Addr, Instances: []topology.InstanceView{{Instance: in, Role: topology.RolePrimary, Up: true}}}
	}
	f := backend.NewFleet(backend.FleetConfig{Clusters: configs})
	t.Cleanup(f.Close)
	f.Publish(view)
	return primaries{f}
}

// moverJournal is a journal in memory.
type moverJournal struct {
	mu        sync.Mutex
	parts     map[topology.Shard]reshard.Part
	positions map[string]string
}

// SavePart implements reshard.Journal.
func (k *moverJournal) SavePart(_ context.Context, p reshard.Part) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parts[p.Source] = p
	return nil
}

// SavePosition implements reshard.Journal.
func (k *moverJournal) SavePosition(_ context.Context, cluster, gtids string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.positions[cluster] = gtids
	return nil
}

func (k *moverJournal) resume() reshard.Resume {
	k.mu.Lock()
	defer k.mu.Unlock()
	return reshard.Resume{Parts: slices.Collect(maps.Values(k.parts)), Positions: maps.Clone(k.positions)}
}

// Rows come over while applications write through Serval: transactions over shards
// (XA), rows that change their shard, and a mover that is ended again and again.
func TestRowsMoveUnderWritesThroughServal(t *testing.T) {
	const schema = "moving"
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "orders: {shard: hash(user_id), shards: 4, on: [c0, c1]}"})
		mustExec(t, oneConn(t, p.open(t, "")), "CREATE DATABASE "+schema, "USE "+schema,
			"CREATE TABLE orders (id BIGINT NOT NULL, user_id BIGINT NOT NULL, n INT NOT NULL, note VARCHAR(50), PRIMARY KEY (id, user_id))")
		db := p.open(t, schema)
		for from := 0; from < 6000; from += 500 {
			var values []string
			for id := from; id < from+500; id++ {
				values = append(values, fmt.Sprintf("(%d,%d,0,'ü%d')", id, id%997, id))
			}
			mustExec(t, db, "INSERT INTO orders VALUES "+strings.Join(values, ","))
		}
		layout := ordersTo8(t, clusters, schema)
		k := &moverJournal{parts: map[topology.Shard]reshard.Part{}, positions: map[string]string{}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var errs errorList
		var changes atomic.Int64
		var workers sync.WaitGroup
		for w := range 4 {
			conn := oneConn(t, db)
			r := rand.New(rand.NewPCG(uint64(w), 5))
			workers.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if err := changeOrders(context.WithoutCancel(ctx), conn, r, int64(100_000*(w+1)+i)); err == nil {
						changes.Add(1)
					} else if !deadlock(err) {
						errs.add(err)
						return
					}
				}
			})
		}
		for i := range 5 {
			running, end := context.WithCancel(t.Context())
			m, err := reshard.NewMover(running, reshard.MoverConfig{Layout: layout, Servers: primariesOf(t, clusters), Journal: k, Resume: k.resume(), RowsPerSecond: 10_000 * (i + 1)})
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- m.Run(running) }()
			if i < 4 {
				select {
				case err := <-done:
					require.NoError(t, err)
				case <-time.After(200 * time.Millisecond):
				}
				end()
				<-done
				continue
			}
			<-m.Copied()
			v, err := m.Verify(t.Context(), reshard.VerifyOptions{})
			require.NoError(t, err)
			require.Empty(t, v.Differing, "while it is written")
			stop()
			workers.Wait()
			require.NoError(t, errs.first())
			began := time.Now()
			require.NoError(t, m.CatchUp(t.Context()))
			t.Logf("%d changes, %d keys settled; the last caught up with in %v", changes.Load(), m.Progress().Settled, time.Since(began))
			v, err = m.Verify(t.Context(), reshard.VerifyOptions{})
			require.NoError(t, err)
			require.Empty(t, v.Differing)
			s.sync(t) // another session than the writers' reads replicas
			require.EqualValues(t, one(t, db, "SELECT COUNT(*) FROM orders"), fmt.Sprint(v.Rows))
			end()
			<-done
		}
	})
}

// changeOrders is one change of an application.
func changeOrders(ctx context.Context, conn *sql.Conn, r *rand.Rand, id int64) error {
	exec := func(sql string, args ...any) error {
		_, err := conn.ExecContext(ctx, sql, args...)
		return err
	}
	switch r.IntN(6) {
	case 0: // a row changes its shard
		return exec("UPDATE orders SET user_id = ?, n = n + 1 WHERE id = ?", r.IntN(997), r.IntN(6000))
	case 1:
		return exec("DELETE FROM orders WHERE id = ?", r.IntN(6000))
	case 2:
		return exec("UPDATE orders SET n = n + 1 WHERE user_id = ?", r.IntN(997))
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, part := range []int64{0, 50_000} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES (?, ?, 1, 'new')", id+part, r.IntN(997)); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	if r.IntN(8) == 0 {
		return tx.Rollback()
	}
	return tx.Commit()
}

// ordersTo8 makes the new tables of a layout from the four shards there are to
// eight by another key.
func ordersTo8(t *testing.T, clusters []*mysqlproc.Cluster, schema string) *reshard.Layout {
	t.Helper()
	column := func(name string) shardrule.Column {
		return shardrule.Column{Name: name, Type: shardrule.TypeInt, Bits: 64, SQLType: "bigint"}
	}
	place := func(n int, key string) *shardrule.Placement {
		hash, err := shardrule.NewHash(n)
		require.NoError(t, err)
		return &shardrule.Placement{Schema: schema, Table: "orders", Kind: shardrule.Sharded, Algorithm: hash, Column: column(key)}
	}
	from, to := place(4, "user_id"), place(8, "id")
	table := &reshard.Table{Schema: schema, Name: "orders", From: from, To: to, Definition: &catalog.Table{Name: "orders", PrimaryKey: []string{"id", "user_id"}}}
	for _, c := range clusters {
		rows, err := c.Primary.DB().QueryContext(t.Context(), "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_NAME = 'orders' AND TABLE_SCHEMA LIKE '"+schema+"\\_%'")
		require.NoError(t, err)
		var names []string
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			names = append(names, name)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		for _, name := range names {
			var i int
			_, err := fmt.Sscanf(name, schema+"_%d", &i)
			require.NoError(t, err)
			from.Shards = append(from.Shards, topology.Shard{Index: i, Cluster: c.Name, Database: name, Table: "orders"})
		}
	}
	require.Len(t, from.Shards, 4)
	slices.SortFunc(from.Shards, func(a, b topology.Shard) int { return a.Index - b.Index })
	table.Sources = from.Shards
	for i := range 8 {
		c := clusters[i%2]
		shard := topology.Shard{Index: i, Cluster: c.Name, Database: fmt.Sprintf("%s_%d", schema, i), Table: "orders"}
		to.Shards = append(to.Shards, shard)
		table.Targets = append(table.Targets, reshard.Target{Index: i, Shard: shard, New: reshard.NewName("orders")})
		require.NoError(t, c.Primary.Exec(t.Context(), "CREATE DATABASE IF NOT EXISTS "+shard.Database,
			"CREATE TABLE "+shard.Database+"."+reshard.NewName("orders")+" (id BIGINT NOT NULL, user_id BIGINT NOT NULL, n INT NOT NULL, note VARCHAR(50), PRIMARY KEY (id, user_id))"))
	}
	return &reshard.Layout{Tables: []*reshard.Table{table}}
}
