package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/servaldb/serval/internal/tpch"
)

const (
	// tpchName is what -only calls TPC-H.
	tpchName = "tpch"
	// tpchShards is over how many shards Serval has its tables.
	tpchShards = 4
	// tpchRounds is how often each query is asked each way, behind one time
	// that warms caches; medians are printed.
	tpchRounds = 3
	// tpchLimit is how long one query may take.
	tpchLimit = 5 * time.Minute
)

// compareTPCH prints how long the 22 queries of TPC-H take on the server as it
// is and through Serval, and checks that the answers are the same.
func compareTPCH(ctx context.Context, scale float64, ways []*way) error {
	direct, serval := ways[0], ways[1]
	fmt.Printf("\nTPC-H, scale %v, one connection, %d shards on the same server, medians of %d\n\n", scale, tpchShards, tpchRounds)
	for _, w := range []*way{direct, serval} {
		if err := fillTPCH(ctx, scale, w.db); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	queries, err := tpch.Queries()
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "query\trows\tdirect ms\tserval ms\tratio\t")
	for _, q := range queries {
		if len(q.Name) != len("q01") {
			continue // another way to write a query
		}
		rows, times, err := timesOf(ctx, q, direct.db, serval.db)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Name, err)
		}
		fmt.Fprintf(out, "%s\t%d\t%.1f\t%.1f\t%.2f\t\n", q.Name, rows, ms(times[0]), ms(times[1]), float64(times[1])/float64(times[0]))
	}
	return out.Flush()
}

func fillTPCH(ctx context.Context, scale float64, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is pending on it
	if err := (tpch.Data{Scale: scale}).Load(ctx, func(ctx context.Context, sql string) error {
		_, err := conn.ExecContext(ctx, sql)
		return err
	}); err != nil {
		return err
	}
	for _, t := range tpch.Tables {
		if _, err := conn.ExecContext(ctx, "ANALYZE TABLE "+t.Name); err != nil { // both sides plan by what they have
			return fmt.Errorf("analyze %s: %w", t.Name, err)
		}
	}
	return nil
}

// timesOf asks q of each database in turn and gives the median times. The
// answers must be the same rows.
func timesOf(ctx context.Context, q tpch.Query, dbs ...*sql.DB) (rows int, medians []time.Duration, err error) {
	took := make([][]time.Duration, len(dbs))
	var first []string
	for round := range tpchRounds + 1 {
		for i, db := range dbs {
			began := time.Now()
			answer, err := rowsOf(ctx, db, q.SQL)
			if err != nil {
				return 0, nil, err
			}
			if round > 0 {
				took[i] = append(took[i], time.Since(began))
			}
			if first == nil {
				first = answer
			}
			if !slices.Equal(first, answer) {
				return 0, nil, fmt.Errorf("%d rows where the server itself has %d others", len(answer), len(first))
			}
		}
	}
	for _, t := range took {
		slices.Sort(t)
		medians = append(medians, t[len(t)/2])
	}
	return len(first), medians, nil
}

// rowsOf is the answer, a text for each row, sorted: rows that tie have no order.
func rowsOf(ctx context.Context, db *sql.DB, query string) (out []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tpchLimit)
	defer cancel()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	out = []string{}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		var b strings.Builder
		for _, v := range values {
			fmt.Fprintf(&b, "%v %q|", v.Valid, v.String)
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out, rows.Err()
}

// tpchRules are the lines of Serval's configuration for TPC-H's tables.
func tpchRules() string {
	var b strings.Builder
	for line := range strings.Lines(tpch.Rules(tpchShards, "c0")) {
		b.WriteString("      " + line)
	}
	return b.String()
}
