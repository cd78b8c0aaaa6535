//go:build soak

package integration

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// movable serves schema.orders with movedLoad's fixed rows by the rule before; to is
// the file in which it has the other one. Nobody else reshards until the test ends.
func movable(t *testing.T, s *serverSet, schema, before, after string) (p *serval, db *sql.DB, to string) {
	t.Helper()
	own(t, s.engine.String(), reshardJobs)
	dropSchema(t, s.Clusters(t), schema)
	p = startServal(t, s, settings{Schema: schema, Tables: "orders: " + before})
	t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
	db = p.open(t, "")
	mustExec(t, db, "CREATE DATABASE "+schema, movedTable(schema+".orders"))
	fillMoved(t, db, schema+".orders")
	s.sync(t)
	return p, db, edited(t, p.Config, "orders: "+before, "orders: "+after)
}

// countable serves schema.counted, at home on the first of two clusters of its own
// with a replica each, with so many rows from 10000 on; to is the file in which it
// has the rule after.
func countable(t *testing.T, s *serverSet, schema, after string, rows int) (clusters []*mysqlproc.Cluster, p *serval, db *sql.DB, to string) {
	t.Helper()
	own(t, s.engine.String(), reshardJobs)
	const before = "counted: {on: c0}"
	clusters = withReplicas(t, s)
	p = startServal(t, s, settings{Schema: schema, Clusters: serverLines(clusters...), Tables: before})
	db = p.open(t, "")
	mustExec(t, db, "CREATE DATABASE "+schema, "CREATE TABLE "+schema+".counted (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)")
	for first := 10_000; first < 10_000+rows; first += 500 {
		var values []string
		for id := first; id < first+500; id++ {
			values = append(values, fmt.Sprintf("(%d, 0)", id))
		}
		mustExec(t, db, "INSERT INTO "+schema+".counted VALUES "+strings.Join(values, ", "))
	}
	return clusters, p, db, edited(t, p.Config, before, "counted: "+after)
}

// withReplicas are two clusters of a primary and a replica each, for a test that
// kills them.
func withReplicas(t *testing.T, s *serverSet) []*mysqlproc.Cluster {
	t.Helper()
	dir := t.TempDir()
	var clusters []*mysqlproc.Cluster
	t.Cleanup(func() { require.NoError(t, mysqlproc.CloseAll(clusters)) })
	for i := range 2 {
		c, err := mysqlproc.StartCluster(t.Context(), mysqlproc.ClusterOptions{
			Engine: s.engine, Dir: dir, Name: fmt.Sprintf("c%d", i), Replicas: 1, FirstID: uint32(81 + 4*i),
		})
		require.NoError(t, err)
		clusters = append(clusters, c)
	}
	return clusters
}

// promoted makes a cluster's replica its primary, the old one being dead.
func promoted(t *testing.T, c *mysqlproc.Cluster) {
	t.Helper()
	c.Primary, c.Replicas = c.Replicas[0], nil
	require.NoError(t, c.Primary.Unfollow(t.Context()))
	require.NoError(t, c.Primary.SetReadOnly(t.Context(), false))
}
