package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/config"
)

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "serval.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const good = `
users: [{name: app, password: s3cret}]
backend: {user: serval, password: b4ckend}
clusters:
  c0: {primary: 127.0.0.1:4000}
schemas:
  shop:
    tables:
      users: {shard: hash(id), shards: 8, on: [c0]}
`

func TestEachCommandIsASmallManual(t *testing.T) {
	for _, c := range root().Commands() {
		require.NotEmpty(t, c.Short, c.Name())
		require.NotEmpty(t, c.Example, c.Name())
	}
}

func TestCheckSaysFileLineWhatAndWhatToDo(t *testing.T) {
	out, err := run(t, "check", "-c", file(t, good))
	require.NoError(t, err)
	require.Empty(t, out, "nothing to say of a good file")

	bad := file(t, good+"shemas: {}\n")
	out, err = run(t, "check", "-c", bad)
	require.ErrorIs(t, err, errFindings)
	require.Contains(t, out, bad+":10: ")
	require.Contains(t, out, "schemas", "the nearest key is named")

	out, err = run(t, "check", "-c", bad, "-o", "json")
	require.ErrorIs(t, err, errFindings)
	var findings []finding
	require.NoError(t, json.Unmarshal([]byte(out), &findings))
	require.Len(t, findings, 1)
	require.Equal(t, 10, findings[0].Line)
}

func TestServeNeedsAFileOrAPrimary(t *testing.T) {
	_, err := run(t, "serve")
	require.ErrorContains(t, err, "-c FILE")
	_, err = run(t, "serve", "-c", "x.yaml", "--primary", "127.0.0.1:1")
	require.ErrorContains(t, err, "not both")
}

func TestABadFileIsNotReloaded(t *testing.T) {
	signals := make(chan os.Signal, 2)
	loads := []error{errors.New("line 3 is wrong"), nil}
	applied := make(chan *config.Config, 1)
	r := &reloader{signals: signals, load: func() (*config.Config, error) {
		err := loads[0]
		loads = loads[1:]
		return &config.Config{Path: "serval.yaml"}, err
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var log bytes.Buffer
	go func() {
		defer close(ended)
		r.run(ctx, slog.New(slog.NewTextHandler(&log, nil)), func(_ context.Context, c *config.Config) error {
			applied <- c
			return nil
		})
	}()
	signals <- syscall.SIGHUP
	signals <- syscall.SIGHUP
	require.Equal(t, "serval.yaml", (<-applied).Path)
	cancel()
	<-ended
	require.Contains(t, log.String(), "line 3 is wrong")
	require.Contains(t, log.String(), "the old one stays")
	require.Empty(t, loads)
}
