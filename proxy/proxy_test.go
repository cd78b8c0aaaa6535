package proxy

import (
	"context"
	"crypto/tls"
	"database/sql"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/proxy/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testUsers = map[string]*catalog.User{
	"app":   {Name: "app", Password: "s3cret", Schemas: []string{"shop"}},
	"root":  {Name: "root", Password: "pässword with spaces and more than twenty bytes"},
	"guest": {Name: "guest"},
}

func usersOfTests(name string) *catalog.User { return testUsers[name] }

// answer is a session that says OK to COM_PING and COM_QUERY until the client
// quits or a drain wakes it. The query "panic" panics, "wait" waits for ctx.
func answer(ctx context.Context, c *session.Client) {
	for {
		c.Reader.SetSeq(0)
		p, err := c.Reader.Packet()
		if err != nil || len(p) == 0 || p[0] == wire.ComQuit {
			return
		}
		switch text := string(p[1:]); {
		case text == "panic":
			panic("asked for")
		case text == "wait":
			<-ctx.Done()
			return
		}
		c.Writer.SetSeq(c.Reader.Seq())
		_ = c.Writer.Packet(wire.OK{Status: wire.StatusAutocommit}.Append(nil, c.Capabilities, wire.HeaderOK))
		if c.Writer.Flush() != nil {
			return
		}
	}
}

// rig is a running server.
type rig struct {
	*Server
	addr    string
	clients chan *session.Client // those that got in, as they do
	open    atomic.Int64
	refused atomic.Int64
	failed  atomic.Int64
	panics  chan struct{}
	stop    context.CancelFunc
	ended   chan error
}

func start(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{clients: make(chan *session.Client, 1000), ended: make(chan error, 1), panics: make(chan struct{}, 10)}
	cfg := Config{
		Listen:       []string{"127.0.0.1:0"},
		LoginTimeout: 20 * time.Second,
		DrainTimeout: 10 * time.Second,
		Users:        usersOfTests,
		Logger:       slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Hooks: Hooks{
			Open:       func(d int) { r.open.Add(int64(d)) },
			Refused:    func() { r.refused.Add(1) },
			AuthFailed: func() { r.failed.Add(1) },
			Panicked:   func() { r.panics <- struct{}{} },
		},
		Serve: func(ctx context.Context, c *session.Client) {
			r.clients <- c
			answer(ctx, c)
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	r.Server, err = New(cfg)
	require.NoError(t, err)
	require.NoError(t, r.Listen(t.Context()))
	r.addr = r.Addrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		r.stop()
		require.NoError(t, <-r.ended)
		require.Zero(t, r.open.Load())
	})
	return r
}

// ping logs in with go-sql-driver and pings once.
func ping(t *testing.T, dsn string) error {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	defer db.Close()
	return db.PingContext(t.Context())
}

func dsn(r *rig, user, password, schema, params string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName, c.Net, c.Addr = user, password, schema, "tcp", r.addr
	if strings.HasPrefix(r.addr, "/") {
		c.Net = "unix"
	}
	text := c.FormatDSN()
	if params == "" {
		return text
	}
	if strings.Contains(text, "?") {
		return text + "&" + params
	}
	return text + "?" + params
}

func TestLoginWithGoSQLDriver(t *testing.T) {
	for name, forceFull := range map[string]bool{"by scramble": false, "by RSA": true} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			r.forceFull.Store(forceFull)
			for user, u := range testUsers {
				require.NoError(t, ping(t, dsn(r, user, u.Password, "", "")), user)
			}
			require.NoError(t, ping(t, dsn(r, "app", "s3cret", "shop", "connectionAttributes=program:test")))
			for range len(testUsers) {
				<-r.clients
			}
			c := <-r.clients
			require.Equal(t, "shop", c.Schema)
			require.Equal(t, "app", c.User.Name)
			require.Equal(t, "test", c.Attributes["program"])
			require.NotZero(t, c.ID)
			require.NotZero(t, c.Collation)
			require.True(t, strings.HasPrefix(c.Remote, "127.0.0.1:"))
			require.NotZero(t, c.Capabilities&wire.CapProtocol41)
			require.Zero(t, c.Capabilities&wire.CapLocalFiles)
			requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, "app", "wrong", "shop", "")))
			requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, "app", "", "shop", "")))
		})
	}
}

