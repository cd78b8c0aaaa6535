//go:build soak

package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// Two Servals move the same rows, and the rows that follow them, all the time: their
// transactions wait for each other on different clusters, and none does for as long
// as innodb_lock_wait_timeout, whether the servers say who waits for whom or not.
func TestSoakDeadlocksOfTwoServals(t *testing.T) {
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprintf("told %v", told), func(t *testing.T) {
			eachEngine(t, func(t *testing.T, s *serverSet) {
				schema := map[bool]string{true: "deadtold", false: "deadguessed"}[told]
				clusters := s.Clusters(t)
				if told {
					clusters = s.Own(t, "--performance-schema=ON")
				} else {
					dropSchema(t, clusters, schema)
					t.Cleanup(func() { dropSchema(t, clusters, schema) })
				}
				cfg := settings{Schema: schema, Clusters: clusterLines(clusters), Tables: followTables}
				servals := []*serval{startServal(t, s, cfg), startServal(t, s, cfg)}
				db := oneConn(t, servals[0].open(t, ""))
				mustExec(t, db, "CREATE DATABASE "+schema, "USE "+schema)
				mustExec(t, db, followCreates...)
				for i := range 3 {
					mustExec(t, db, fmt.Sprintf("INSERT INTO bills VALUES (%d, %d, 1)", i, i), fmt.Sprintf("INSERT INTO `lines` VALUES (%d, 1, 'x', 1), (%d, 2, 'y', 1)", i, i))
				}
				eventually(t, 30*time.Second, func() error {
					_, err := servals[1].open(t, schema).ExecContext(t.Context(), "UPDATE bills SET owner = 5 WHERE id = 1")
					return err
				})
				worst, done, ended := moveTogether(t, servals, schema)
				t.Logf("%d statements, %d ended as a deadlock's victim, the longest took %v", done, ended, worst)
				require.Less(t, worst, 25*time.Second, "they do not wait for innodb_lock_wait_timeout, which is 50 s")
				require.Positive(t, ended)
				require.Equal(t, "0/3", one(t, db, "SELECT CONCAT((SELECT COUNT(*) FROM `lines` l LEFT JOIN bills b ON b.id = l.bill_id WHERE b.id IS NULL), '/', (SELECT COUNT(*) FROM bills))"))
			})
		})
	}
}

// moveTogether moves bills through both Servals for half a minute.
func moveTogether(t *testing.T, servals []*serval, schema string) (worst time.Duration, done, ended int) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs errorList
	for w := range 4 {
		c, r := oneConn(t, servals[w%2].open(t, schema)), rand.New(rand.NewPCG(uint64(w), 9))
		all.Go(func() {
			for ctx.Err() == nil {
				at := time.Now()
				_, err := c.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("UPDATE bills SET owner = %d WHERE id = %d", r.IntN(100), r.IntN(3)))
				mu.Lock()
				worst, done = max(worst, time.Since(at)), done+1
				var e *mysql.MySQLError
				if errors.As(err, &e) && e.Number == 1213 {
					ended++
					err = nil
				}
				mu.Unlock()
				errs.add(err)
			}
		})
	}
	all.Wait()
	require.NoError(t, errs.first())
	return worst, done, ended
}
