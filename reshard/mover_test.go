package reshard

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// stand is two clusters of one engine, c0 and c1, and the way to them.
type stand struct {
	*backend.Fleet
	clusters []*mysqlproc.Cluster
	mu       sync.Mutex
}

// Login implements Servers.
func (s *stand) Login(string) backend.Config {
	return backend.Config{User: mysqlproc.BackendUser, Password: mysqlproc.BackendPassword}
}

// publish says who the primaries are now.
func (s *stand) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	view := &topology.View{Clusters: map[string]*topology.ClusterView{}}
	for _, c := range s.clusters {
		cv := &topology.ClusterView{Name: c.Name, Primary: c.Primary.Addr()}
		for _, srv := range c.Servers() {
			role := topology.RoleReplica
			if srv == c.Primary {
				role = topology.RolePrimary
			}
			cv.Instances = append(cv.Instances, topology.InstanceView{Instance: topology.Instance{Addr: srv.Addr()}, Up: srv.PID() != 0, Role: role})
		}
		view.Clusters[c.Name] = cv
	}
	s.Publish(view)
}

// primary is a cluster's primary.
func (s *stand) primary(cluster string) *mysqlproc.Server {
	for _, c := range s.clusters {
		if c.Name == cluster {
			return c.Primary
		}
	}
	return nil
}

func (s *stand) exec(t *testing.T, cluster string, statements ...string) {
	t.Helper()
	require.NoError(t, s.primary(cluster).Exec(t.Context(), statements...))
}

// alone runs statements in a session that ends with them, so that MariaDB lets
// another one end what it prepared.
func (s *stand) alone(t *testing.T, cluster string, statements ...string) {
	t.Helper()
	db, err := s.primary(cluster).Open(mysqlproc.AppUser, mysqlproc.AppPassword, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	for _, sql := range statements {
		_, err := conn.ExecContext(t.Context(), sql)
		require.NoError(t, err, sql)
	}
}

// eachEngine runs f on two clusters of each engine.
func eachEngine(t *testing.T, replicas int, f func(t *testing.T, s *stand)) {
	for _, e := range mysqlproc.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			dir, err := mysqlproc.NewTempDir()
			require.NoError(t, err)
			s := &stand{}
			for i := range 2 {
				c, err := mysqlproc.StartCluster(t.Context(), mysqlproc.ClusterOptions{
					Engine: e, Dir: dir.Path, Name: fmt.Sprintf("c%d", i), Replicas: replicas, FirstID: uint32(10*i + 1),
				})
				require.NoError(t, err)
				s.clusters = append(s.clusters, c)
			}
			t.Cleanup(func() {
				_ = mysqlproc.CloseAll(s.clusters) // some have been killed
				require.NoError(t, dir.Remove())
			})
			var clusters []backend.ClusterConfig
			for _, c := range s.clusters {
				cluster := topology.Cluster{Name: c.Name, Primary: c.Primary.Addr()}
				for _, srv := range c.Servers() {
					cluster.Instances = append(cluster.Instances, topology.Instance{Addr: srv.Addr()})
				}
				clusters = append(clusters, backend.ClusterConfig{Cluster: cluster, Config: s.Login(c.Name)})
			}
			s.Fleet = backend.NewFleet(backend.FleetConfig{Clusters: clusters})
			t.Cleanup(s.Close)
			s.publish()
			f(t, s)
		})
	}
}

// memory is a Journal that a crash leaves as it is.
type memory struct {
	mu        sync.Mutex
	parts     map[topology.Shard]Part
	positions map[string]string
}

func newMemory() *memory {
	return &memory{parts: map[topology.Shard]Part{}, positions: map[string]string{}}
}

// SavePart implements Journal.
func (j *memory) SavePart(_ context.Context, p Part) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.parts[p.Source] = p
	return nil
}

// SavePosition implements Journal.
func (j *memory) SavePosition(_ context.Context, cluster, gtids string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.positions[cluster] = gtids
	return nil
}

func (j *memory) resume() Resume {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Resume{Parts: slices.Collect(maps.Values(j.parts)), Positions: maps.Clone(j.positions)}
}

// move is one table to move: where its rows are and where they go.
type move struct {
	name     string
	columns  string // of CREATE TABLE
	key      []string
	from, to *shardrule.Placement
}

// spread is a placement over n databases of both clusters in turn.
func spread(table, prefix string, n int, c shardrule.Column) *shardrule.Placement {
	p := &shardrule.Placement{Schema: "d", Table: table, Kind: shardrule.Sharded, Column: c}
	hash, err := shardrule.NewHash(n)
	if err != nil {
		panic(err)
	}
	p.Algorithm = hash
	for i := range n {
		p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: fmt.Sprintf("c%d", i%2), Database: fmt.Sprintf("%s_%d", prefix, i), Table: table})
	}
	return p
}

