package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

const kingshardYAML = `addr: %[1]s
user: root
password: '123456'
nodes:
- {name: node1, user: %[4]s, password: %[5]s, master: "%[2]s"}
- {name: node2, user: %[4]s, password: %[5]s, master: "%[3]s"}
schema_list:
- user: root
  nodes: [node1, node2]
  default: node1
  shard:
  - {db: ksdb, table: h, key: k, nodes: [node1, node2], type: hash, locations: [2, 3]}
  - {db: ksdb, table: r, key: k, nodes: [node1, node2], type: range, locations: [2, 2], table_row_limit: 50}
  - {db: ksdb, table: m, key: k, nodes: [node2, node1], type: date_month, date_range: [201512-201601, 201602]}
  - {db: ksdb, table: s, key: k, nodes: [node1, node2], type: date_day, date_range: [19700101, 19700102]}
`

const gaeaJSON = `{"name": "n", "allowed_dbs": {"gdb": true}, "default_phy_dbs": {"gdb": "gdb"}, "default_slice": "node1",
"slices": [{"name": "node1", "user_name": "%[4]s", "password": "%[5]s", "master": "%[2]s", "slaves": []},
 {"name": "node2", "user_name": "%[4]s", "password": "%[5]s", "master": "%[3]s", "slaves": []}],
"shard_rules": [
 {"db": "gdb", "table": "g", "type": "mycat_long", "key": "k", "locations": [2, 2], "slices": ["node1", "node2"], "databases": ["gdb_[0-3]"], "partition_count": "4", "partition_length": "256"},
 {"db": "gdb", "table": "child", "type": "linked", "parent_table": "g", "key": "k"},
 {"db": "gdb", "table": "mm", "type": "mod", "key": "k", "locations": [1, 2], "slices": ["node1", "node2"]},
 {"db": "gdb", "table": "world", "type": "global", "locations": [1, 1], "slices": ["node1", "node2"], "databases": ["gdb_0", "gdb_2"]}],
"users": [{"user_name": "root", "password": "123456", "namespace": "n", "rw_flag": 2, "rw_split": 0}]}`

// otherTable is a table of another proxy: where its shards stand, and which a
// number has.
type otherTable struct {
	name   string
	places []string // cluster number, database and table
	of     func(n int) int
	value  func(n int) string // of the key; the number itself if nil
	column string
}

func floor(n, by int) int { return (n - (n%by+by)%by) / by }

