package session_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/proxy"
	"github.com/servaldb/serval/proxy/session"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// stand is a Serval front over two real servers, each a cluster of its own.
type stand struct {
	addr     string
	servers  []*mysqlproc.Server
	registry *session.Registry
	plans    *session.Plans
	finished chan session.Finished
}

func (s *stand) open(t *testing.T, params string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "app:s3cret@tcp("+s.addr+")/shop?"+params)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// conn is one session.
func (s *stand) conn(t *testing.T, params string) *sql.Conn {
	t.Helper()
	c, err := s.open(t, params).Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newStand(t *testing.T, engine mysqlproc.Engine) *stand {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s := &stand{registry: session.NewRegistry(), plans: session.NewPlans(1000)}
	cat := shopCatalog(t, engine)
	var clusters []backend.ClusterConfig
	view := &topology.View{Clusters: map[string]*topology.ClusterView{}}
	for i, name := range []string{"c0", "c1"} {
		srv, err := mysqlproc.Start(ctx, mysqlproc.Options{Engine: engine, ServerID: uint32(i + 1)})
		require.NoError(t, err)
		t.Cleanup(func() { _ = srv.Close() })
		s.servers = append(s.servers, srv)
		c := topology.Cluster{Name: name, Primary: srv.Addr(), Instances: []topology.Instance{{Addr: srv.Addr(), Weight: 1}}}
		cat.Clusters[name] = &c
		clusters = append(clusters, backend.ClusterConfig{Cluster: c, Config: backend.Config{User: "serval", Password: "b4ckend"}})
		view.Clusters[name] = &topology.ClusterView{Name: name, Primary: srv.Addr(), Instances: []topology.InstanceView{
			{Instance: c.Instances[0], Role: topology.RolePrimary, Up: true},
		}}
		require.NoError(t, srv.Exec(ctx, shopTables(cat, name)...))
	}
	fleet := backend.NewFleet(backend.FleetConfig{Clusters: clusters})
	fleet.Publish(view)
	t.Cleanup(fleet.Close)
	store := catalog.NewStore(cat)
	level := slog.LevelWarn
	if os.Getenv("SERVAL_TEST_DEBUG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	deps := session.Deps{
		Catalog: store, Plans: s.plans, Fleet: fleet, Weights: session.NewWeights(), Registry: s.registry, Log: log,
		Sequences: session.NewSequences(store, fleet), Started: time.Now(),
	}
	front, err := proxy.New(proxy.Config{
		Listen: []string{"127.0.0.1:0"}, Logger: log, DrainTimeout: 5 * time.Second,
		Users: func(name string) *catalog.User { return store.Load().Users[name] },
		CheckSchema: func(ctx context.Context, u *catalog.User, schema string) error {
			return session.CheckSchema(ctx, deps, u, schema)
		},
		Serve: func(ctx context.Context, c *session.Client) { _ = session.New(deps, c).Serve(ctx) },
	})
	require.NoError(t, err)
	require.NoError(t, front.Listen(ctx))
	run, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- front.Run(run) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	s.addr = front.Addrs()[0].String()
	return s
}

const shards = 4

func shopCatalog(t *testing.T, engine mysqlproc.Engine) *catalog.Catalog {
	t.Helper()
	coll, id := "utf8mb4_general_ci", uint16(45)
	cat := &catalog.Catalog{
		Clusters: map[string]*topology.Cluster{}, Home: "c0",
		Users: map[string]*catalog.User{
			"app":    {Name: "app", Password: "s3cret"},
			"report": {Name: "report", Password: "r3port", Schemas: []string{"shop"}, ReadOnly: true},
		},
		Collations: map[string]catalog.Collation{
			coll: {Name: coll, Charset: "utf8mb4", ID: id, PadSpace: true, PadWeight: []byte{0, 0x20}, Default: true},
		},
	}
	if engine == mysqlproc.MySQL {
		cat.Collations["utf8mb4_0900_ai_ci"] = catalog.Collation{Name: "utf8mb4_0900_ai_ci", Charset: "utf8mb4", ID: 255}
	}
	table := func(name, auto string, key shardrule.Column, more ...shardrule.Column) *catalog.Table {
		h, err := shardrule.NewHash(shards)
		require.NoError(t, err)
		p := &shardrule.Placement{Schema: "shop", Table: name, Kind: shardrule.Sharded, Algorithm: h, Column: key}
		for i := range shards {
			p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: fmt.Sprintf("c%d", i/2), Database: fmt.Sprintf("shop_%02d", i), Table: name})
		}
		tab := &catalog.Table{Name: name, Placement: p, AutoIncrement: auto, PrimaryKey: []string{"id"}}
		for _, c := range append([]shardrule.Column{key}, more...) {
			tab.Columns = append(tab.Columns, catalog.Column{Column: c})
		}
		return tab
	}
	bigint := func(name string) shardrule.Column {
		return shardrule.Column{Name: name, Type: shardrule.TypeInt, Bits: 64, SQLType: "bigint"}
	}
	text := func(name string) shardrule.Column {
		return shardrule.Column{Name: name, Type: shardrule.TypeText, Length: 40, Collation: coll, PadSpace: true, SQLType: "varchar(40)"}
	}
	cat.Schemas = map[string]*catalog.Schema{"shop": {Name: "shop", Home: "c0", Tables: map[string]*catalog.Table{
		"users":    table("users", "", bigint("id"), text("name")),
		"comments": table("comments", "id", bigint("id"), text("body")),
		"tags":     table("tags", "", text("id"), bigint("n")),
	}}}
	return cat
}