// home is a placement in one table.
func home(table string) *shardrule.Placement {
	return &shardrule.Placement{Schema: "d", Table: table, Kind: shardrule.Whole, Shards: []topology.Shard{{Cluster: "c0", Database: "d", Table: table}}}
}

// layout creates all tables and says what moves.
func (s *stand) layout(t *testing.T, moves ...move) *Layout {
	t.Helper()
	l := &Layout{}
	for _, m := range moves {
		table := &Table{Schema: "d", Name: m.name, From: m.from, To: m.to, Definition: &catalog.Table{Name: m.name, PrimaryKey: m.key}, Sources: m.from.Shards}
		for _, shard := range m.from.Shards {
			s.exec(t, shard.Cluster, "CREATE DATABASE IF NOT EXISTS "+shard.Database, "CREATE TABLE "+shard.Database+"."+shard.Table+" "+m.columns)
		}
		for _, shard := range m.to.Shards {
			s.exec(t, shard.Cluster, "CREATE DATABASE IF NOT EXISTS "+shard.Database, "CREATE TABLE "+shard.Database+".serval_new_"+shard.Table+" "+m.columns)
			table.Targets = append(table.Targets, Target{Index: shard.Index, Shard: shard, New: "serval_new_" + shard.Table})
		}
		l.Tables = append(l.Tables, table)
	}
	return l
}

// running is a Mover at work.
type running struct {
	*Mover
	end  func()
	done chan error
}

// start runs a mover; end ends it as a crash does, and waits.
func (s *stand) start(t *testing.T, cfg MoverConfig) *running {
	t.Helper()
	cfg.Servers = s
	m, err := NewMover(t.Context(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Mover: m, done: make(chan error, 1)}
	go func() { r.done <- m.Run(ctx) }()
	var once sync.Once
	r.end = func() {
		once.Do(func() {
			cancel()
			<-m.failed
		})
	}
	t.Cleanup(r.end)
	return r
}

// copyDone waits for the copy.
func (r *running) copyDone(t *testing.T) {
	t.Helper()
	select {
	case <-r.Copied():
	case err := <-r.done:
		require.NoError(t, err)
	case <-time.After(2 * time.Minute):
		require.Fail(t, "the copy does not end", "%+v", r.Progress())
	}
}

// caughtUp waits for the changes.
func (r *running) caughtUp(t *testing.T) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	require.NoError(t, r.CatchUp(ctx))
	return time.Since(began)
}

// rows reads all rows of tables, each as one line, sorted.
func (s *stand) rows(t *testing.T, tables map[string][]string, columns string) []string {
	t.Helper()
	var out []string
	for cluster, names := range tables {
		db, err := s.primary(cluster).Open(mysqlproc.AppUser, mysqlproc.AppPassword, "")
		require.NoError(t, err)
		defer func() { _ = db.Close() }()
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		_, err = conn.ExecContext(t.Context(), "SET time_zone = '+00:00', character_set_results = binary")
		require.NoError(t, err)
		for _, name := range names {
			rows, err := conn.QueryContext(t.Context(), "SELECT "+columns+" FROM "+name)
			require.NoError(t, err)
			out = append(out, lines(t, rows)...)
		}
	}
	slices.Sort(out)
	return out
}

func lines(t *testing.T, rows *sql.Rows) []string {
	t.Helper()
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	require.NoError(t, err)
	var out []string
	for rows.Next() {
		values, into := make([]sql.RawBytes, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		var b strings.Builder
		for i, v := range values {
			if v == nil {
				fmt.Fprintf(&b, "%s=NULL ", names[i])
			} else {
				fmt.Fprintf(&b, "%s=%q ", names[i], v)
			}
		}
		out = append(out, b.String())
	}
	require.NoError(t, rows.Err())
	return out
}

// sameRows compares old and new tables of a layout, row by row; columns is what is
// read of them.
func (s *stand) sameRows(t *testing.T, l *Layout, columns string) int {
	t.Helper()
	total := 0
	for _, table := range l.Tables {
		from, to := map[string][]string{}, map[string][]string{}
		for _, src := range table.Sources {
			from[src.Cluster] = append(from[src.Cluster], src.Database+"."+src.Table)
		}
		for _, tgt := range table.Targets {
			to[tgt.Shard.Cluster] = append(to[tgt.Shard.Cluster], tgt.Shard.Database+"."+tgt.New)
		}
		want := s.rows(t, from, columns)
		require.Equal(t, want, s.rows(t, to, columns))
		total += len(want)
	}
	return total
}

// verified compares by checksums, and says that all is well.
func (r *running) verified(t *testing.T) *Verified {
	t.Helper()
	v, err := r.Verify(t.Context(), VerifyOptions{})
	require.NoError(t, err)
	require.Empty(t, v.Differing)
	require.Zero(t, v.Unsteady)
	return v
}
