package integration

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/internal/tpch"
)

// TestTPCH compares the 22 queries of TPC-H over four shards with a plain
// server's answers.
func TestTPCH(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) { runTPCH(t, s, 0.003) })
}

// tpchLimit is how long one query may take, on either side.
const tpchLimit = 2 * time.Minute

// fullScale is from where on every query must find something, or it compares
// nothing. Below, orders of more than 300 pieces (q18) and the like are rare.
const fullScale = 0.05

func runTPCH(t *testing.T, s *serverSet, scale float64) {
	const schema = "tpch"
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	proxy := startServal(t, s, settings{Schema: schema, Tables: tpch.Rules(4, "c0", "c1"), AllSchemas: true})
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	o := &oracle{schema: schema, serval: oneConn(t, proxy.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
	mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
	o.both(t, "CREATE DATABASE "+schema)
	o.both(t, "USE "+schema)
	began := time.Now()
	var g errgroup.Group
	for _, conn := range []*sql.Conn{o.serval, o.plain} {
		g.Go(func() error {
			return tpch.Data{Scale: scale}.Load(t.Context(), func(ctx context.Context, sql string) error {
				_, err := conn.ExecContext(ctx, sql)
				return err
			})
		})
	}
	require.NoError(t, g.Wait())
	for _, table := range tpch.Tables {
		o.both(t, "ANALYZE TABLE "+table.Name)
	}
	s.sync(t)
	t.Logf("scale %v filled on both sides in %v", scale, time.Since(began).Round(time.Millisecond))
	queries, err := tpch.Queries()
	require.NoError(t, err)
	for _, q := range queries {
		if q.Name == "q13-column-list" && s.engine == mysqlproc.MariaDB {
			continue // MariaDB knows no column lists behind derived tables
		}
		if q.Before != "" {
			o.both(t, q.Before)
		}
		for _, prepared := range []bool{false, true} {
			o.compareTPCH(t, q, prepared, scale)
		}
		if q.After != "" {
			o.both(t, q.After)
		}
	}
	t.Logf("compared %d, %d differ", o.compared, o.failed)
}

func (o *oracle) compareTPCH(t *testing.T, q tpch.Query, prepared bool, scale float64) {
	m := mode{name: "text", sql: q.SQL}
	if prepared {
		m = mode{name: "prepared", prepared: true, sql: q.SQL}
	}
	began := time.Now()
	want := observeWithin(t, tpchLimit, o.plain, m)
	plain := time.Since(began)
	began = time.Now()
	got := observeWithin(t, tpchLimit, o.serval, m)
	t.Logf("%s %s: %d rows, plain %v, serval %v", q.Name, m.name, len(want.rows),
		plain.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	o.compared++
	require.Zero(t, want.errno, "%s: %s", q.Name, want.message)
	if scale >= fullScale {
		require.NotEmpty(t, want.rows, "%s finds nothing", q.Name)
		require.NotContains(t, want.rows[0], null, "%s finds nothing", q.Name)
	}
	if diff := compare(q.SQL, want, got); diff != "" {
		o.failed++
		t.Errorf("%s (%s):\n%s", q.Name, m.name, diff)
	}
}

func observeWithin(t *testing.T, limit time.Duration, conn *sql.Conn, m mode) outcome {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return observe(ctx, conn, m)
}
