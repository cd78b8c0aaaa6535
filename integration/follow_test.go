package integration

import (
	"testing"
	"time"

	"context"
)

// followTables: bills are by their owner, all others by the bill they are of.
const followTables = `
bills: {shard: hash(owner), shards: 4, on: [c0, c1], unique: [id]}
lines: {like: bills, through: bill_id}
notes: {like: bills, through: bill_id, auto_increment: id}
parcels: {shard: hash(town), shards: 3, on: [c1, c0], unique: [code, label], layout: tables}
stops: {like: parcels, through: code, references: code}
`

var followCreates = []string{
	"CREATE TABLE bills (id BIGINT NOT NULL PRIMARY KEY, owner BIGINT NOT NULL, total DECIMAL(10,2), KEY (owner))",
	"CREATE TABLE `lines` (bill_id BIGINT NOT NULL, line INT NOT NULL, what VARCHAR(40), qty INT, PRIMARY KEY (bill_id, line)," +
		" CONSTRAINT of_bill FOREIGN KEY (bill_id) REFERENCES bills (id))",
	"CREATE TABLE notes (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, bill_id BIGINT, text VARCHAR(40), KEY (bill_id)," +
		" CONSTRAINT note_of_bill FOREIGN KEY (bill_id) REFERENCES bills (id) ON DELETE SET NULL ON UPDATE CASCADE)",
	"CREATE TABLE parcels (id BIGINT NOT NULL, town VARCHAR(20) NOT NULL, name VARCHAR(20), code VARCHAR(20), label INT, PRIMARY KEY (id, town), UNIQUE (code), UNIQUE (label))" +
		" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
	"CREATE TABLE stops (code VARCHAR(20) NOT NULL, at INT NOT NULL, PRIMARY KEY (code, at), CONSTRAINT of_parcel FOREIGN KEY (code) REFERENCES parcels (code) ON DELETE CASCADE ON UPDATE CASCADE)" +
		" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
}

// Tables that follow another one through a foreign key: each statement of the
// file gives the answer of one server with the same keys and leaves the same rows.
func TestFollow(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		const schema = "follow"
		dropSchema(t, clusters, schema)
		t.Cleanup(func() { dropSchema(t, clusters, schema) })
		p := startServal(t, s, settings{Schema: schema, Tables: followTables})
		o := &oracle{schema: schema, engine: s.engine.String(), serval: oneConn(t, p.open(t, "")), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), ""))}
		mustExec(t, o.plain, "DROP DATABASE IF EXISTS "+schema)
		o.both(t, "CREATE DATABASE "+schema)
		o.both(t, "USE "+schema)
		cases := readCases(t, "testdata/follow/*.txt")
		for _, way := range []string{"text", "parameters", "in a transaction"} {
			t.Run(way, func(t *testing.T) {
				for _, create := range followCreates {
					o.both(t, create)
				}
				for _, c := range cases {
					followStep(t, o, c, way)
				}
				for _, table := range []string{"notes", "`lines`", "bills", "stops", "parcels"} {
					o.both(t, "DROP TABLE "+table)
				}
			})
		}
	})
}

func followStep(t *testing.T, o *oracle, c statementCase, way string) {
	t.Helper()
	m := mode{name: way, sql: c.sql}
	if way == "parameters" {
		m.prepared = true
		m.sql, m.args = parameterize(c.sql)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if way == "in a transaction" {
		o.both(t, "BEGIN")
	}
	want, got := observe(ctx, o.plain, m), observe(ctx, o.serval, m)
	want.lastID, got.lastID = 0, 0
	if diff := compare(m.sql, want, got); diff != "" {
		o.fail(t, c, m, diff)
	}
	for _, q := range []string{"SELECT * FROM bills", "SELECT * FROM `lines`", "SELECT bill_id, text FROM notes", "SELECT * FROM parcels", "SELECT * FROM stops"} {
		q := mode{sql: q}
		if diff := compare(q.sql, observe(t.Context(), o.plain, q), observe(t.Context(), o.serval, q)); diff != "" {
			o.fail(t, c, m, "afterwards the rows differ: "+q.sql+": "+diff)
		}
	}
	if way == "in a transaction" {
		o.both(t, "COMMIT")
	}
}
