package integration

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// A configuration of Mycat with all its rules is imported and served, over rows
// that a Java runtime placed (see shardrule/testdata/Vectors.java): Serval finds
// each row by its key, and check --placement finds none on the wrong shard, but
// those that are put there.
func TestImportMycat(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		m := newMycatLayout(t, s)
		rows := m.fill(t)
		file, p := m.serve(t)
		c := oneConn(t, openDB(t, p.Addr, "", func(cfg *mysql.Config) { cfg.User, cfg.Passwd = "root", "123456" }))
		mustExec(t, c, "CREATE DATABASE IF NOT EXISTS TESTDB", "USE TESTDB") // as docs/mycat.md says
		for _, table := range m.tables {
			t.Run(table, func(t *testing.T) { m.compare(t, c, table, rows[table]) })
		}
		out, err := m.check(file)
		require.NoError(t, err, out)

		mustExec(t, c, "INSERT INTO t_long (k, v) VALUES (123456789012, 1)", "INSERT INTO t_string (k, v) VALUES ('order-7', 1)",
			"INSERT INTO t_day (k, v) VALUES ('2014-01-15', 1)", "INSERT INTO t_mod (k, v) VALUES (77, 1)", "INSERT INTO t_item (parent_k, v) VALUES (77, 1)",
			"INSERT INTO t_country (k, v) VALUES (1, 1)", "INSERT INTO t_whole (k, v) VALUES (1, 1)")
		for i := range 6 { // their spellings have other shards than before
			key := fmt.Sprintf("moveme%d", i)
			mustExec(t, c, "INSERT INTO t_slot (k, v) VALUES ('"+key+"', 7)", "UPDATE t_slot SET k = '"+strings.ToUpper(key)+"' WHERE k = '"+key+"'")
		}
		mustExec(t, c, "UPDATE t_slot SET k = CONCAT(k, 'x'), v = v + 1 WHERE k LIKE 'moveme%'", "DELETE FROM t_slot WHERE k = 'MoveMe3X'")
		require.Equal(t, "5/40", one(t, c, "SELECT CONCAT(COUNT(*), '/', SUM(v)) FROM t_slot WHERE k LIKE 'moveme%'"))
		require.Equal(t, "1", one(t, c, "SELECT COUNT(*) FROM t_mod JOIN t_item ON t_mod.k = t_item.parent_k JOIN t_country ON t_country.k = 1 JOIN t_whole ON t_whole.k = 1 WHERE t_mod.k = 77"))
		out, err = m.check(file)
		require.NoError(t, err, out)

		text, err := os.ReadFile(file)
		require.NoError(t, err)
		alike := filepath.Join(t.TempDir(), "alike.yaml")
		require.NoError(t, os.WriteFile(alike, bytes.Replace(text, []byte("shard: mycat_crc32slot(k)\n"), []byte("shard: mycat_crc32slot(k)\n        spelling: exact\n"), 1), 0o600))
		out, err = m.check(alike)
		require.Error(t, err, "the rule says that Ann is always written alike")
		require.Regexp(t, `TESTDB.t_slot: 1 values of k are spelled in several ways on several shards, "(?i:ann)" on shard \d and "(?i:ann)" on shard \d: who asks`, out)

		m.on(t, "dn0", "INSERT INTO t_long (k, v) VALUES (1023, 1)", "INSERT INTO t_enum (k, v) VALUES (77777, 1)", "INSERT INTO t_jump (k, v) VALUES ('1', 1)")
		out, err = m.check(file)
		require.Error(t, err, out)
		for _, stray := range []string{"1 rows of db0.t_long on cluster host1 belong to other shards, the first with k = 1023",
			"1 rows of db0.t_enum on cluster host1 belong to other shards, the first with k = 77777",
			"1 rows of db0.t_jump on cluster host1 belong to other shards, the first with k = 1"} {
			require.Contains(t, out, stray)
		}
		require.Equal(t, 3, strings.Count(out, "belong to other shards"), out)
	})
}

// mycatLayout is importer/testdata/mycat on the set's two clusters.
type mycatLayout struct {
	clusters []*mysqlproc.Cluster
	plain    *sql.Conn
	// nodes are the dataNodes of each table in order.
	nodes  map[string][]string
	tables []string
}

const mycatConfig = "../importer/testdata/mycat"

var mycatTable = regexp.MustCompile(`<table name="([^"]*)"[^>]*dataNode="([^"]*)"`)

