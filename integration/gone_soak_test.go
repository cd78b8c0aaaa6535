//go:build soak

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// A client that is gone does not leave its query running on the servers, with
// and without a transaction.
func TestSoakStatementsOfGoneClientsEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		schema := schemaOf(t)
		clusters := s.Clusters(t)
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: "b: {shard: hash(id), shards: 4, on: [c0, c1]}\n"})
		c := oneConn(t, p.open(t, ""))
		mustExec(t, c, "CREATE DATABASE "+schema, "USE "+schema, "CREATE TABLE b (id INT PRIMARY KEY, v INT)", "INSERT INTO b VALUES (1, 1), (2, 1), (3, 1), (4, 1)")
		for _, begin := range []string{"DO 1", "BEGIN"} {
			db := p.open(t, schema)
			gone := oneConn(t, db)
			mustExec(t, gone, begin)
			ended := make(chan error, 1)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			go func() {
				_, err := gone.ExecContext(ctx, "UPDATE b SET v = v + 1 + SLEEP(100)")
				ended <- err
			}()
			running := func() string {
				n := 0
				for _, cluster := range clusters {
					var k int
					if err := cluster.Primary.DB().QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(100)%' AND INFO LIKE '%" + schema + "%' AND ID <> CONNECTION_ID()").Scan(&k); err != nil {
						return err.Error()
					}
					n += k
				}
				return fmt.Sprint(n)
			}
			eventually(t, 20*time.Second, func() error {
				if running() == "0" {
					return fmt.Errorf("it does not run yet")
				}
				return nil
			})
			leave() // the driver closes the connection
			eventually(t, 20*time.Second, func() error {
				if n := running(); n != "0" {
					return fmt.Errorf("%s run", n)
				}
				return nil
			})
			<-ended
		}
	})
}
