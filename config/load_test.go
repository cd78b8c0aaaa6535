package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/shardrule"
)

func TestLoadReadsTheContractsExample(t *testing.T) {
	cfg, err := Load("testdata/contract.good.yml")
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1:3307"}, cfg.Listen)
	require.Equal(t, "127.0.0.1:9307", cfg.Admin)
	require.Equal(t, "c0", cfg.Home)

	require.Len(t, cfg.Users, 2)
	require.False(t, cfg.Users[0].ReadOnly)
	require.True(t, cfg.Users[1].ReadOnly)
	require.Equal(t, []string{"shop"}, cfg.Users[1].Schemas)

	c0, c1 := cfg.Cluster("c0"), cfg.Cluster("c1")
	require.Equal(t, "127.0.0.1:4000", c0.Primary)
	require.Equal(t, []Instance{
		{Addr: "127.0.0.1:4000"}, {Addr: "127.0.0.1:4001", Weight: 1}, {Addr: "127.0.0.1:4002", Weight: 2, Zone: "b"},
	}, c0.Instances)
	require.Equal(t, "serval", c0.Account.User)
	require.Equal(t, TLSDisabled, c0.Account.TLS.Mode)
	require.Empty(t, c1.Primary, "it is to be found")
	require.Equal(t, []Instance{{Addr: "127.0.0.1:4010", Weight: 1}, {Addr: "127.0.0.1:4011", Weight: 1}}, c1.Instances)
	require.Nil(t, cfg.Cluster("c2"))

	rule := func(function, column string) shardrule.Rule {
		return shardrule.Rule{Name: function, Columns: []string{column}, Args: shardrule.Args{}}
	}
	shop := cfg.Schemas[0]
	both := []string{"c0", "c1"}
	require.Equal(t, []Table{
		{Name: "users", Kind: Sharded, Rule: rule("hash", "id"), On: both, Shards: 8, Line: 21},
		{Name: "orders", Kind: Sharded, Rule: rule("hash", "user_id"), On: both, Shards: 8, Like: "users", Line: 22},
		{Name: "comments", Kind: Sharded, Rule: rule("hash", "item_id"), On: both, Shards: 8, AutoIncrement: "id", Line: 23},
		{Name: "payment_logs", Kind: Sharded, Rule: rule("month", "paid_at"), On: both, Layout: LayoutTables, Keep: 24, Ahead: 2, Line: 24},
		{Name: "countries", Kind: Global, On: both, Line: 25},
		{Name: "catalog", Kind: Whole, On: []string{"c1"}, Line: 26},
	}, shop.Tables)
}

// Each bad file begins with what it must give, one "# line: what; do" a
// finding, so that every message is seen beside the mistake that leads to it.
func TestEveryBadFileGivesItsMessages(t *testing.T) {
	t.Setenv("SERVAL_TEST_SET", "value")
	files, err := filepath.Glob("testdata/*.bad.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var want []string
			for line := range strings.Lines(string(data)) {
				w, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "#> ")
				if !ok {
					break
				}
				want = append(want, w)
			}
			_, err = Load(file)
			var got []string
			if err != nil {
				got = strings.Split(strings.ReplaceAll(strings.ReplaceAll(err.Error(), file+":", ""), "testdata/", ""), "\n")
			}
			if os.Getenv("REWRITE") != "" {
				rewrite(t, file, string(data), got)
				return
			}
			require.NotEmpty(t, want, "the file does not say what it must give")
			require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
		})
	}
}

// rewrite puts what was given in front of the file. Only commit it if you
// understand each line.
func rewrite(t *testing.T, file, data string, got []string) {
	t.Helper()
	body := data
	for strings.HasPrefix(body, "#> ") {
		_, body, _ = strings.Cut(body, "\n")
	}
	var b strings.Builder
	for _, g := range got {
		b.WriteString("#> " + g + "\n")
	}
	require.NoError(t, os.WriteFile(file, []byte(b.String()+body), 0o600))
}

func TestEveryGoodFileLoads(t *testing.T) {
	t.Setenv("SERVAL_TEST_SET", "from the environment")
	files, err := filepath.Glob("testdata/*.good.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		_, err := Load(file)
		require.NoError(t, err)
	}
}

func TestOptionalKeysReplaceTheirDefaults(t *testing.T) {
	t.Setenv("SERVAL_TEST_SET", "from the environment")
	cfg, err := Load("testdata/everything.good.yml")
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1:3307", "unix:/run/serval.sock"}, cfg.Listen)
	require.Equal(t, &TLS{Cert: "testdata/server.pem", Key: "testdata/server.key", ClientCA: "testdata/server.pem", Required: true}, cfg.TLS)
	require.Equal(t, "from the environment", cfg.Users[0].Password)
	require.Equal(t, "from a file", cfg.Users[1].Password)
	require.Equal(t, "${not replaced}", cfg.Users[2].Password)
	require.Equal(t, Account{User: "serval", Password: "b", TLS: BackendTLS{Mode: TLSVerify, CA: "testdata/server.pem"}}, cfg.Cluster("c0").Account)
	require.Equal(t, Account{User: "other", Password: "from a file", TLS: BackendTLS{Mode: TLSDisabled, CA: "testdata/server.pem"}}, cfg.Cluster("c1").Account)
	require.Equal(t, Log{Level: "warn", Format: "json", Slow: 200 * time.Millisecond}, cfg.Log)
	require.Equal(t, 5, cfg.Limits.MaxConnections)
	require.Equal(t, 32<<20, cfg.Limits.MaxPacket)
	require.Equal(t, time.Duration(0), cfg.Limits.StatementTimeout)
	require.Equal(t, int64(1<<30), cfg.Limits.MemoryPerStatement)
	require.Equal(t, Pool{Max: 7, ConnectTimeout: time.Second, AcquireTimeout: 2 * time.Second,
		IdleTimeout: 3 * time.Minute, MaxLifetime: 4 * time.Hour, Statements: 8}, cfg.Pool)
	require.Equal(t, Replicas{MaxLag: time.Second, Probe: 2 * time.Second, ProbeTimeout: 3 * time.Second,
		Consistency: "eventual", WaitForGTID: 5 * time.Millisecond, Zone: "a"}, cfg.Replicas)
	require.Equal(t, HoldWrites{Timeout: time.Minute, Max: 9}, cfg.HoldWrites)
	require.Equal(t, Finisher{Cluster: "c1", MaxRows: 10, MaxBytes: 2 << 20}, cfg.Finisher)
	tables := cfg.Schemas[0].Tables
	require.Equal(t, LayoutTables, tables[0].Layout)
	require.Equal(t, []string{"c0"}, tables[0].On)
	require.Equal(t, LayoutDatabases, tables[1].Layout)
	require.Equal(t, "2024-01", tables[1].From)
	require.Equal(t, 1, tables[1].Ahead, "one month ahead unless said")
	require.Equal(t, "c0", cfg.Schemas[0].Home, "a schema without home has the file's")
}

