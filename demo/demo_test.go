package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// pipe is a stand-in for the proxy: it carries every connection to the
// primary of c0, where the demo's tables then live unsharded.
func pipe(ctx context.Context, configPath string, ready func()) error {
	text, err := os.ReadFile(configPath)
	if err != nil {
		return err
	}
	var cfg struct {
		Listen   string
		Clusters map[string]struct{ Primary string }
	}
	if err := yaml.Unmarshal(text, &cfg); err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	var conns sync.WaitGroup
	defer conns.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	ready()
	for {
		client, err := l.Accept()
		if err != nil {
			return ctx.Err()
		}
		conns.Go(func() { carry(ctx, client, cfg.Clusters["c0"].Primary) })
	}
}

func carry(ctx context.Context, client net.Conn, to string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		_ = client.Close()
		return
	}
	end := func() { _, _ = client.Close(), server.Close() }
	stop := context.AfterFunc(ctx, end)
	defer stop()
	go func() {
		_, _ = io.Copy(server, client)
		end()
	}()
	_, _ = io.Copy(client, server)
	end()
}

// output is a writer that can be read while it is written, and waited for.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) wait(t *testing.T, text string, ended <-chan error) {
	t.Helper()
	timeout := time.After(time.Minute)
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.more:
		case err := <-ended:
			t.Fatalf("the demo ended before it said %q: %v\n%s", text, err, o)
		case <-timeout:
			t.Fatalf("the demo did not say %q:\n%s", text, o)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestDemoRunsAndLeavesNothing(t *testing.T) {
	temp := filepath.Join(os.TempDir(), "sd"+filepath.Base(t.TempDir())+time.Now().Format("150405"))
	require.NoError(t, os.Mkdir(temp, 0o700))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temp)) })
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, ended := newOutput(), make(chan error, 1)
	opt := Options{Engine: "mariadb", Listen: freeAddr(t), Admin: freeAddr(t), Load: true, Serve: pipe, Out: out}
	go func() { ended <- Run(ctx, opt) }()
	out.wait(t, "   2s ", ended)

	said := out.String()
	require.Contains(t, said, "EXPLAIN FORMAT='route'")
	require.Contains(t, said, "curl http://"+opt.Admin)
	require.Contains(t, said, " -uapp -ps3cret shop")
	require.NotContains(t, said, "last: ", "the load has no errors")

	db, err := openShop(opt.Listen)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	for _, table := range shopRows(time.Now()) {
		var rows int
		require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM shop."+table.name).Scan(&rows))
		require.GreaterOrEqual(t, rows, len(table.rows), table.name)
		require.NotZero(t, rows, table.name)
	}

	cancel()
	require.NoError(t, <-ended, "Ctrl-C is the orderly end")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left behind")
}

func TestTakenPortsAreNamedWithTheirFlags(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	err = Run(t.Context(), Options{Listen: taken, Admin: freeAddr(t), Out: io.Discard})
	require.ErrorContains(t, err, "cannot listen on "+taken)
	require.ErrorContains(t, err, "--listen")
	err = Run(t.Context(), Options{Listen: freeAddr(t), Admin: taken, Out: io.Discard})
	require.ErrorContains(t, err, "--admin")
}

func TestUnknownEngineIsRefused(t *testing.T) {
	err := Run(t.Context(), Options{Engine: "oracle", Listen: freeAddr(t), Admin: freeAddr(t), Out: io.Discard})
	require.ErrorContains(t, err, "--engine")
}

func TestTheProxysErrorEndsTheDemo(t *testing.T) {
	broken := errors.New("line 3: no such key")
	serveErr := serve(t.Context(), Options{Serve: func(context.Context, string, func()) error { return broken }}, "",
		func(context.Context) error { t.Error("must not run"); return nil })
	require.ErrorIs(t, serveErr, broken)
}

func TestShopIsTheSameEveryTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	require.Equal(t, shopRows(now), shopRows(now))
	for _, table := range shopRows(now) {
		for _, row := range table.rows {
			require.Len(t, row, len(table.columns), table.name)
		}
		if table.name != "payment_logs" {
			continue
		}
		for _, row := range table.rows {
			require.True(t, strings.HasPrefix(row[4].(string), "2026-11-"), "payments lie in this month, whose table exists: %v", row)
		}
	}
}

func TestPercentile(t *testing.T) {
	require.Zero(t, percentile(nil, 99))
	d := []time.Duration{1 * time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond}
	require.Equal(t, 3*time.Millisecond, percentile(d, 50))
	require.Equal(t, 4*time.Millisecond, percentile(d, 100))
}
