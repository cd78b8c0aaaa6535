package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The copies of a global table are the same after writes through Serval, of
// every type; a write past Serval is found, with the row's key.
func TestCopiesOfGlobalTablesAreCompared(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "copied"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "g: {global: true, on: [c0, c1]}\nbare: {global: true, on: [c0, c1]}"})
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema, `CREATE TABLE copied.g (a INT, b VARCHAR(10) COLLATE utf8mb4_general_ci, l VARCHAR(10) CHARACTER SET latin1,
			d DECIMAL(20,5), f DOUBLE, r FLOAT, j JSON, e ENUM('x','y'), st SET('p','q'), bt BIT(5), y YEAR, ts TIMESTAMP(3) NULL, dt DATETIME(6), bl BLOB, place POINT,
			PRIMARY KEY (a, b))`, "CREATE TABLE copied.bare (a INT, b VARCHAR(10))",
			`INSERT INTO copied.g VALUES (1, 'ä', 'ä', 1.5, 0.1, 0.1, '{"a": [1, null]}', 'x', 'p,q', b'101', 2026, '2026-11-23 01:02:03.5', '2026-11-23 01:02:03.000001', x'00ff', POINT(1, 2)),
			(2, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
			"INSERT INTO copied.bare VALUES (1, 'x'), (1, 'x'), (NULL, 'y')")
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, "%s", out)

		mustExec(t, openDB(t, clusters[1].Primary.Addr(), ""), "UPDATE copied.g SET d = 1.50001 WHERE a = 1", "DELETE FROM copied.bare LIMIT 1")
		out, err = runServal("check", "-c", p.Config, "--placement")
		require.Error(t, err)
		require.Contains(t, out, "copied.g shard 1: its copy on cluster c1 is not as the one on c0: rows differ or are missing, for one 1-ä")
		require.Contains(t, out, "copied.bare shard 1: its copy on cluster c1")
	})
}