func day(n int) time.Time { return time.Date(2015, 12, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

var otherProxies = []struct {
	kind, file, text, schema string
	tables                   []otherTable
}{
	{"kingshard", "ks.yaml", kingshardYAML, "ksdb", []otherTable{
		{name: "h", places: strings.Fields("0.ksdb.h_0000 0.ksdb.h_0001 1.ksdb.h_0002 1.ksdb.h_0003 1.ksdb.h_0004"), of: func(n int) int { return int(uint64(n) % 5) }},
		{name: "r", places: strings.Fields("0.ksdb.r_0000 0.ksdb.r_0001 1.ksdb.r_0002 1.ksdb.r_0003"), of: func(n int) int { return floor(n, 50) }},
		{name: "m", places: strings.Fields("1.ksdb.m_201512 1.ksdb.m_201601 0.ksdb.m_201602"), column: "DATETIME",
			of:    func(n int) int { return (int(day(n).Month()) + day(n).Year()*12) - 2015*12 - 12 },
			value: func(n int) string { return "'" + day(n).Format(time.DateOnly) + " 23:59:59'" }},
		{name: "s", places: strings.Fields("0.ksdb.s_19700101 1.ksdb.s_19700102"), of: func(n int) int { return floor(n*3600+8*3600, 86400) }, // in Shanghai
			value: func(n int) string { return fmt.Sprint(n * 3600) }},
	}},
	{"gaea", "n.json", gaeaJSON, "gdb", []otherTable{
		{name: "g", places: strings.Fields("0.gdb_0.g 0.gdb_1.g 1.gdb_2.g 1.gdb_3.g"), of: func(n int) int { return n & 1023 / 256 }},
		{name: "child", places: strings.Fields("0.gdb_0.child 0.gdb_1.child 1.gdb_2.child 1.gdb_3.child"), of: func(n int) int { return n & 1023 / 256 }},
		{name: "mm", places: strings.Fields("0.gdb.mm_0000 1.gdb.mm_0001 1.gdb.mm_0002"), of: func(n int) int { return max(n, -n) % 3 }},
	}},
}

// Layouts of kingshard and Gaea are imported and served over rows that were
// placed by their formulas.
func TestImportKingshardAndGaea(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		for _, proxy := range otherProxies {
			t.Run(proxy.kind, func(t *testing.T) {
				clusters := s.Clusters(t)
				plain := oneConn(t, openDB(t, s.Plain(t).Addr(), ""))
				mustExec(t, plain, "DROP DATABASE IF EXISTS "+proxy.schema, "CREATE DATABASE "+proxy.schema, "USE "+proxy.schema)
				drop := func() {
					dropSchema(t, clusters, proxy.schema)
				}
				drop()
				t.Cleanup(drop)
				on := func(place, statement string) {
					c := clusters[place[0]-'0'].Primary
					database, _, _ := strings.Cut(place[2:], ".")
					require.NoError(t, c.Exec(context.Background(), "CREATE DATABASE IF NOT EXISTS "+database))
					require.NoError(t, c.Exec(context.Background(), strings.ReplaceAll(statement, "TABLENAME", place[2:])), statement)
				}
				on("0."+proxy.schema+".x", "DO 0")
				for _, table := range proxy.tables {
					table.fill(on, func(q string) { mustExec(t, plain, q) })
				}
				if proxy.kind == "gaea" {
					on("0.gdb_0.world", "CREATE TABLE TABLENAME (k BIGINT)")
					on("1.gdb_2.world", "CREATE TABLE TABLENAME (k BIGINT)")
				}
				listen, admin, dir := freeAddr(t), freeAddr(t), t.TempDir()
				text := fmt.Sprintf(proxy.text, listen, clusters[0].Primary.Addr(), clusters[1].Primary.Addr(), mysqlproc.BackendUser, mysqlproc.BackendPassword)
				require.NoError(t, os.WriteFile(filepath.Join(dir, proxy.file), []byte(text), 0o600))
				var stderr bytes.Buffer
				cmd := exec.CommandContext(t.Context(), binary, "import", proxy.kind, dir, "--time-zone", "Asia/Shanghai")
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				require.NoError(t, err, stderr.String())
				out = bytes.ReplaceAll(out, []byte("listen: '0.0.0.0:13306'"), []byte("listen: "+listen))
				file := filepath.Join(dir, "serval.yaml")
				require.NoError(t, os.WriteFile(file, append([]byte("admin: "+admin+"\n"), out...), 0o600))
				p := startServe(t, listen, admin, "-c", file)
				c := oneConn(t, openDB(t, p.Addr, proxy.schema, func(cfg *mysql.Config) { cfg.User, cfg.Passwd = "root", "123456" }))
				for _, table := range proxy.tables {
					for n := -10; n < 100; n += 7 {
						for _, where := range []string{"k = %s", "k > %s", "k <= %s"} {
							q := fmt.Sprintf("SELECT COUNT(*), MIN(k), MAX(k) FROM "+table.name+" WHERE "+where, table.literal(n))
							want, got := observe(t.Context(), plain, mode{sql: q}), observe(t.Context(), c, mode{sql: q})
							if diff := compare(q, want, got); diff != "" {
								t.Errorf("%s\n%s", q, diff)
							}
						}
					}
				}
				checked, err := exec.CommandContext(t.Context(), binary, "check", "-c", file, "--placement").CombinedOutput()
				require.NoError(t, err, string(checked))
				stray := proxy.tables[0]
				on(stray.places[0], fmt.Sprintf("INSERT INTO TABLENAME VALUES (%d)", 999))
				checked, err = exec.CommandContext(t.Context(), binary, "check", "-c", file, "--placement").CombinedOutput()
				require.Error(t, err)
				require.Contains(t, string(checked), "1 rows of "+stray.places[0][2:]+" on cluster node1 belong to other shards, the first with k = 999")
			})
		}
	})
}

func (o *otherTable) literal(n int) string {
	if o.value == nil {
		return fmt.Sprint(n)
	}
	return o.value(n)
}

// fill creates the table everywhere and puts the rows of numbers that have a
// place.
func (o *otherTable) fill(on func(place, statement string), plain func(string)) {
	column := o.column
	if column == "" {
		column = "BIGINT"
	}
	plain("CREATE TABLE " + o.name + " (k " + column + ", KEY (k))")
	rows := make([][]string, len(o.places))
	for n := -100; n < 300; n++ {
		if i := o.of(n); i >= 0 && i < len(rows) {
			rows[i] = append(rows[i], "("+o.literal(n)+")")
		}
	}
	for i, place := range o.places {
		on(place, "CREATE TABLE TABLENAME (k "+column+", KEY (k))")
		if len(rows[i]) > 0 {
			on(place, "INSERT INTO TABLENAME VALUES "+strings.Join(rows[i], ", "))
			plain("INSERT INTO " + o.name + " VALUES " + strings.Join(rows[i], ", "))
		}
	}
}