func newMycatLayout(t *testing.T, s *serverSet) *mycatLayout {
	m := &mycatLayout{clusters: s.Clusters(t), plain: oneConn(t, openDB(t, s.Plain(t).Addr(), "")), nodes: map[string][]string{}}
	for _, name := range []string{"schema.xml", "more-tables.xml"} {
		text, err := os.ReadFile(filepath.Join(mycatConfig, name))
		require.NoError(t, err)
		for _, table := range mycatTable.FindAllStringSubmatch(string(text), -1) {
			for name := range strings.SplitSeq(table[1], ",") {
				m.nodes[name] = dataNodes(t, table[2])
			}
		}
	}
	m.nodes["t_item"] = m.nodes["t_mod"]
	m.nodes["t_dealt"] = []string{"dn0", "dn16", "dn1", "dn17", "dn2"} // dealt round the hosts
	m.nodes["t_sub"] = []string{"dn4.t_sub_1", "dn4.t_sub_2", "dn4.t_sub_3", "dn4.t_sub_x"}
	drop := func() {
		for i := range 31 {
			require.NoError(t, m.cluster(i).Primary.Exec(context.Background(), fmt.Sprintf("DROP DATABASE IF EXISTS db%d", i)))
		}
		dropSchema(t, m.clusters, "TESTDB")
	}
	drop()
	t.Cleanup(drop)
	for i := range 31 {
		require.NoError(t, m.cluster(i).Primary.Exec(t.Context(), fmt.Sprintf("CREATE DATABASE db%d CHARACTER SET utf8mb4", i)))
	}
	mustExec(t, m.plain, "DROP DATABASE IF EXISTS mycat", "CREATE DATABASE mycat CHARACTER SET utf8mb4", "USE mycat")
	return m
}

// dataNodes expands dn0,dn$1-3.
func dataNodes(t *testing.T, text string) []string {
	var out []string
	for part := range strings.SplitSeq(strings.ReplaceAll(text, "&all;", "dn$0-30"), ",") {
		prefix, span, ok := strings.Cut(part, "$")
		if !ok {
			out = append(out, part)
			continue
		}
		var from, to int
		_, err := fmt.Sscanf(strings.TrimSuffix(span, ")"), "%d-%d", &from, &to)
		require.NoError(t, err)
		for i := from; i <= to; i++ {
			out = append(out, prefix+strconv.Itoa(i))
		}
	}
	return out
}

// cluster has database number i.
func (m *mycatLayout) cluster(i int) *mysqlproc.Cluster {
	if i < 16 {
		return m.clusters[0]
	}
	return m.clusters[1]
}

// on runs statements in a dataNode's database.
func (m *mycatLayout) on(t *testing.T, node string, statements ...string) {
	t.Helper()
	i, err := strconv.Atoi(strings.TrimPrefix(node, "dn"))
	require.NoError(t, err)
	c := oneConn(t, m.cluster(i).Primary.DB())
	defer c.Close() //nolint:errcheck // it goes back to the pool
	mustExec(t, c, fmt.Sprintf("USE db%d", i))
	mustExec(t, c, statements...)
}

// keyTypes are the keys' types of tables whose keys are not BIGINT.
var keyTypes = map[string]string{
	"t_string": "VARCHAR(64) COLLATE utf8mb4_general_ci", "t_murmur": "VARCHAR(64) COLLATE utf8mb4_bin", "t_slot": "VARCHAR(64) COLLATE utf8mb4_general_ci",
	"t_province": "VARCHAR(64) COLLATE utf8mb4_bin", "t_jump": "VARCHAR(64) COLLATE utf8mb4_bin", "t_prefix": "VARCHAR(64) COLLATE utf8mb4_general_ci", "t_substring": "VARCHAR(64) COLLATE utf8mb4_bin",
	"t_day": "DATE", "t_natural_day": "DATE", "t_month": "DATE", "t_month_cycle": "DATE", "t_history": "DATE",
	"t_day_cycle": "DATETIME", "t_calendar": "DATETIME", "t_range_date": "DATETIME",
}

// fill creates the tables and puts each row where Mycat would, and all of them
// into one plain server; it gives the keys of each table as SQL.
func (m *mycatLayout) fill(t *testing.T) map[string][]string {
	text, err := os.ReadFile("../importer/testdata/mycat-rows.txt")
	require.NoError(t, err)
	keys, at := map[string][]string{}, map[string][]string{} // at: table@node
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, f, 3)
		if keys[f[0]] == nil {
			m.tables = append(m.tables, f[0])
		}
		key := "'" + f[2] + "'"
		keys[f[0]] = append(keys[f[0]], key)
		at[f[0]+"@"+f[1]] = append(at[f[0]+"@"+f[1]], key)
	}
	statements := map[string][]string{} // by dataNode
	for _, table := range append(append([]string(nil), m.tables...), "t_country", "t_whole") {
		column, kind := "k", keyTypes[table]
		if table == "t_item" {
			column = "parent_k"
		}
		if kind == "" {
			kind = "BIGINT"
		}
		body := fmt.Sprintf(" (id BIGINT NOT NULL AUTO_INCREMENT, %s %s, v INT, KEY (id), KEY (%s)) CHARACTER SET utf8mb4", column, kind, column)
		if table == "t_slot" { // whose rows are moved
			body = strings.NewReplacer("KEY (id), ", "PRIMARY KEY (id, k), ").Replace(body)
		}
		mustExec(t, m.plain, "CREATE TABLE "+table+body)
		for i, node := range m.nodes[table] {
			node, name, ok := strings.Cut(node, ".")
			if !ok {
				name = table
			}
			statements[node] = append(statements[node], "CREATE TABLE "+name+body)
			if rows := at[table+"@"+strconv.Itoa(i)]; len(rows) > 0 {
				values := fmt.Sprintf(" (%s, v) VALUES (%s, 1)", column, strings.Join(rows, ", 1), ("))
				statements[node] = append(statements[node], "INSERT INTO "+name+values)
				mustExec(t, m.plain, "INSERT INTO "+table+values)
			}
		}
	}
	for node, list := range statements {
		m.on(t, node, list...)
	}
	return keys
}

