package control

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Holding is Servers that also give a connection to keep.
type Holding interface {
	Servers
	// Hold gives a connection to the cluster's primary.
	Hold(ctx context.Context, cluster string) (Held, error)
}

// Held is one connection. For one goroutine.
type Held interface {
	Select(ctx context.Context, sql string) ([][][]byte, error)
	Exec(ctx context.Context, sql string) error
	// Close rolls back what is open and gives the connection back.
	Close()
}

// Known returns once every Serval knows tables (schema.table) that were made and
// has ended what it began without; false: none could be asked.
type Known func(ctx context.Context, tables []string) (bool, error)

// knownEverywhere is how long a lookup table that was made is not filled where no
// Serval can be asked: by then each has looked at the tables again and writes it.
const knownEverywhere = refreshEvery + 5*time.Second

// secondLook is how much later a row is looked for again: a commit on two
// clusters is seen on one a moment before the other.
const secondLook = 50 * time.Millisecond

// batch is how many rows are compared at once.
const batch = 500

// LookupFinding is a unique key over shards that is not kept, or a lookup table
// that is not as its table is.
type LookupFinding struct {
	Finding
	Repaired bool
}

// CheckLookups compares the lookup tables of unique: with their tables, row by
// row. With repair it builds those that are missing, and mends the others: both
// while the applications write. known may be nil.
func CheckLookups(ctx context.Context, cfg *config.Config, servers Holding, now time.Time, repair bool, known Known) []LookupFinding {
	var out []LookupFinding
	for i := range cfg.Schemas {
		for j := range cfg.Schemas[i].Tables {
			rule := &cfg.Schemas[i].Tables[j]
			for _, key := range rule.Unique {
				k := lookupCheck{cfg: cfg, servers: servers, now: now, rule: rule, key: key, schema: cfg.Schemas[i].Name, sleep: sleep, known: known}
				if f := k.check(ctx, repair); f != nil {
					f.Schema, f.Table, f.Line, f.Shard = k.schema, rule.Name, rule.Line, -1
					out = append(out, *f)
				}
			}
		}
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lookupCheck is one key at work.
type lookupCheck struct {
	cfg     *config.Config
	servers Holding
	now     time.Time
	rule    *config.Table
	key     []string
	schema  string
	sleep   func(context.Context, time.Duration) error
	known   Known

	home     string
	table    *catalog.Table
	lookup   *catalog.Table
	unique   catalog.Unique
	building bool
	// twice are values that two rows have.
	twice []string
}

// read reads what there is; ok is false where the table itself is not there.
func (k *lookupCheck) read(ctx context.Context) (why string, ok bool) {
	_, cat, facts, err := readAll(ctx, k.cfg, k.servers, k.now)
	if err != nil {
		return err.Error(), true
	}
	k.schema = facts.fold(k.schema)
	name := TableName{k.schema, facts.fold(k.rule.Name)}
	k.home = cat.HomeOf(k.schema)
	k.table, k.lookup = cat.Table(k.schema, name.Table), cat.Table(k.schema, facts.fold(config.LookupName(k.rule.Name, k.key)))
	fact := facts.Tables[name]
	if fact == nil || k.table == nil || k.lookup == nil {
		return "", false
	}
	k.building = facts.Building[TableName{k.schema, k.lookup.Name}]
	k.unique, why = uniqueOf(fact, k.key, k.table.Placement.Keys())
	return why, true
}

func (k *lookupCheck) check(ctx context.Context, repair bool) *LookupFinding {
	say := func(repaired bool, do, what string, args ...any) *LookupFinding {
		return &LookupFinding{Finding{What: "the unique key [" + strings.Join(k.key, ", ") + "] " + fmt.Sprintf(what, args...), Do: do}, repaired}
	}
	why, ok := k.read(ctx)
	absent := ok && len(k.lookup.Columns) == 0
	switch {
	case !ok:
		return nil // CheckLive says so
	case why != "":
		return say(false, "change the table, or remove it from unique:", "is not kept over the shards: %s", why)
	case (absent || k.building) && !repair:
		return say(false, "--repair builds it", "is kept by each shard alone: its lookup table %s is not built", k.lookup.Name)
	case absent || k.building:
		if err := k.build(ctx, absent); err != nil {
			return say(false, "run --repair again", "could not be built: %s", err)
		}
		if len(k.twice) > 0 {
			return say(false, "change one of each and run --repair again", "cannot be kept: %d values are there twice, so %s", len(k.twice), strings.Join(k.twice[:min(len(k.twice), 10)], "; "))
		}
		return say(true, "built", "had no lookup table")
	}
	missing, orphans, err := k.compare(ctx, repair)
	switch {
	case err != nil:
		return say(false, "", "could not be compared with its lookup table: %s", err)
	case len(k.twice) > 0:
		return say(false, "change one of each", "has %d values twice: %s", len(k.twice), strings.Join(k.twice[:min(len(k.twice), 10)], "; "))
	case missing+orphans == 0:
		return nil
	case repair:
		return say(true, "put right", "had %d rows without a lookup row and %d lookup rows without a row", missing, orphans)
	}
	return say(false, "--repair mends it", "has %d rows without a lookup row and %d lookup rows without a row", missing, orphans)
}

// build makes the lookup tables, waits until every Serval writes them, and copies
// what was there before.
func (k *lookupCheck) build(ctx context.Context, absent bool) error {
	row := "schema_name = " + quote(k.schema) + " AND table_name = " + quote(k.lookup.Name)
	for _, sql := range []string{
		"CREATE DATABASE IF NOT EXISTS " + metaSchema,
		"CREATE TABLE IF NOT EXISTS " + metaSchema + "." + lookupsTable + " (schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL," +
			" table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, PRIMARY KEY (schema_name, table_name)) ENGINE=InnoDB",
		"INSERT IGNORE INTO " + metaSchema + "." + lookupsTable + " VALUES (" + quote(k.schema) + ", " + quote(k.lookup.Name) + ")",
	} {
		if err := k.servers.Exec(ctx, k.home, sql); err != nil {
			return err
		}
	}
	if absent {
		if err := k.create(ctx); err != nil {
			return err
		}
		if why, ok := k.read(ctx); why != "" || !ok {
			return fmt.Errorf("the table changed meanwhile: %s", why)
		}
	}
	if err := k.awaitKnown(ctx); err != nil {
		return err
	}
	if _, _, err := k.compare(ctx, true); err != nil || len(k.twice) > 0 {
		return err
	}
	return k.servers.Exec(ctx, k.home, "DELETE FROM "+metaSchema+"."+lookupsTable+" WHERE "+row)
}

func (k *lookupCheck) create(ctx context.Context) error {
	var lines, keys []string
	for i, name := range k.table.Placement.LookupColumns(k.unique.Columns) {
		c := columnNamed(k.table, name)
		line := sqlval.QuoteName(name) + " " + c.SQLType
		if c.Collation != "" {
			line += " COLLATE " + c.Collation
		}
		if i < len(k.unique.Columns) {
			line += " NOT NULL"
			keys = append(keys, sqlval.QuoteName(name))
		}
		lines = append(lines, line)
	}
	body := " (" + strings.Join(lines, ", ") + ", PRIMARY KEY (" + strings.Join(keys, ", ") + ")) ENGINE=InnoDB"
	for _, s := range k.lookup.Placement.Shards {
		for _, sql := range []string{"CREATE DATABASE IF NOT EXISTS " + sqlval.QuoteName(s.Database), "CREATE TABLE IF NOT EXISTS " + physicalTable(s) + body} {
			if err := k.servers.Exec(ctx, s.Cluster, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitKnown returns when every change that is under way keeps the lookup table.
func (k *lookupCheck) awaitKnown(ctx context.Context) error {
	if k.known != nil {
		if asked, err := k.known(ctx, []string{k.schema + "." + k.table.Name, k.schema + "." + k.lookup.Name}); asked || err != nil {
			return err
		}
	}
	return k.sleep(ctx, knownEverywhere)
}

func columnNamed(t *catalog.Table, name string) *catalog.Column {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return &catalog.Column{}
}

func physicalTable(s topology.Shard) string {
	return sqlval.QuoteName(s.Database) + "." + sqlval.QuoteName(s.Table)
}

// keptRow is a row of the table or the lookup table: the key's columns and the
// sharding columns as SQL, and how it is found in its own table.
type keptRow struct {
	values []string // unique columns, then the sharding columns that are not among them
	at     int      // the shard of the other table, where it should be
	by     []string // the primary key's values
}

func (r *keptRow) text() string { return strings.Join(r.values, ", ") }

// side is one of the two tables that are compared: rows of from are looked for
// in to, whose shard is told by the columns named.
type side struct {
	from, to *catalog.Table
	by       []string // from's primary key
	columns  []shardrule.Column
}

// shardOf is the shard of to by the values of the columns.
func (s *side) shardOf(values [][]byte) (int, error) {
	keys := make([]shardrule.Key, len(values))
	for i := range values {
		keys[i] = s.columns[i].KeyRead(values[i])
	}
	if p := s.to.Placement; p.Composite() {
		return p.ShardOfKeys(keys)
	}
	return s.to.Placement.Algorithm.ShardOf(keys[0])
}

// compare looks for the rows of each in the other, and puts right what it does
// not find where that is asked for.
func (k *lookupCheck) compare(ctx context.Context, repair bool) (missing, orphans int, err error) {
	base := side{from: k.table, to: k.lookup, by: k.table.PrimaryKey, columns: k.lookup.Placement.Columns()}
	kept := side{from: k.lookup, to: k.table, by: k.unique.Columns, columns: k.table.Placement.Columns()}
	if orphans, err = k.walk(ctx, &kept, k.drop, repair); err != nil { // first: one may stand for a row that is elsewhere
		return 0, orphans, err
	}
	missing, err = k.walk(ctx, &base, k.fill, repair)
	return missing, orphans, err
}

// walk goes through all rows of a side by their primary key.
func (k *lookupCheck) walk(ctx context.Context, s *side, mend func(context.Context, *side, topology.Shard, []keptRow) error, repair bool) (lacking int, err error) {
	for _, shard := range s.from.Placement.Shards {
		after := ""
		for {
			rows, err := k.rows(ctx, k.servers.Select, s, shard, after, " ORDER BY "+strings.Join(quoted(s.by), ", ")+fmt.Sprintf(" LIMIT %d", batch), "")
			if err != nil {
				return lacking, err
			}
			found, err := k.lacking(ctx, s, shard, rows)
			if err != nil {
				return lacking, err
			}
			lacking += len(found)
			if len(found) > 0 && repair {
				if err := mend(ctx, s, shard, found); err != nil {
					return lacking, err
				}
			}
			if len(rows) < batch {
				break
			}
			after = behind(s.by, rows[len(rows)-1].by)
		}
	}
	return lacking, nil
}

// lacking are those of the rows that the other side does not have, at two looks:
// a row may have been written between the two reads of one.
func (k *lookupCheck) lacking(ctx context.Context, s *side, shard topology.Shard, rows []keptRow) ([]keptRow, error) {
	found, err := k.unmet(ctx, s, rows)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if err := k.sleep(ctx, secondLook); err != nil {
		return nil, err
	}
	if rows, err = k.rows(ctx, k.servers.Select, s, shard, "("+strings.Join(conditions(s.by, found), " OR ")+")", "", ""); err != nil {
		return nil, err
	}
	return k.unmet(ctx, s, rows)
}

// unmet are the rows that the other side does not have.
func (k *lookupCheck) unmet(ctx context.Context, s *side, rows []keptRow) ([]keptRow, error) {
	met := map[string]bool{}
	for at, group := range byShard(rows) {
		there, err := k.others(ctx, k.servers.Select, s, at, group, "")
		if err != nil {
			return nil, err
		}
		for i := range there {
			met[there[i].text()] = true
		}
	}
	var out []keptRow
	for i := range rows {
		if !met[rows[i].text()] {
			out = append(out, rows[i])
		}
	}
	return out, nil
}

func byShard(rows []keptRow) map[int][]keptRow {
	out := map[int][]keptRow{}
	for _, r := range rows {
		out[r.at] = append(out[r.at], r)
	}
	return out
}

// others are the other side's rows with the unique values of these.
func (k *lookupCheck) others(ctx context.Context, ask selecting, s *side, at int, rows []keptRow, lock string) ([]keptRow, error) {
	var list []string
	for i := range rows {
		list = append(list, condition(k.unique.Columns, rows[i].values))
	}
	back := &side{from: s.to, by: k.unique.Columns}
	return k.rows(ctx, ask, back, s.to.Placement.Shards[at], "("+strings.Join(list, " OR ")+")", "", lock)
}

// selecting runs a query, on any connection or on one.
type selecting func(ctx context.Context, cluster, sql string) ([][][]byte, error)

// rows reads rows of a side.
func (k *lookupCheck) rows(ctx context.Context, ask selecting, s *side, shard topology.Shard, where, order, lock string) ([]keptRow, error) {
	columns := k.table.Placement.LookupColumns(k.unique.Columns)
	var list []string
	for _, name := range append(append([]string(nil), columns...), s.by...) {
		list = append(list, exactExpr(columnNamed(s.from, name)))
	}
	for _, c := range s.columns {
		list = append(list, c.KeyExpr(sqlval.QuoteName(c.Name)))
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + physicalTable(shard) + " WHERE "
	for _, name := range k.unique.Columns {
		sql += sqlval.QuoteName(name) + " IS NOT NULL AND "
	}
	if where == "" {
		where = "TRUE"
	}
	answer, err := ask(ctx, shard.Cluster, sql+where+order+lock)
	if err != nil {
		return nil, err
	}
	out := make([]keptRow, len(answer))
	for i, row := range answer {
		for j, name := range columns {
			out[i].values = append(out[i].values, exactLiteral(columnNamed(s.from, name), row[j]))
		}
		for j, name := range s.by {
			out[i].by = append(out[i].by, exactLiteral(columnNamed(s.from, name), row[len(columns)+j]))
		}
		if len(s.columns) > 0 {
			if out[i].at, err = s.shardOf(row[len(row)-len(s.columns):]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// exactExpr and exactLiteral carry a value as it is.
func exactExpr(c *catalog.Column) string {
	if isBytes(c) {
		return "HEX(" + sqlval.QuoteName(c.Name) + ")"
	}
	return sqlval.QuoteName(c.Name)
}

func exactLiteral(c *catalog.Column, v []byte) string {
	switch {
	case v == nil:
		return "NULL"
	case isBytes(c):
		if _, err := hex.DecodeString(string(v)); err == nil {
			return "x'" + string(v) + "'"
		}
	}
	return quote(string(v))
}

func isBytes(c *catalog.Column) bool { return c.DataType == "binary" || c.DataType == "varbinary" }

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = sqlval.QuoteName(n)
	}
	return out
}

func condition(columns, values []string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = sqlval.QuoteName(c) + " <=> " + values[i]
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}

func conditions(by []string, rows []keptRow) []string {
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = condition(by, rows[i].by)
	}
	return out
}

// behind is the condition for the rows behind one in the order of a key.
func behind(by, values []string) string {
	var parts []string
	for i := range by {
		part := sqlval.QuoteName(by[i]) + " > " + values[i]
		if i > 0 {
			part = condition(by[:i], values[:i]) + " AND " + part
		}
		parts = append(parts, "("+part+")")
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// fill inserts lookup rows. The rows themselves are locked until they are in, so
// that whoever changes one comes before or after.
func (k *lookupCheck) fill(ctx context.Context, s *side, shard topology.Shard, rows []keptRow) error {
	held, err := k.servers.Hold(ctx, shard.Cluster)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := held.Exec(ctx, "START TRANSACTION"); err != nil {
		return err
	}
	own := func(ctx context.Context, _, sql string) ([][][]byte, error) { return held.Select(ctx, sql) }
	if rows, err = k.rows(ctx, own, s, shard, "("+strings.Join(conditions(s.by, rows), " OR ")+")", "", " LOCK IN SHARE MODE"); err != nil {
		return err
	}
	names := strings.Join(quoted(k.table.Placement.LookupColumns(k.unique.Columns)), ", ")
	for at, group := range byShard(rows) {
		to := s.to.Placement.Shards[at]
		var tuples []string
		for i := range group {
			tuples = append(tuples, "("+group[i].text()+")")
		}
		if err := k.servers.Exec(ctx, to.Cluster, "INSERT IGNORE INTO "+physicalTable(to)+" ("+names+") VALUES "+strings.Join(tuples, ", ")); err != nil {
			return err
		}
	}
	left, err := k.unmet(ctx, s, rows)
	if err != nil {
		return err
	}
	for i := range left {
		there, err := k.others(ctx, k.servers.Select, s, left[i].at, left[i:i+1], "")
		if err != nil {
			return err
		}
		behind := len(k.unique.Columns)
		sharding := func(values []string) string { return strings.Join(values[behind:], ", ") }
		if len(there) == 1 && sharding(there[0].values) != sharding(left[i].values) {
			k.twice = append(k.twice, fmt.Sprintf("%s in the rows with %s %s and %s", strings.Join(left[i].values[:behind], ", "),
				strings.Join(k.table.Placement.LookupColumns(k.unique.Columns)[behind:], ", "), sharding(there[0].values), sharding(left[i].values)))
		}
	}
	return held.Exec(ctx, "COMMIT")
}

// drop deletes lookup rows whose rows are not there, looking again while nobody
// can insert one: its lookup row is locked.
func (k *lookupCheck) drop(ctx context.Context, s *side, shard topology.Shard, rows []keptRow) error {
	held, err := k.servers.Hold(ctx, shard.Cluster)
	if err != nil {
		return err
	}
	defer held.Close()
	own := func(ctx context.Context, _, sql string) ([][][]byte, error) { return held.Select(ctx, sql) }
	for i := range rows {
		if err := held.Exec(ctx, "START TRANSACTION"); err != nil {
			return err
		}
		where := condition(s.by, rows[i].by)
		locked, err := k.rows(ctx, own, s, shard, where, "", " FOR UPDATE")
		if err != nil {
			return err
		}
		for j := range locked {
			there, err := k.others(ctx, k.servers.Select, s, locked[j].at, locked[j:j+1], " LOCK IN SHARE MODE")
			if err == nil && !slices.ContainsFunc(there, func(r keptRow) bool { return r.text() == locked[j].text() }) {
				err = held.Exec(ctx, "DELETE FROM "+physicalTable(shard)+" WHERE "+where)
			}
			if err != nil {
				return err
			}
		}
		if err := held.Exec(ctx, "COMMIT"); err != nil {
			return err
		}
	}
	return nil
}