func requireCode(t *testing.T, code uint16, err error) *mysql.MySQLError {
	t.Helper()
	var e *mysql.MySQLError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Number, e.Message)
	return e
}

func TestWrongUserAndWrongPasswordReadTheSame(t *testing.T) {
	r := start(t, nil)
	for _, c := range []struct{ user, password, want string }{
		{"app", "wrong", "Access denied for user 'app'@'127.0.0.1' (using password: YES)"},
		{"nobody", "wrong", "Access denied for user 'nobody'@'127.0.0.1' (using password: YES)"},
		{"app", "", "Access denied for user 'app'@'127.0.0.1' (using password: NO)"},
		{"nobody", "", "Access denied for user 'nobody'@'127.0.0.1' (using password: NO)"},
		{"guest", "guess", "Access denied for user 'guest'@'127.0.0.1' (using password: YES)"},
	} {
		e := requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, c.user, c.password, "", "")))
		require.Equal(t, c.want, e.Message)
		require.Equal(t, "28000", string(e.SQLState[:]))
	}
	require.EqualValues(t, 5, r.failed.Load())
}

func TestDatabaseOfALogin(t *testing.T) {
	r := start(t, func(cfg *Config) {
		cfg.CheckSchema = func(_ context.Context, _ *catalog.User, schema string) error {
			if schema == "gone" {
				return sqlerr.New(sqlerr.BadDB, "Unknown database '%s'", schema)
			}
			return nil
		}
	})
	e := requireCode(t, sqlerr.DBAccessDenied, ping(t, dsn(r, "app", "s3cret", "payroll", "")))
	require.Equal(t, "Access denied for user 'app'@'%' to database 'payroll'", e.Message)
	require.Equal(t, "42000", string(e.SQLState[:]))
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "information_schema", "")))
	require.NoError(t, ping(t, dsn(r, "root", testUsers["root"].Password, "payroll", "")))
	requireCode(t, sqlerr.BadDB, ping(t, dsn(r, "root", testUsers["root"].Password, "gone", "")))
}

func TestLoginWithGoMySQLClient(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.TLS = serverTLS(t) })
	connect := func(password string, opts ...client.Option) error {
		c, err := client.Connect(r.addr, "app", password, "shop", opts...)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Ping()
	}
	overTLS := func(c *client.Conn) error { c.UseSSL(true); return nil }
	for _, forceFull := range []bool{false, true} {
		r.forceFull.Store(forceFull)
		require.NoError(t, connect("s3cret"))
		require.ErrorContains(t, connect("wrong"), "1045")
		require.NoError(t, connect("s3cret", overTLS))
		require.ErrorContains(t, connect("wrong", overTLS), "1045")
	}
}

func TestLoginOverUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	stale, err := net.Listen("unix", path)
	require.NoError(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, stale.Close()) // as a killed process leaves it
	r := start(t, func(cfg *Config) { cfg.Listen = []string{"unix:" + path, "127.0.0.1:0"} })
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "", "")))
	require.Equal(t, "localhost", (<-r.clients).Remote)
	r.forceFull.Store(true)
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "", "")), "the password in the clear: nobody can listen")
	e := requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, "app", "wrong", "", "")))
	require.Equal(t, "Access denied for user 'app'@'localhost' (using password: YES)", e.Message)

	second, err := New(Config{Listen: []string{"unix:" + path}, Users: r.cfg.Users, Serve: answer})
	require.NoError(t, err)
	require.ErrorContains(t, second.Listen(t.Context()), "another process answers there")
}

func TestLoginOverTLS(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.TLS = serverTLS(t) })
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "shop", "tls=skip-verify")))
	c := <-r.clients
	require.NotZero(t, c.Capabilities&wire.CapSSL)
	require.IsType(t, &tls.Conn{}, c.Conn)
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "shop", "")), "TLS is offered, not demanded")
	requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, "app", "wrong", "", "tls=skip-verify")))

	r.forceFull.Store(true)
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "shop", "tls=skip-verify")))
	requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, "app", "wrong", "", "tls=skip-verify")))
	requireCode(t, sqlerr.AccessDenied, ping(t, dsn(r, "nobody", "wrong", "", "tls=skip-verify")))
}

