package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/shardrule"
)

// fakeServers answers the questions control asks from tables in memory. A
// table's definition is its columns as "name type" with PRIMARY first for keys.
type fakeServers struct {
	mu      sync.Mutex
	version string
	fold    string
	down    map[string]bool
	tables  map[place][]string
	// programs are the stored programs and views by cluster.
	programs map[string][][][]byte
	// views are serval_meta.views by cluster; a cluster without has no such table.
	views    map[string][][][]byte
	executed []string
	// asked are the questions for columns.
	asked []string
}

var errDown = errors.New("connection refused")

func newFake(tables map[place][]string) *fakeServers {
	return &fakeServers{version: "9.7.0", fold: "0", down: map[string]bool{}, tables: tables}
}

var (
	inSchema  = regexp.MustCompile(`TABLE_SCHEMA = '([^']*)'`)
	inSchemas = regexp.MustCompile(`TABLE_SCHEMA (NOT )?IN \(([^)]*)\)`)
	mostOf    = regexp.MustCompile(`LIMIT (\d+)$`)
	inTable   = regexp.MustCompile(`TABLE_NAME = '([^']*)'`)
	quotedRef = regexp.MustCompile("`([^`]+)`\\.`([^`]+)`")
)

func row(fields ...string) [][]byte {
	r := make([][]byte, len(fields))
	for i, f := range fields {
		if f != "NULL" {
			r[i] = []byte(f)
		}
	}
	return r
}

func (f *fakeServers) Each(ctx context.Context, cluster, sql string, row func([][]byte) error) error {
	rows, err := f.Select(ctx, cluster, sql)
	for i := 0; i < len(rows) && err == nil; i++ {
		err = row(rows[i])
	}
	return err
}

