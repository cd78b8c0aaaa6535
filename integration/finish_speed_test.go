//go:build soak

package integration

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// finishShop starts Serval over a shop of 8 shards with n users and as many
// orders, and gives the same rows to the plain server.
func finishShop(t *testing.T, s *serverSet, n int) *oracle {
	const schema = "speed"
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	proxy := startServal(t, s, settings{Schema: schema, AllSchemas: true, Tables: `users: {shard: hash(id), shards: 8, on: [c0, c1]}
orders: {shard: hash(user_id), shards: 8, on: [c0, c1]}
`})
	o := &oracle{schema: schema, serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
	mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
	for _, q := range []string{
		"CREATE DATABASE " + schema, "USE " + schema,
		"CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40), age INT NOT NULL, KEY (age))",
		"CREATE TABLE orders (id BIGINT NOT NULL, user_id BIGINT NOT NULL, total DECIMAL(10,2) NOT NULL, PRIMARY KEY (user_id, id), KEY (id))",
	} {
		o.both(t, q)
	}
	const batch = 1000
	for from := 1; from <= n; from += batch {
		var users, orders []string
		for i := from; i < from+batch && i <= n; i++ {
			users = append(users, fmt.Sprintf("(%d, 'user %d', %d)", i, i, n+1-i))
			orders = append(orders, fmt.Sprintf("(%d, %d, %d.25)", i, (i*7)%n+1, i%1000))
		}
		o.both(t, "INSERT INTO users VALUES "+strings.Join(users, ","))
		o.both(t, "INSERT INTO orders VALUES "+strings.Join(orders, ","))
	}
	for _, c := range clusters {
		require.NoError(t, c.Sync(t.Context()))
	}
	return o
}

// TestSoakFinishSpeed prints what queries finished on one server take through
// Serval and on the plain server, alternating.
func TestSoakFinishSpeed(t *testing.T) {
	for _, e := range mysqlproc.Engines { // one after the other: it is a measurement
		t.Run(e.String(), func(t *testing.T) {
			o := finishShop(t, sets[e], 1000)
			const ten = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
			for name, q := range map[string]string{
				"ten by ten":      "SELECT u.name, o.total FROM users u JOIN orders o ON o.id = u.age WHERE u.id IN (" + ten + ") AND o.user_id IN (" + ten + ") ORDER BY u.id",
				"ten by thousand": "SELECT u.name, o.total FROM users u JOIN orders o ON o.id = u.age WHERE u.id IN (" + ten + ") ORDER BY u.id",
			} {
				serval, plain := alternate(t, o, q, 300)
				t.Logf("%s: through Serval %v, on one server %v", name, serval, plain)
			}
		})
	}
}

// alternate gives the medians of n runs each.
func alternate(t *testing.T, o *oracle, q string, n int) (serval, plain time.Duration) {
	took := map[*sql.Conn][]time.Duration{}
	for i := range 2 * n {
		c := []*sql.Conn{o.serval, o.plain}[i%2]
		began := time.Now()
		rows, err := c.QueryContext(t.Context(), q)
		require.NoError(t, err)
		for rows.Next() {
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		took[c] = append(took[c], time.Since(began))
	}
	for _, all := range took {
		slices.Sort(all)
	}
	return took[o.serval][n/2], took[o.plain][n/2]
}

// TestSoakFinishMemory moves a million rows, about 100 MB, and looks at the
// proxy's memory meanwhile.
func TestSoakFinishMemory(t *testing.T) {
	for _, e := range mysqlproc.Engines {
		t.Run(e.String(), func(t *testing.T) {
			const n = 1_000_000
			proxy := boundedShop(t, sets[e], "bounded", n)
			c := oneConn(t, proxy.open(t, "bounded"))
			require.Equal(t, "1", one(t, c, "SELECT COUNT(DISTINCT v) FROM small WHERE id = 1"))
			status := fmt.Sprintf("/proc/%d/status", proxy.cmd.Process.Pid)
			require.NoError(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", proxy.cmd.Process.Pid), []byte("5"), 0)) // the peak begins anew
			before := memory(t, status, "VmRSS")
			began := time.Now()
			require.Equal(t, strconv.Itoa(n), one(t, c, "SELECT COUNT(DISTINCT b.id) FROM big b LEFT JOIN small s ON s.v = b.v"))
			peak := memory(t, status, "VmHWM")
			t.Logf("a million rows took %v; memory was %d MiB before and at most %d", time.Since(began), before>>10, peak>>10)
			require.Less(t, peak, before+(40<<10), "KiB")
		})
	}
}

// memory is a number of /proc/PID/status, in KiB.
func memory(t *testing.T, file, name string) int {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			n, err := strconv.Atoi(f[1])
			require.NoError(t, err)
			return n
		}
	}
	t.Fatalf("no %s in %s", name, file)
	return 0
}