func TestAClientWithoutTLSIsRefusedWhereItIsRequired(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.TLS, cfg.RequireTLS = serverTLS(t), true })
	requireCode(t, codeInsecure, ping(t, dsn(r, "app", "s3cret", "shop", "")))
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "shop", "tls=skip-verify")))
}

func TestClientCertificateIsDemanded(t *testing.T) {
	ca := newCA(t)
	r := start(t, func(cfg *Config) {
		cfg.TLS = serverTLS(t)
		cfg.TLS.ClientAuth, cfg.TLS.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
	})
	for name, certs := range map[string][]tls.Certificate{"with": {ca.issue(t)}, "without": nil, "of another CA": {newCA(t).issue(t)}} {
		tlsName := "mtls " + name
		require.NoError(t, mysql.RegisterTLSConfig(tlsName, &tls.Config{InsecureSkipVerify: true, Certificates: certs}))
		t.Cleanup(func() { mysql.DeregisterTLSConfig(tlsName) })
		c := mysql.NewConfig()
		c.User, c.Passwd, c.Net, c.Addr, c.TLSConfig = "app", "s3cret", "tcp", r.addr, tlsName
		connector, err := mysql.NewConnector(c)
		require.NoError(t, err)
		conn, err := connector.Connect(t.Context())
		if err == nil {
			require.NoError(t, conn.Close())
		}
		require.Equal(t, name == "with", err == nil, "%s: %v", name, err)
	}
}

func TestTooManyConnections(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.MaxConnections = 2 })
	for range 2 {
		hold := dial(t, r)
		hold.greeting()
	}
	e := requireCode(t, sqlerr.TooManyConnections, ping(t, dsn(r, "app", "s3cret", "", "")))
	require.Equal(t, "Too many connections", e.Message)
	require.EqualValues(t, 1, r.refused.Load())
}

func TestVersionInTheGreeting(t *testing.T) {
	var version atomic.Value
	version.Store("10.11.19-MariaDB")
	r := start(t, func(cfg *Config) { cfg.Version = func() string { return version.Load().(string) } })
	g := dial(t, r).greeting()
	require.Equal(t, "10.11.19-MariaDB", g.version)
	require.EqualValues(t, 45, g.collation)
	version.Store("")
	g2 := dial(t, r).greeting()
	require.Equal(t, DefaultVersion, g2.version)
	require.EqualValues(t, 255, g2.collation)
	require.NotEqual(t, g.id, g2.id)
	require.NotEqual(t, g.nonce, g2.nonce)
	require.Len(t, g.nonce, wire.NonceSize)
	require.NotContains(t, string(g.nonce), "\x00")
	require.Equal(t, offered, g.capabilities)
}

func TestAPanicEndsOneConnection(t *testing.T) {
	r := start(t, nil)
	db, err := sql.Open("mysql", dsn(r, "app", "s3cret", "", ""))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "panic")
	require.Error(t, err)
	_, err = db.ExecContext(t.Context(), "anything else")
	require.NoError(t, err)
	<-r.panics
	require.Empty(t, r.panics)
}

func TestConfigIsChecked(t *testing.T) {
	_, err := New(Config{Listen: []string{"127.0.0.1:0"}})
	require.ErrorContains(t, err, "must be set")
	_, err = New(Config{Users: func(string) *catalog.User { return nil }, Serve: answer})
	require.ErrorContains(t, err, "no address")
	s, err := New(Config{Listen: []string{"127.0.0.1:0", "127.0.0.1:99999"}, Users: func(string) *catalog.User { return nil }, Serve: answer})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "99999")
	require.Empty(t, s.Addrs(), "all addresses or none")
	file := filepath.Join(t.TempDir(), "no socket")
	require.NoError(t, writeFile(file))
	s, err = New(Config{Listen: []string{"unix:" + file}, Users: func(string) *catalog.User { return nil }, Serve: answer})
	require.NoError(t, err)
	require.ErrorContains(t, s.Listen(t.Context()), "not a socket")
}

func TestNamesInMessagesAreShortAndOnOneLine(t *testing.T) {
	e := errDenied("a\nb\xff"+strings.Repeat("x", 1000), "h", true)
	require.Less(t, len(e.Message), 300)
	require.NotContains(t, e.Message, "\n")
	require.Contains(t, e.Message, "'a?b?xxx")
}
