package session_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
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
		"comments": "(id BIGINT AUTO_INCREMENT PRIMARY KEY, body VARCHAR(40)) CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
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

// engines runs a test on real servers of both kinds.
func engines(t *testing.T, test func(t *testing.T, s *stand)) {
	for _, e := range mysqlproc.Engines {
		t.Run(e.String(), func(t *testing.T) { test(t, newStand(t, e)) })
	}
}

// rows gives a query's rows, values joined by commas, NULL as it is.
func rows(t *testing.T, c *sql.Conn, query string, args ...any) (columns string, out []string) {
	t.Helper()
	r, err := c.QueryContext(context.Background(), query, args...)
	require.NoError(t, err, query)
	defer r.Close()
	names, err := r.Columns()
	require.NoError(t, err)
	for r.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, r.Scan(into...), query)
		line := make([]string, len(names))
		for i, v := range values {
			line[i] = "NULL"
			if v.Valid {
				line[i] = v.String
			}
		}
		out = append(out, strings.Join(line, ","))
	}
	require.NoError(t, r.Err(), query)
	return strings.Join(names, ","), out
}

func exec(t *testing.T, c *sql.Conn, statement string, args ...any) sql.Result {
	t.Helper()
	r, err := c.ExecContext(context.Background(), statement, args...)
	require.NoError(t, err, statement)
	return r
}