func (f *fakeServers) Select(_ context.Context, cluster, sql string) ([][][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[cluster] {
		return nil, errDown
	}
	switch {
	case strings.HasPrefix(sql, "SELECT VERSION()"):
		return [][][]byte{row(f.version, f.fold, "SYSTEM", "UTC")}, nil
	case strings.Contains(sql, "information_schema.COLUMNS"):
		f.asked = append(f.asked, cluster+": "+sql[strings.Index(sql, "WHERE"):strings.Index(sql, " ORDER BY")])
		rows := f.columns(cluster, sql)
		if m := mostOf.FindStringSubmatch(sql); m != nil {
			most, err := strconv.Atoi(m[1])
			return rows[:min(len(rows), most)], err
		}
		return rows, nil
	case strings.Contains(sql, "information_schema.STATISTICS"):
		var out [][][]byte
		for _, at := range f.matching(cluster, sql) {
			name, _, _ := strings.Cut(f.tables[at][0], " ")
			out = append(out, row(at.database, at.table, "PRIMARY", name, "0", "NULL", "BTREE"),
				row(at.database, at.table, "by_"+name, name, "1", "7", "BTREE"), row(at.database, at.table, "e", "NULL", "0", "NULL", "BTREE"))
		}
		return out, nil
	case strings.Contains(sql, "information_schema.TABLES"):
		var out [][][]byte
		for _, at := range f.matching(cluster, sql) {
			out = append(out, row(at.database, at.table))
		}
		return out, nil
	case strings.Contains(sql, "information_schema.ROUTINES"):
		return f.programs[cluster], nil
	case strings.Contains(sql, "information_schema.COLLATION"):
		return [][][]byte{
			row("utf8mb4_general_ci", "utf8mb4", "45", "", "PAD SPACE"), row("utf8mb4_0900_ai_ci", "utf8mb4", "255", "Yes", "NO PAD"),
			row("utf8mb4_general_nopad_ci", "utf8mb4", "1069", "", "NULL"),
		}, nil
	case strings.Contains(sql, "FROM serval_meta.tables"):
		return nil, sqlerr.New(sqlerr.NoSuchTable, "Table 'serval_meta.tables' doesn't exist")
	case strings.Contains(sql, "serval_meta.views"):
		if f.views[cluster] == nil {
			return nil, sqlerr.New(sqlerr.NoSuchTable, "Table 'serval_meta.views' doesn't exist")
		}
		return f.views[cluster], nil
	case sql == "SELECT UNIX_TIMESTAMP()":
		return [][][]byte{row(strconv.FormatInt(november.Unix(), 10))}, nil
	case strings.HasPrefix(sql, "SELECT WEIGHT_STRING"):
		return [][][]byte{slices.Repeat(row("\x00 "), strings.Count(sql, "WEIGHT_STRING"))}, nil
	case strings.HasPrefix(sql, "SELECT COUNT(*), MIN("):
		f.executed = append(f.executed, sql)
		if strings.Contains(sql, "`shop_1`") {
			return [][][]byte{row("3", "bob")}, nil
		}
		return [][][]byte{row("0", "NULL")}, nil
	case strings.HasPrefix(sql, "SHOW CREATE TABLE"):
		m := quotedRef.FindStringSubmatch(sql)
		return [][][]byte{row(m[2], "CREATE TABLE `"+m[2]+"` (\n  "+strings.Join(f.tables[place{cluster, m[1], m[2]}], ",\n  ")+"\n) COMMENT='a (b)'")}, nil
	}
	return nil, fmt.Errorf("not expected: %s", sql)
}

func (f *fakeServers) columns(cluster, sql string) [][][]byte {
	var out [][][]byte
	for _, at := range f.matching(cluster, sql) {
		for _, c := range f.tables[at] {
			name, typ, _ := strings.Cut(c, " ")
			bare, _, _ := strings.Cut(typ, "(")
			coll, extra := "NULL", ""
			if bare == "varchar" {
				coll = "utf8mb4_general_ci"
			}
			if rest, ok := strings.CutSuffix(typ, " auto"); ok {
				typ, bare, extra = rest, rest, "auto_increment"
			}
			out = append(out, row(at.database, at.table, name, bare, typ, "20", "0", "10", "0", coll, "NO", "NULL", extra, ""))
		}
	}
	return out
}

func (f *fakeServers) matching(cluster, sql string) []place {
	var out []place
	s, t := inSchema.FindStringSubmatch(sql), inTable.FindStringSubmatch(sql)
	for at := range f.tables {
		if at.cluster != cluster || s != nil && at.database != s[1] || t != nil && at.table != t[1] {
			continue
		}
		if in := inSchemas.FindStringSubmatch(sql); in == nil || strings.Contains(in[2], "'"+at.database+"'") == (in[1] == "") {
			out = append(out, at)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].table < out[j].table })
	return out
}

func (f *fakeServers) Exec(_ context.Context, cluster, sql string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[cluster] {
		return errDown
	}
	f.executed = append(f.executed, cluster+": "+sql)
	if m := quotedRef.FindStringSubmatch(sql); m != nil {
		f.tables[place{cluster, m[1], m[2]}] = []string{"at datetime"}
	}
	return nil
}

