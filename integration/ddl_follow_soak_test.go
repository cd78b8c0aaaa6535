//go:build soak

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Serval knows a few seconds later how another one has changed a table.
func TestSoakDefinitionsOfOtherServalsAreFollowed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		schema := schemaOf(t)
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		rules := settings{Schema: schema, Tables: "b: {shard: hash(id), shards: 4, on: [c0, c1]}\n"}
		first, second := oneConn(t, startServal(t, s, rules).open(t, "")), oneConn(t, startServal(t, s, rules).open(t, ""))
		mustExec(t, first, "CREATE DATABASE "+schema, "USE "+schema, "CREATE TABLE b (id INT PRIMARY KEY, v INT)")
		mustExec(t, second, "USE "+schema)
		insert := "INSERT INTO b VALUES (1, 1)"
		eventually(t, 8*time.Second, func() error { _, err := second.ExecContext(t.Context(), insert); return err })
		mustExec(t, first, "ALTER TABLE b ADD COLUMN w INT, ADD COLUMN x INT FIRST")
		insert = "INSERT INTO b VALUES (7, 2, 2, 2)"
		began := time.Now()
		eventually(t, 8*time.Second, func() error { _, err := second.ExecContext(t.Context(), insert); return err })
		t.Logf("followed after %s", time.Since(began))
		require.Equal(t, "7", one(t, second, "SELECT x FROM b WHERE id = 2"))
	})
}