func code(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// TestStatementsOnRealServers: one session after the other, with what a plain
// server would have answered.
func TestStatementsOnRealServers(t *testing.T) {
	engines(t, func(t *testing.T, s *stand) {
		seed := s.conn(t, "")
		exec(t, seed, "INSERT INTO users VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e')")
		t.Run("reads", func(t *testing.T) { readsOn(t, s.conn(t, "")) })
		t.Run("session state", func(t *testing.T) { stateOn(t, s.conn(t, "")) })
		t.Run("numbers", func(t *testing.T) { numbersOn(t, s.conn(t, "")) })
		t.Run("transactions", func(t *testing.T) { transactionsOn(t, s.conn(t, "")) })
		t.Run("connections that are kept", func(t *testing.T) { keptOn(t, s, s.conn(t, "")) })
		t.Run("text keys", func(t *testing.T) { textKeysOn(t, s.conn(t, "")) })
		t.Run("ends", func(t *testing.T) { endsOn(t, s) })
		t.Run("users", func(t *testing.T) { usersOn(t, s) })
	})
}

func readsOn(t *testing.T, c *sql.Conn) {
	for _, q := range []struct {
		query string
		args  []any
		want  []string
	}{
		{"SELECT * FROM users WHERE id = 3", nil, []string{"3,c"}},
		{"SELECT * FROM users WHERE id = ?", []any{3}, []string{"3,c"}},
		{"SELECT id FROM users ORDER BY id DESC LIMIT 2", nil, []string{"5", "4"}},
		{"SELECT id FROM users WHERE id > ? ORDER BY id LIMIT ?", []any{1, 2}, []string{"2", "3"}},
		{"SELECT COUNT(*), MIN(name), MAX(id) FROM users", nil, []string{"5,a,5"}},
		{"SELECT COUNT(*) FROM users WHERE id > ?", []any{2}, []string{"3"}},
	} {
		_, got := rows(t, c, q.query, q.args...)
		require.Equal(t, q.want, got, q.query)
	}
	_, err := c.QueryContext(context.Background(), "SELECT nothing FROM users WHERE id = 1")
	require.EqualValues(t, 1054, code(err))
	require.NotContains(t, err.Error(), "shop_0")
}

func stateOn(t *testing.T, c *sql.Conn) {
	exec(t, c, `SET @a = 5, @b = 'x"\'\\y', @c = 1.50, @d = NULL, sql_mode = 'ANSI_QUOTES'`)
	cols, got := rows(t, c, "SELECT @a, @b, @c, @d, @@sql_mode")
	require.Equal(t, []string{`5,x"'\y,1.50,NULL,ANSI_QUOTES`}, got)
	require.Equal(t, "@a,@b,@c,@d,@@sql_mode", cols)
	_, got = rows(t, c, `SELECT "name" FROM "users" WHERE "id" = 1`)
	require.Equal(t, []string{"a"}, got, "with ANSI_QUOTES")
	exec(t, c, "SET sql_mode = DEFAULT")
	_, got = rows(t, c, `SELECT "name"`)
	require.Equal(t, []string{"name"}, got)
	rows(t, c, "SELECT @a := @a + 1")
	_, got = rows(t, c, "SELECT @a")
	require.Equal(t, []string{"6"}, got)
	exec(t, c, "SET time_zone = '+05:00'")
	_, got = rows(t, c, "SELECT @@time_zone, FROM_UNIXTIME(0)")
	require.Equal(t, []string{"+05:00,1970-01-01 05:00:00"}, got)
	exec(t, c, "SET @old = @@sql_mode, sql_mode = 'NO_BACKSLASH_ESCAPES'")
	_, got = rows(t, c, `SELECT 'a\'`)
	require.Equal(t, []string{`a\`}, got)
	exec(t, c, "SET sql_mode = @old")
	exec(t, c, "SET NAMES latin1")
	_, got = rows(t, c, "SELECT @@character_set_client, @@character_set_results, @@collation_connection")
	require.Equal(t, []string{"latin1,latin1,latin1_swedish_ci"}, got)
	exec(t, c, "SET NAMES utf8mb4 COLLATE utf8mb4_bin")
	_, got = rows(t, c, "SELECT @@collation_connection, 'a' = 'A'")
	require.Equal(t, []string{"utf8mb4_bin,0"}, got)
	_, err := c.ExecContext(context.Background(), "SET nonsense = 1")
	require.EqualValues(t, 1193, code(err))
	exec(t, c, "USE information_schema")
	cols, got = rows(t, c, "SELECT DATABASE()")
	require.Equal(t, "DATABASE()", cols)
	require.Equal(t, []string{"information_schema"}, got)
	exec(t, c, "USE shop")
	_, err = c.ExecContext(context.Background(), "USE nowhere")
	require.EqualValues(t, 1049, code(err))
	rows(t, c, "SELECT CAST('abc' AS SIGNED)")
	_, got = rows(t, c, "SHOW WARNINGS")
	require.Equal(t, []string{"Warning,1292,Truncated incorrect INTEGER value: 'abc'"}, got)
	_, got = rows(t, c, "SHOW WARNINGS")
	require.Len(t, got, 1, "SHOW WARNINGS leaves them")
}

func numbersOn(t *testing.T, c *sql.Conn) {
	exec(t, c, "INSERT INTO notes (txt) VALUES ('n')")
	_, got := rows(t, c, "SELECT LAST_INSERT_ID(), txt FROM notes")
	require.Equal(t, []string{"1,n"}, got)
	r := exec(t, c, "INSERT INTO comments (body) VALUES ('one'),('two'),('three')")
	first, err := r.LastInsertId()
	require.NoError(t, err)
	require.EqualValues(t, 1, first)
	n, _ := r.RowsAffected()
	require.EqualValues(t, 3, n)
	r = exec(t, c, "INSERT INTO comments (id, body) VALUES (5000, 'x')")
	own, err := r.LastInsertId()
	require.NoError(t, err)
	require.EqualValues(t, 5000, own, "the OK tells it")
	_, got = rows(t, c, "SELECT LAST_INSERT_ID()")
	require.Equal(t, []string{"1"}, got, "a number that the row brings is none that was given")
	exec(t, c, "INSERT INTO comments (body) VALUES (?)", "y")
	_, got = rows(t, c, "SELECT id, body FROM comments ORDER BY id")
	require.Equal(t, []string{"1,one", "2,two", "3,three", "5000,x", "5001,y"}, got)
	_, got = rows(t, c, "SELECT LAST_INSERT_ID()")
	require.Equal(t, []string{"5001"}, got)
	exec(t, c, "DELETE FROM comments WHERE id < 3")
	_, got = rows(t, c, "SELECT ROW_COUNT()")
	require.Equal(t, []string{"2"}, got)
}

func transactionsOn(t *testing.T, c *sql.Conn) {
	all := "SELECT name FROM users ORDER BY id"
	exec(t, c, "BEGIN")
	exec(t, c, "UPDATE users SET name = 'x' WHERE id = 1")
	exec(t, c, "SAVEPOINT s")
	exec(t, c, "UPDATE users SET name = 'y'")
	_, got := rows(t, c, all)
	require.Equal(t, []string{"y", "y", "y", "y", "y"}, got)
	exec(t, c, "ROLLBACK TO s")
	_, err := c.ExecContext(context.Background(), "INSERT INTO users VALUES (6,'f'),(7,'g'),(8,'h'),(9,'i'),(1,'a')")
	require.EqualValues(t, 1062, code(err))
	exec(t, c, "COMMIT")
	_, got = rows(t, c, all)
	require.Equal(t, []string{"x", "b", "c", "d", "e"}, got, "the failed INSERT left nothing, on no shard")
	exec(t, c, "SET autocommit = 0")
	exec(t, c, "UPDATE users SET name = 'z'")
	exec(t, c, "ROLLBACK")
	exec(t, c, "SET autocommit = 1")
	exec(t, c, "UPDATE users SET name = 'a' WHERE id = 1")
	exec(t, c, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
	exec(t, c, "START TRANSACTION READ ONLY")
	_, err = c.ExecContext(context.Background(), "UPDATE users SET name = 'a' WHERE id = 1")
	require.EqualValues(t, 1792, code(err))
	exec(t, c, "COMMIT")
	_, got = rows(t, c, all)
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, got)
}

func keptOn(t *testing.T, s *stand, c *sql.Conn) {
	exec(t, c, "CREATE TEMPORARY TABLE tt (a INT)")
	exec(t, c, "INSERT INTO tt VALUES (1), (2)")
	_, got := rows(t, c, "SELECT SUM(a) FROM tt")
	require.Equal(t, []string{"3"}, got)
	_, got = rows(t, c, "SELECT GET_LOCK('l', 1)")
	require.Equal(t, []string{"1"}, got)
	other := s.conn(t, "")
	_, got = rows(t, other, "SELECT GET_LOCK('l', 0)")
	require.Equal(t, []string{"0"}, got)
	exec(t, c, "LOCK TABLES users WRITE")
	exec(t, c, "UPDATE users SET name = 'b' WHERE id = 2")
	_, got = rows(t, c, "SELECT COUNT(*) FROM users")
	require.Equal(t, []string{"5"}, got)
	exec(t, c, "UNLOCK TABLES")
	exec(t, other, "UPDATE users SET name = 'b' WHERE id = 2")
}

func textKeysOn(t *testing.T, c *sql.Conn) {
	exec(t, c, "INSERT INTO tags VALUES ('rot', 1), ('grün', 2), ('Blau', 3)")
	for _, key := range []string{"GRÜN", "grun", "grün  "} {
		_, got := rows(t, c, "SELECT n FROM tags WHERE id = '"+key+"'")
		require.Equal(t, []string{"2"}, got, key)
		_, got = rows(t, c, "SELECT n FROM tags WHERE id = ?", key)
		require.Equal(t, []string{"2"}, got, key)
	}
}

func endsOn(t *testing.T, s *stand) {
	ctx := context.Background()
	c := s.conn(t, "")
	exec(t, c, "SET serval_timeout = 0.2")
	// SLEEP alone would be answered with 1 when it is interrupted.
	require.EqualValues(t, 3024, code(drain(c, "SELECT id FROM users WHERE id = 1 AND SLEEP(10)")))
	_, got := rows(t, c, "SELECT 1")
	require.Equal(t, []string{"1"}, got, "the session goes on")

	victim := s.conn(t, "")
	_, id := rows(t, victim, "SELECT CONNECTION_ID()")
	ended := make(chan error, 1)
	go func() {
		ended <- drain(victim, "SELECT id FROM users WHERE id = 1 AND SLEEP(20)")
	}()
	require.Eventually(t, func() bool {
		_, list := rows(t, c, "SHOW PROCESSLIST")
		return strings.Contains(strings.Join(list, "\n"), "SLEEP(20)")
	}, 5*time.Second, 5*time.Millisecond)
	exec(t, c, "KILL QUERY "+id[0])
	require.EqualValues(t, 1317, code(<-ended))
	_, got = rows(t, victim, "SELECT 1")
	require.Equal(t, []string{"1"}, got)
	exec(t, c, "KILL "+id[0])
	require.Error(t, victim.PingContext(ctx))
}

// drain reads a query to its end and gives its error.
func drain(c *sql.Conn, query string) error {
	r, err := c.QueryContext(context.Background(), query)
	if err != nil {
		return err
	}
	for r.Next() {
	}
	return errors.Join(r.Err(), r.Close())
}

func usersOn(t *testing.T, s *stand) {
	db, err := sql.Open("mysql", "report:r3port@tcp("+s.addr+")/shop")
	require.NoError(t, err)
	defer db.Close()
	var n int
	require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM users").Scan(&n))
	require.Equal(t, 5, n)
	_, err = db.Exec("DELETE FROM users")
	require.EqualValues(t, 1142, code(err))
	wrong, err := sql.Open("mysql", "report:r3port@tcp("+s.addr+")/mysql")
	require.NoError(t, err)
	defer wrong.Close()
	require.EqualValues(t, 1044, code(wrong.Ping()))
}

// TestTransfersAddUp: transactions over both clusters from many sessions at
// once lose and invent nothing.
func TestTransfersAddUp(t *testing.T) {
	s := newStand(t, mysqlproc.MariaDB)
	ctx := context.Background()
	seed := s.conn(t, "")
	const accounts, workers, transfers, start = 20, 8, 40, 1000
	for i := range accounts {
		exec(t, seed, "INSERT INTO users VALUES (?, ?)", i, strconv.Itoa(start))
	}
	db := s.open(t, "")
	db.SetMaxOpenConns(workers)
	var done sync.WaitGroup
	failures := make(chan error, workers*transfers)
	for w := range workers {
		done.Go(func() {
			for i := range transfers {
				from, to := (w*7+i)%accounts, (w*3+i*5+1)%accounts
				if err := transfer(ctx, db, from, to); err != nil {
					failures <- err
				}
			}
		})
	}
	done.Wait()
	close(failures)
	for err := range failures {
		require.Contains(t, []uint16{1213, 1205}, code(err), "%v", err)
	}
	_, got := rows(t, seed, "SELECT SUM(CAST(name AS SIGNED)) FROM users")
	require.Equal(t, []string{strconv.Itoa(accounts * start)}, got)
}

func transfer(ctx context.Context, db *sql.DB, from, to int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if from > to { // in one order, so that deadlocks stay rare
		from, to = to, from
	}
	if _, err := tx.ExecContext(ctx, "UPDATE users SET name = name - 1 WHERE id = ?", from); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE users SET name = name + 1 WHERE id = ?", to); err != nil {
		return err
	}
	return tx.Commit()
}
