package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Periods come and go by the rule, though several Servals see to it at once: months
// as tables of one database, days as databases.
func TestPeriodsAreCreatedAheadAndDroppedByTheRule(t *testing.T) {
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	t.Run("months", func(t *testing.T) {
		periodsComeAndGo(t, comingAndGoing{
			schema: "ddlmonths", rule: "month(at)", at: func(n int) time.Time { return month.AddDate(0, n, 0) },
			name: "200601", from: "2006-01", places: "TABLE_NAME", prefix: "log_",
		})
	})
	t.Run("months of users", func(t *testing.T) {
		periodsComeAndGo(t, comingAndGoing{
			schema: "ddlusers", rule: "'month(at), hash(id) x 4'", at: func(n int) time.Time { return month.AddDate(0, n, 0) },
			name: "200601", from: "2006-01", places: "TABLE_NAME", prefix: "log_", each: 4,
		})
	})
	t.Run("days", func(t *testing.T) {
		periodsComeAndGo(t, comingAndGoing{
			schema: "ddldays", rule: "day(at)", more: ", layout: databases", at: func(n int) time.Time { return now.Truncate(24*time.Hour).AddDate(0, 0, n) },
			name: "20060102", from: "2006-01-02", places: "TABLE_SCHEMA", prefix: "ddldays_",
		})
	})
}

// comingAndGoing is a rule of time whose periods are watched.
type comingAndGoing struct {
	schema, rule, more string
	// at is the beginning of the period n behind now's; name and from are the
	// forms of its name and of from:.
	at         func(n int) time.Time
	name, from string
	// places is the column of information_schema.TABLES that has the name behind
	// the prefix.
	places, prefix string
	// each is how many tables a period has, 0 for one.
	each int
}

func periodsComeAndGo(t *testing.T, c comingAndGoing) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, c.schema)
		t.Cleanup(func() { dropSchema(t, clusters, c.schema) })
		name := func(n int) string { return c.prefix + c.at(n).Format(c.name) }
		rule := func(from, ahead int, more string) settings {
			return settings{Schema: c.schema, Tables: fmt.Sprintf("log: {shard: %s, on: [c0, c1], time_zone: UTC, from: '%s', keep: 2, ahead: %d%s%s}",
				c.rule, c.at(from).Format(c.from), ahead, c.more, more)}
		}
		p := startServal(t, s, rule(-3, 0, ""))
		db := p.open(t, "")
		mustExec(t, db, "CREATE DATABASE "+c.schema, "CREATE TABLE "+c.schema+".log (id INT AUTO_INCREMENT, at DATETIME, n INT CHECK (n > 0), PRIMARY KEY (id, at))",
			"INSERT INTO "+c.schema+".log (at, n) VALUES (UTC_TIMESTAMP() - INTERVAL 1 MINUTE, 1)")
		p.stop(t)
		tables := func() string {
			var all []string
			for _, cluster := range clusters {
				rows, err := cluster.Primary.DB().QueryContext(t.Context(), "SELECT "+c.places+" FROM information_schema.TABLES"+
					" WHERE TABLE_SCHEMA RLIKE ? AND TABLE_NAME RLIKE '^log' ORDER BY 1", "^"+c.schema+"(_[0-9]+)?$")
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
		for n := -3; n <= 0; n++ {
			require.Contains(t, tables(), name(n))
		}
		next := rule(-1, 2, ", drop_old: true")
		second := startServal(t, s, next)
		startServal(t, s, next)
		eventually(t, 60*time.Second, func() error {
			have := tables()
			for n := -3; n <= 2; n++ {
				if count := strings.Count(have, name(n)); count != 0 && n < -1 || count != max(c.each, 1) && n >= -1 {
					return fmt.Errorf("period %d: there is %s", n, have)
				}
			}
			return nil
		})
		db = second.open(t, c.schema)
		eventually(t, 30*time.Second, func() error {
			_, err := db.ExecContext(context.Background(), "INSERT INTO log (at, n) VALUES (?, 2)", c.at(2).Format("2006-01-02"))
			return err
		})
		require.Equal(t, "2", one(t, db, "SELECT COUNT(*) FROM log"))
		_, err := db.ExecContext(t.Context(), "INSERT INTO log (at, n) VALUES (UTC_TIMESTAMP(), -1)")
		require.Error(t, err, "new periods have the CHECK, too")
	})
}
