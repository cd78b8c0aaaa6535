package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Months come and go by the rule, though several Servals see to it at once.
func TestMonthsAreCreatedAheadAndDroppedByTheRule(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		const schema = "ddlmonths"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		now := time.Now().UTC()
		first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
		name := func(months int) string { return "log_" + first.AddDate(0, months, 0).Format("200601") }
		const rule = "log: {shard: month(at), on: [c0, c1], time_zone: UTC, from: %s, keep: 2, ahead: %d%s}"
		old := settings{Schema: schema, Tables: fmt.Sprintf(rule, first.AddDate(0, -3, 0).Format("2006-01"), 0, "")}
		p := startServal(t, s, old)
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+schema, "CREATE TABLE ddlmonths.log (id INT AUTO_INCREMENT, at DATETIME, n INT CHECK (n > 0), PRIMARY KEY (id, at))",
			"INSERT INTO ddlmonths.log (at, n) VALUES (NOW() - INTERVAL 1 MINUTE, 1)")
		p.stop(t)
		tables := func() string {
			var all []string
			for _, c := range clusters {
				rows, err := c.Primary.DB().QueryContext(t.Context(), "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY 1", schema)
				require.NoError(t, err)
				for rows.Next() {
					var n string
					require.NoError(t, rows.Scan(&n))
					all = append(all, n)
				}
				require.NoError(t, rows.Err())
			}
			return strings.Join(all, " ")
		}
		for m := -3; m <= 0; m++ {
			require.Contains(t, tables(), name(m))
		}
		next := settings{Schema: schema, Tables: fmt.Sprintf(rule, first.AddDate(0, -1, 0).Format("2006-01"), 2, ", drop_old: true")}
		second := startServal(t, s, next)
		startServal(t, s, next)
		eventually(t, 60*time.Second, func() error {
			have := tables()
			for m := -3; m <= 2; m++ {
				if strings.Contains(have, name(m)) != (m >= -1) {
					return fmt.Errorf("month %d: there is %s", m, have)
				}
			}
			return nil
		})
		db = second.open(t, schema)
		eventually(t, 30*time.Second, func() error {
			_, err := db.ExecContext(context.Background(), "INSERT INTO log (at, n) VALUES (?, 2)", first.AddDate(0, 2, 0).Format("2006-01-02"))
			return err
		})
		require.Equal(t, "2", one(t, db, "SELECT COUNT(*) FROM log"))
		_, err := db.ExecContext(t.Context(), "INSERT INTO log (at, n) VALUES (NOW(), -1)")
		require.Error(t, err, "new months have the CHECK, too")
	})
}