// serve imports the configuration with the set's addresses, and starts Serval.
func (m *mycatLayout) serve(t *testing.T) (string, *serval) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(mycatConfig)))
	c0, c1 := m.clusters[0], m.clusters[1]
	listen, admin := freeAddr(t), freeAddr(t)
	_, port, _ := strings.Cut(listen, ":")
	change := strings.NewReplacer("192.168.0.1:3306", c0.Primary.Addr(), "192.168.0.2:3306", c0.Replicas[0].Addr(),
		"192.168.1.1:3306", c1.Primary.Addr(), "192.168.1.2:3306", c1.Replicas[0].Addr(),
		`<writeHost host="hostM2" url="192.168.0.3:3306" user="mycat" password="p4ss&amp;word" />`, "",
		`user="mycat" password="p4ss&amp;word"`, fmt.Sprintf(`user="%s" password="%s"`, mysqlproc.BackendUser, mysqlproc.BackendPassword),
		`<property name="serverPort">8066</property>`, `<property name="bindIp">127.0.0.1</property><property name="serverPort">`+port+`</property>`)
	for _, name := range []string{"schema.xml", "server.xml"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(change.Replace(string(text))), 0o600))
	}
	cmd := exec.CommandContext(t.Context(), binary, "import", "mycat", dir, "--time-zone", "Asia/Shanghai")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	file := filepath.Join(dir, "serval.yaml")
	require.NoError(t, os.WriteFile(file, append([]byte("admin: "+admin+"\n"), text...), 0o600))
	return file, startProgram(t, binary, []string{mycatEnv}, listen, admin, "-c", file)
}

// mycatEnv is the password that server.xml has encrypted.
const mycatEnv = "SERVAL_PASSWORD_HIDDEN=x"

func (m *mycatLayout) check(file string) (string, error) {
	cmd := exec.Command(binary, "check", "-c", file, "--live", "--placement")
	cmd.Env = append(os.Environ(), mycatEnv)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// compare has each key found, and ranges, as on the plain server.
func (m *mycatLayout) compare(t *testing.T, c *sql.Conn, table string, keys []string) {
	column := "k"
	if table == "t_item" {
		column = "parent_k"
	}
	where := []string{"TRUE", column + " IS NOT NULL"}
	for i, k := range keys {
		where = append(where, column+" = "+k)
		if i%5 == 0 {
			other := keys[(i*7+3)%len(keys)]
			where = append(where, column+" > "+k, fmt.Sprintf("%s BETWEEN %s AND %s", column, k, other), fmt.Sprintf("%s IN (%s, %s)", column, k, other))
		}
	}
	for _, w := range where {
		q := fmt.Sprintf("SELECT COUNT(*), COALESCE(MIN(%s), ''), COALESCE(MAX(HEX(%s)), '') FROM %s WHERE %s", column, column, table, w)
		want, got := observe(t.Context(), m.plain, mode{sql: q}), observe(t.Context(), c, mode{sql: q})
		if diff := compare(q, want, got); diff != "" {
			t.Errorf("%s\n%s", q, diff)
		}
	}
	for _, q := range []string{"SELECT COUNT(*) n FROM %[1]s GROUP BY %[2]s ORDER BY n, MIN(HEX(%[2]s))", "SELECT COUNT(DISTINCT %[2]s) FROM %[1]s",
		"SELECT COUNT(*) FROM %[1]s a JOIN %[1]s b ON a.%[2]s = b.%[2]s", "SELECT COUNT(*) FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s b WHERE b.v = 1)"} {
		q = fmt.Sprintf(q, table, column)
		want, got := observe(t.Context(), m.plain, mode{sql: q}), observe(t.Context(), c, mode{sql: q})
		if diff := compare(q, want, got); diff != "" {
			t.Errorf("%s\n%s", q, diff)
		}
	}
}