// shopTables are the statements that make one cluster's databases and tables.
func shopTables(cat *catalog.Catalog, cluster string) []string {
	ddl := map[string]string{
		"users":    "(id BIGINT PRIMARY KEY, name VARCHAR(40)) CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
		"comments": "(id BIGINT PRIMARY KEY, body VARCHAR(40)) CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
		"tags":     "(id VARCHAR(40) PRIMARY KEY, n BIGINT) CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
	}
	out := []string{"CREATE DATABASE IF NOT EXISTS shop"}
	for name, tab := range cat.Schemas["shop"].Tables {
		for _, s := range tab.Placement.Shards {
			if s.Cluster == cluster {
				out = append(out, "CREATE DATABASE IF NOT EXISTS "+s.Database, "CREATE TABLE "+s.Database+"."+name+" "+ddl[name])
			}
		}
	}
	if cluster == "c0" {
		out = append(out, "CREATE TABLE shop.notes (id INT AUTO_INCREMENT PRIMARY KEY, txt VARCHAR(20))")
	}
	return out
}

var _ = mysql.ErrInvalidConn

func TestSmoke(t *testing.T) {
	s := newStand(t, smokeEngine())
	ctx := context.Background()
	c := s.conn(t, "")
	step := func(q string, args ...any) {
		t.Helper()
		if _, err := c.ExecContext(ctx, q, args...); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	show := func(q string, args ...any) {
		t.Helper()
		rows, err := c.QueryContext(ctx, q, args...)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			return
		}
		defer rows.Close()
		cols, _ := rows.Columns()
		t.Log(q, cols)
		for rows.Next() {
			vals := make([]sql.NullString, len(cols))
			ptr := make([]any, len(cols))
			for i := range vals {
				ptr[i] = &vals[i]
			}
			if err := rows.Scan(ptr...); err != nil {
				t.Error(err)
			}
			var line []string
			for _, v := range vals {
				line = append(line, v.String)
			}
			t.Log("   ", line)
		}
		if rows.Err() != nil {
			t.Errorf("%s: %v", q, rows.Err())
		}
	}
	step("INSERT INTO users VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e')")
	show("SELECT * FROM users WHERE id = 3")
	show("SELECT * FROM users WHERE id = ?", 3)
	show("SELECT id, name FROM users ORDER BY id")
	show("SELECT COUNT(*) FROM users")
	show("SELECT COUNT(*) FROM users WHERE id > ?", 1)
	step("BEGIN")
	step("UPDATE users SET name = 'x' WHERE id = 1")
	step("SAVEPOINT s")
	step("UPDATE users SET name = 'y' WHERE id IN (1,2,3,4)")
	show("SELECT * FROM users ORDER BY id")
	step("ROLLBACK TO s")
	step("COMMIT")
	show("SELECT * FROM users ORDER BY id")
	step("SET @a = 5, sql_mode='ANSI_QUOTES', @b = 'x\"y'")
	show("SELECT @a, @b, @@sql_mode")
	show("SELECT @a := @a + 1, @a")
	show("SELECT @a")
	step("SET sql_mode=DEFAULT")
	step("SET NAMES utf8mb4")
	show("SELECT @@autocommit, DATABASE(), CONNECTION_ID() AS c")
	step("INSERT INTO notes (txt) VALUES ('n')")
	show("SELECT LAST_INSERT_ID()")
	show("SELECT LAST_INSERT_ID(), txt FROM notes")
	step("INSERT INTO comments (body) VALUES ('one'),('two'),('three')")
	show("SELECT LAST_INSERT_ID()")
	show("SELECT * FROM comments ORDER BY id")
	step("INSERT INTO comments (id, body) VALUES (100, 'x')")
	step("INSERT INTO comments (body) VALUES (?)", "y")
	show("SELECT * FROM comments ORDER BY id")
	step("INSERT INTO tags VALUES ('rot', 1), ('grün', 2), ('Blau', 3)")
	show("SELECT * FROM tags WHERE id = 'GRÜN'")
	show("SELECT * FROM tags WHERE id = ?", "blau")
	show("SHOW WARNINGS")
	show("SELECT CAST('abc' AS SIGNED)")
	show("SHOW WARNINGS")
	show("SHOW PROCESSLIST")
	show("EXPLAIN FORMAT='route' SELECT COUNT(*) FROM users WHERE id > 1")
	step("USE information_schema")
	step("USE shop")
	show("SHOW TABLES")
	show("SELECT @@serval_consistency")
	step("SET autocommit = 0")
	step("INSERT INTO users VALUES (6,'f')")
	step("ROLLBACK")
	step("SET autocommit = 1")
	show("SELECT COUNT(*) FROM users")
	step("CREATE TEMPORARY TABLE tt (a INT)")
	step("INSERT INTO tt VALUES (1)")
	show("SELECT * FROM tt")
	show("SHOW CREATE TABLE users")
	show("SELECT ROW_COUNT()")
	step("DELETE FROM users WHERE id > 2")
	show("SELECT ROW_COUNT()")
	show("SELECT COUNT(*) FROM users")
}

func smokeEngine() mysqlproc.Engine {
	if os.Getenv("ENGINE") == "mysql" {
		return mysqlproc.MySQL
	}
	return mysqlproc.MariaDB
}
