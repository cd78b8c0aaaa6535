package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