const shopRules = head + `schemas:
  shop:
    tables:
      users: {shard: hash(name), shards: 2, on: [c0, c1]}
      logs:  {shard: month(at), on: [c0, c1], ahead: 2}
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("serval.yaml", []byte(text))
	require.NoError(t, err)
	return cfg
}

func shopTables() map[place][]string {
	return map[place][]string{
		{"c0", "shop_0", "users"}:      {"name varchar(20)", "id bigint auto"},
		{"c1", "shop_1", "users"}:      {"name varchar(20)", "id bigint auto"},
		{"c0", "shop", "logs_202610"}:  {"at datetime"},
		{"c1", "shop", "logs_202611"}:  {"at datetime"},
		{"c1", "shop", "logs_202612"}:  {"at datetime"}, // on the wrong cluster
		{"c1", "shop", "logs_2026123"}: {"at datetime"},
		{"c1", "shop", "logs_old"}:     {"at datetime"},
	}
}

func start(t *testing.T, f *fakeServers) (*Controller, *catalog.Store) {
	t.Helper()
	store := catalog.NewStore(&catalog.Catalog{})
	c, err := New(parse(t, shopRules), f, store, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c.now = func() time.Time { return november }
	return c, store
}

func TestLoadLearnsTheTablesFromTheServers(t *testing.T) {
	c, store := start(t, newFake(shopTables()))
	require.Empty(t, store.Load().Table("shop", "users").Columns, "before Load only the places are known")
	require.NoError(t, c.Load(t.Context()))

	users := store.Load().Table("shop", "users")
	require.Len(t, users.Columns, 2)
	require.Equal(t, []string{"name"}, users.PrimaryKey)
	require.Empty(t, users.UniqueKeys, "a key with an expression is no key of columns")
	require.Equal(t, "id", users.AutoIncrement)
	key := users.Placement.Column
	require.Equal(t, shardrule.TypeText, key.Type)
	require.True(t, key.PadSpace)
	require.Equal(t, "\x00 ", key.PadWeight)
	require.Equal(t, uint16(45), store.Load().Collations["utf8mb4_general_ci"].ID)
	require.False(t, store.Load().Collations["utf8mb4_0900_ai_ci"].PadSpace)

	logs := store.Load().Table("shop", "logs").Placement
	require.Equal(t, "month v1 periods=202610-202611", logs.Algorithm.Spec(), "months that exist, each on its own cluster")
}

func TestMariaDBSaysByTheNameWhetherACollationPads(t *testing.T) {
	f := newFake(shopTables())
	f.version = "10.11.9-MariaDB"
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	require.True(t, store.Load().Collations["utf8mb4_general_ci"].PadSpace)
	require.False(t, store.Load().Collations["utf8mb4_general_nopad_ci"].PadSpace)
}

func TestNothingIsPublishedWhereNothingChanged(t *testing.T) {
	f := newFake(shopTables())
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	before := store.Load()
	require.NoError(t, c.Load(t.Context()))
	require.Same(t, before, store.Load())

	f.tables[place{"c0", "shop_0", "users"}] = []string{"name varchar(20)", "id bigint auto", "age int"}
	require.NoError(t, c.Load(t.Context()))
	require.Len(t, store.Load().Table("shop", "users").Columns, 3)
}

func TestAClusterThatIsAwayKeepsWhatWasKnown(t *testing.T) {
	f := newFake(shopTables())
	f.down["c0"], f.down["c1"] = true, true
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()), "a server that is down at the start is no error")
	require.Empty(t, store.Load().Table("shop", "users").Columns)

	f.down = map[string]bool{}
	require.NoError(t, c.Load(t.Context()))
	require.Len(t, store.Load().Table("shop", "users").Columns, 2)

	known := store.Load()
	f.down["c0"], f.down["c1"] = true, true
	require.NoError(t, c.Load(t.Context()))
	require.Same(t, known, store.Load())

	f.down["c1"] = false
	require.NoError(t, c.Load(t.Context()))
	require.Len(t, store.Load().Table("shop", "users").Columns, 2, "another shard says it too")
}

func TestRefreshReadsOneTableAgain(t *testing.T) {
	f := newFake(shopTables())
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))

	f.tables[place{"c0", "shop_0", "users"}] = []string{"name varchar(20)"}
	require.NoError(t, c.Refresh(t.Context(), "shop", "users"))
	require.Len(t, store.Load().Table("shop", "users").Columns, 1)
	require.True(t, store.Load().Table("shop", "users").Placement.Column.PadSpace)

	delete(f.tables, place{"c0", "shop_0", "users"})
	delete(f.tables, place{"c1", "shop_1", "users"})
	require.NoError(t, c.Refresh(t.Context(), "shop", "users"))
	require.Empty(t, store.Load().Table("shop", "users").Columns, "dropped")

	version := store.Load().Version
	require.NoError(t, c.Refresh(t.Context(), "shop", "carts"), "a table without a rule")
	require.Equal(t, version, store.Load().Version)

	f.down["c0"], f.down["c1"], f.down["c2"] = true, true, true
	require.ErrorIs(t, c.Refresh(t.Context(), "shop", "users"), errDown)
}

// frozenServers take questions and do not answer.
type frozenServers struct {
	*fakeServers
	asked chan struct{}
}

func (f frozenServers) Select(ctx context.Context, _, _ string) ([][][]byte, error) {
	select {
	case f.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestRulesAreAdoptedWhileServersDoNotAnswer(t *testing.T) {
	c, store := start(t, newFake(shopTables()))
	require.NoError(t, c.Load(t.Context()))
	frozen := frozenServers{asked: make(chan struct{}, 1)}
	c.servers = frozen
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	c.soon <- struct{}{}
	go func() { ended <- c.Run(ctx) }()
	<-frozen.asked

	before := time.Now()
	require.NoError(t, c.Adopt(parse(t, head+"schemas: {shop: {tables: {users: {shard: hash(id), shards: 4, on: [c0, c1]}}}}")))
	require.Less(t, time.Since(before), refreshWithin/2, "it does not wait for servers")
	users := store.Load().Table("shop", "users")
	require.Len(t, users.Placement.Shards, 4)
	require.Len(t, users.Columns, 2, "what was known of the table")
	<-frozen.asked // Run looks at once
	cancel()
	require.NoError(t, <-ended)
}

// Between its renames and the next rules a cut over's tables are where no rule says.
func TestWhatIsReadWhileTablesAreRenamedIsNotPublished(t *testing.T) {
	f := newFake(shopTables())
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	before := store.Load()
	delete(f.tables, place{"c0", "shop_0", "users"})
	delete(f.tables, place{"c1", "shop_1", "users"})

	store.Hold("tables are being moved")
	require.ErrorIs(t, c.Load(t.Context()), errMoving)
	require.ErrorIs(t, c.Refresh(t.Context(), "shop", "users"), errMoving)
	require.Same(t, before, store.Load())
	require.NoError(t, c.Adopt(parse(t, head+"schemas: {shop: {tables: {users: {shard: hash(id), shards: 4, on: [c0, c1]}}}}")))
	require.Len(t, store.Load().Table("shop", "users").Columns, 2)

	store.Release()
	require.NoError(t, c.Load(t.Context()))
	require.Empty(t, store.Load().Table("shop", "users").Columns)
}

func TestReloadOfABadConfigurationChangesNothing(t *testing.T) {
	c, store := start(t, newFake(shopTables()))
	require.NoError(t, c.Load(t.Context()))
	before := store.Load()
	bad := parse(t, head+"schemas: {shop: {tables: {users: {shard: hash(id), shards: 2, on: [c0, c1], layout: tables}, users_1: {on: c1}}}}")
	require.ErrorContains(t, c.Reload(t.Context(), bad), "would both be shop.users_1")
	require.Same(t, before, store.Load())

	require.NoError(t, c.Reload(t.Context(), parse(t, head+"schemas: {shop: {tables: {users: {on: c2}}}}")))
	require.Nil(t, store.Load().Table("shop", "logs"))
	require.Equal(t, shardrule.Whole, store.Load().Table("shop", "users").Placement.Kind)
}

func TestMonthsAheadAreCreatedAtTheSecondLook(t *testing.T) {
	f := newFake(shopTables())
	delete(f.tables, place{"c1", "shop", "logs_202612"})
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	require.NoError(t, c.createPeriods(t.Context()))
	require.Empty(t, f.executed, "a CREATE TABLE may be going on")
	require.NoError(t, c.createPeriods(t.Context()))
	require.Equal(t, []string{
		"c0: CREATE TABLE IF NOT EXISTS `shop`.`logs_202612` (\n  at datetime\n) COMMENT='a (b)'",
		"c1: CREATE TABLE IF NOT EXISTS `shop`.`logs_202701` (\n  at datetime\n) COMMENT='a (b)'",
	}, f.executed)
	require.Equal(t, "month v1 periods=202610-202701", store.Load().Table("shop", "logs").Placement.Algorithm.Spec())
	require.NoError(t, c.createPeriods(t.Context()))
	require.Len(t, f.executed, 2)
}

func TestOldPeriodsStayWhileAJobMovesTheirTable(t *testing.T) {
	f := newFake(shopTables())
	store := catalog.NewStore(&catalog.Catalog{})
	c, err := New(parse(t, strings.Replace(shopRules, "ahead: 2", "keep: 1, drop_old: true", 1)), f, store, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c.now = func() time.Time { return november }
	require.NoError(t, c.Load(t.Context()))
	var asked []string
	moved := errors.New("reshard job 1 (reversing) moves it")
	c.Moves = func(_ context.Context, schema, table string) error {
		asked = append(asked, schema+"."+table)
		return moved
	}
	require.NoError(t, c.dropPeriods(t.Context()))
	require.Equal(t, []string{"shop.logs"}, asked, "only what would be dropped is asked about")
	require.Empty(t, f.executed)

	moved = nil
	require.NoError(t, c.dropPeriods(t.Context()))
	require.Equal(t, []string{"c0: DROP TABLE IF EXISTS `shop`.`logs_202610`"}, f.executed)
}

func TestFoldedNamesAreLearnedFromTheServers(t *testing.T) {
	f := newFake(shopTables())
	f.fold = "1"
	c, store := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	require.NotNil(t, store.Load().Table("SHOP", "Users"))
}

func TestFindingsNameShardsThatAreMissingOrDiffer(t *testing.T) {
	f := newFake(shopTables())
	c, _ := start(t, f)
	require.NoError(t, c.Load(t.Context()))
	texts := func() []string {
		var out []string
		for _, finding := range c.Findings(t.Context()) {
			out = append(out, finding.String())
		}
		return out
	}
	require.Empty(t, texts())

	f.tables[place{"c1", "shop_1", "users"}] = []string{"name varchar(30)", "id bigint auto"}
	f.tables[place{"c1", "shop", "logs_202611"}] = []string{"at time"}
	require.Equal(t, []string{
		"shop.logs: month does not take column at of type time; it takes DATE, DATETIME, TIMESTAMP, integers with epoch: and text with format:; change the column or the rule",
		"shop.logs shard 0: shop.logs_202610 on cluster c0 differs: column 1 is at datetime NOT NULL instead of at time NOT NULL; alter it as the other shards are",
		"shop.users shard 1: shop_1.users on cluster c1 differs: column 1 is name varchar(30) COLLATE utf8mb4_general_ci NOT NULL instead of name varchar(20) COLLATE utf8mb4_general_ci NOT NULL; alter it as the other shards are",
	}, texts())

	delete(f.tables, place{"c1", "shop_1", "users"})
	require.Contains(t, strings.Join(texts(), "\n"), "shop.users shard 1: shop_1.users is missing on cluster c1")
	f.down["c2"] = true
	require.Contains(t, strings.Join(texts(), "\n"), "cluster c2 does not answer: connection refused")
	f.down = map[string]bool{}
	f.tables[place{"c0", "shop_0", "users"}] = []string{"id bigint auto"}
	require.Contains(t, strings.Join(texts(), "\n"), "shop.users: the table has no column name")

	for at := range f.tables {
		if at.table == "users" {
			delete(f.tables, at)
		}
	}
	require.Contains(t, strings.Join(texts(), "\n"), "shop.users: no shard has the table yet; create it through Serval")
	f.down["c0"] = true
	require.NotContains(t, strings.Join(texts(), "\n"), "no shard has the table", "a cluster that is down may have it")
}

func TestCheckFindsRulesThatContradictEachOther(t *testing.T) {
	require.Empty(t, Check(parse(t, shopRules), november))
	require.Empty(t, Check(parse(t, head+"schemas: {shop: {tables: {users: {on: c1}, Users: {on: c0}}}}"), november),
		"servers may tell upper from lower case")
	cfg := parse(t, head+"schemas: {shop: {tables: {users: {shard: hash(id), shards: 2, on: c0, layout: tables}, users_1: {on: c0}}}}")
	require.ErrorContains(t, Check(cfg, november), "would both be shop.users_1")
}

func TestRunEndsWithItsContext(t *testing.T) {
	c, _ := start(t, newFake(shopTables()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	cancel()
	require.NoError(t, <-done)
}

func TestALoadThatIsCancelledPublishesNothing(t *testing.T) {
	c, store := start(t, newFake(shopTables()))
	before := store.Load()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Load(ctx), context.Canceled)
	require.Same(t, before, store.Load())
}
