//go:build soak

package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Periods get their tables while the job is under way, by the rules before and after:
// rows that are written to them at once are cut over, come back, and go there again.
func TestSoakPeriodsThatAreMadeMeanwhile(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		const schema, before, after = "meanwhile", "{shard: month(paid_at), on: [c0, c1], from: 2026-01, ahead: 2}", "{shard: 'month(paid_at), hash(user_id) x 2', on: [c1, c0], from: 2026-01, ahead: 2}"
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "orders: " + before})
		db := p.open(t, schema)
		mustExec(t, p.open(t, ""), "CREATE DATABASE "+schema, movedTable(schema+".orders"))
		fillMoved(t, db, "orders")
		to := edited(t, p.Config, "orders: "+before, "orders: "+after)
		awaitStage(t, startReshard(t, "-c", p.Config, "--to", to), p.Config, "following")
		rows := movedFixed
		write := func(month string) {
			eventually(t, 30*time.Second, func() error {
				_, err := db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO orders VALUES (%d, 1, 1, 'new', '%s-01 00:00:00')", rows+1, month))
				return err
			})
			rows++
			for range 50 {
				rows++
				mustExec(t, db, fmt.Sprintf("INSERT INTO orders VALUES (%d, %d, 1, 'new', '%s-03 10:00:00')", rows, rows%97, month))
			}
		}
		check := func(verb string) {
			reshardOK(t, verb, "-c", p.Config)
			s.sync(t)
			require.Equal(t, fmt.Sprint(rows), one(t, db, "SELECT COUNT(DISTINCT id) FROM orders"), verb)
			require.Equal(t, fmt.Sprint(rows), one(t, db, "SELECT COUNT(*) FROM orders"), verb)
		}
		make := func(cluster int, database, month string) {
			require.NoError(t, clusters[cluster].Primary.Exec(t.Context(), movedTable(database+".orders_"+month)))
		}
		make((2027*12+6)%2, schema, "202706") // as the rule before deals months
		write("2027-06")
		check("cutover")
		make(1, schema+"_0", "202707")
		make(0, schema+"_1", "202707")
		write("2027-07")
		check("reverse")
		write("2027-07")
		check("cutover")
		make(1, schema+"_0", "202708")
		make(0, schema+"_1", "202708")
		write("2027-08")
		check("reverse")
		reshardOK(t, "cancel", "-c", p.Config)
		require.Empty(t, left(t, s, schema))
		check("status")
		out, err := runServal("check", "-c", p.Config, "--live", "--placement")
		require.NoError(t, err, out)
	})
}
