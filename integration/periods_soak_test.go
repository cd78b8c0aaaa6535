//go:build soak

package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A period that is dropped takes the values of its unique keys along: they are free.
func TestSoakDroppedPeriodsFreeTheirUniqueKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		for i, rule := range []string{"month(at)", "'month(at), hash(id) x 2'"} {
			t.Run(rule, func(t *testing.T) { freeUnique(t, s, fmt.Sprintf("freed%d", i), rule) })
		}
	})
}

func freeUnique(t *testing.T, s *serverSet, schema, rule string) {
	t.Helper()
	dropSchema(t, s.Clusters(t), schema)
	t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
	old := time.Now().UTC().AddDate(0, 0, -70)
	tables := func(more string) settings {
		return settings{Schema: schema, Tables: fmt.Sprintf("log: {shard: %s, on: [c0, c1], time_zone: UTC, from: '%s', keep: 2, unique: [code]%s}", rule, old.Format("2006-01"), more)}
	}
	p := startServal(t, s, tables(""))
	db := p.open(t, "")
	mustExec(t, db, "CREATE DATABASE "+schema, "CREATE TABLE "+schema+".log (id INT, at DATETIME, code VARCHAR(20), PRIMARY KEY (id, at), UNIQUE KEY (code))",
		"INSERT INTO "+schema+".log VALUES (1, '"+old.Format(time.DateTime)+"', 'a'), (2, UTC_TIMESTAMP(), 'b')")
	p.stop(t)

	p = startServal(t, s, tables(", drop_old: true"))
	db = p.open(t, "")
	eventually(t, 40*time.Second, func() error {
		if n := one(t, db, "SELECT COUNT(*) FROM "+schema+".log"); n != "1" { // which no drop may fail
			return fmt.Errorf("%s rows", n)
		}
		return nil
	})
	mustExec(t, db, "INSERT INTO "+schema+".log VALUES (3, UTC_TIMESTAMP(), 'a')")
	_, err := db.ExecContext(t.Context(), "INSERT INTO "+schema+".log VALUES (4, UTC_TIMESTAMP(), 'b')")
	require.ErrorContains(t, err, "Duplicate entry 'b'")
	out, err := runServal("check", "-c", p.Config, "--live")
	require.NoError(t, err, out)
}