func TestOneClusterNeedsNoOnAndNoHome(t *testing.T) {
	cfg, err := Parse("f.yml", []byte(`
users: [{name: app, password: ''}]
backend: {user: serval, password: ''}
clusters: {only: {primary: "h:3306"}}
schemas: {shop: {tables: {users: {shard: hash(id), shards: 4}, countries: {global: true}}}}
`))
	require.NoError(t, err)
	require.Equal(t, "only", cfg.Home)
	require.Equal(t, "only", cfg.Schemas[0].Home)
	require.Equal(t, []string{"only"}, cfg.Schemas[0].Tables[0].On)
	require.Equal(t, []string{"only"}, cfg.Schemas[0].Tables[1].On)
}

func TestAMissingFileIsAnErrorAndNotAFinding(t *testing.T) {
	_, err := Load("testdata/there-is-none.yml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestQuickMakesOneClusterOfTheFlags(t *testing.T) {
	cfg, err := Quick("127.0.0.1:3306", []string{"127.0.0.1:3316"}, "app", "pw")
	require.NoError(t, err)
	require.True(t, cfg.FromFlags)
	require.Equal(t, "main", cfg.Home)
	require.Equal(t, []User{{Name: "app", Password: "pw"}}, cfg.Users)
	require.Equal(t, []Instance{{Addr: "127.0.0.1:3306"}, {Addr: "127.0.0.1:3316", Weight: 1}}, cfg.Cluster("main").Instances)

	for _, c := range []struct {
		why, primary, user string
		replicas           []string
		want               string
	}{
		{"no primary", "", "u", nil, "--primary is empty"},
		{"no user", "h:1", "", nil, "--user is empty"},
		{"a replica twice", "h:1", "u", []string{"h:1"}, "h:1 is given twice"},
		{"no port", "h", "u", nil, "h is not an address"},
	} {
		_, err := Quick(c.primary, c.replicas, c.user, "")
		require.ErrorContains(t, err, c.want, c.why)
	}
}

func TestDistanceCountsLettersAndSwaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"lsiten", "listen", 1}, {"listn", "listen", 1}, {"listeen", "listen", 1},
		{"", "abc", 3}, {"kitten", "sitting", 3},
	} {
		require.Equal(t, c.want, distance(c.a, c.b), "%s %s", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a), "%s %s", c.b, c.a)
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/contract.good.yml")
	require.NoError(f, err)
	f.Add(string(data))
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := Parse("f.yml", []byte(text))
		require.True(t, (cfg == nil) != (err == nil), "one of them, never both")
	})
}

// A key under unique: has a lookup table, sharded by the key's first column over
// the table's clusters, and whose name fits whatever the columns are called.
func TestUniqueKeysMakeLookupTables(t *testing.T) {
	const head = "users: [{name: app, password: x}]\nbackend: {user: s, password: x}\nclusters: {c0: {primary: \"h0:1\"}, c1: {primary: \"h1:1\"}}\nhome: c0\nschemas: {shop: {tables: {"
	parse := func(tables string) []Table {
		cfg, err := Parse("x.yml", []byte(head+tables+"}}}"))
		require.NoError(t, err)
		return cfg.Schemas[0].Tables
	}
	tables := parse("users: {shard: hash(id), shards: 6, on: [c0, c1], layout: tables, unique: [email, [country, phone]]}")
	require.Len(t, tables, 3)
	for i, key := range [][]string{{"email"}, {"country", "phone"}} {
		lookup := tables[i+1]
		require.Equal(t, Table{Name: "serval_unique_users_" + strings.Join(key, "_"), Kind: Sharded, Rule: shardrule.Rule{Name: "hash", Columns: key[:1], Args: shardrule.Args{}},
			On: []string{"c0", "c1"}, Shards: 6, Layout: LayoutTables, Line: tables[0].Line, LookupOf: "users", LookupKey: key}, lookup)
	}
	tables = parse("logs: {shard: month(at), on: [c0, c1], unique: [[a_rather_long_column_name, another_long_column_name]]}")
	require.Equal(t, 8, tables[1].Shards, "a table without a number of shards: four a cluster")
	require.Len(t, tables[1].Name, maxTableName)
	require.NotEqual(t, tables[1].Name, LookupName("logs", []string{"a_rather_long_column_name", "another_long_column_nama"}))
}
