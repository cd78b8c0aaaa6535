package integration

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// loadRules are a table of each kind; p has none.
const loadRules = `h: {shard: hash(a), shards: 4, on: [c0, c1]}
g: {global: true, on: [c0, c1]}
w: {on: c1}
u: {shard: hash(a), shards: 4, on: [c0, c1], unique: [b]}`

// loadCase is a file, the table it goes to and how.
type loadCase struct {
	name, columns, file, options string
	mode                         string // sql_mode, if not the default
	only                         string // kinds of tables, empty for all
	engine                       string
}

var loadCases = []loadCase{
	{name: "missing fields get the type's zero, not the default", columns: "a INT PRIMARY KEY, b INT DEFAULT 5, c VARCHAR(5) DEFAULT 'x', d INT NOT NULL DEFAULT 7, e DATE NOT NULL, f DATE, g ENUM('q','w') NOT NULL, h TIMESTAMP NULL, i DECIMAL(5,2) NOT NULL DEFAULT 1.5, j INT, k YEAR NOT NULL, l TIME NOT NULL, m SET('x') NOT NULL, n BLOB NOT NULL, o BIT(4) NOT NULL",
		file: "1\n2\t3\n"},
	{name: "NULL for NOT NULL columns", columns: "a INT PRIMARY KEY, b INT NOT NULL, c VARCHAR(5) NOT NULL, d DATE NOT NULL, e ENUM('q','w') NOT NULL, g INT DEFAULT 4, k DECIMAL(4,1) NOT NULL, s SET('a','b') NOT NULL, y YEAR NOT NULL, ti TIME NOT NULL, dt DATETIME NOT NULL",
		file: "1" + strings.Repeat("\t\\N", 10) + "\n2" + strings.Repeat("\t\\N", 10)},
	{name: "values that do not fit are bent", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(3), d DATE, e ENUM('q','w'), f DECIMAL(4,1), g TINYINT UNSIGNED",
		file: "1\tabc\tlonger\t2020-02-31\tzz\t12.345\t-5\n2\t\t\t\t\t\t\n4\t12x\tb\t20200101\t1\t1e2\t300\n3\t 7 \tb\t20200101\t2\t1e2\t30\n3\t7\tb\t20200101\t2\t1e2\t30\n"},
	{name: "REPLACE does not bend", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(3)", file: "1\t1\tok\n1\t2\tok\n2\tabc\tlonger\n", options: "REPLACE"},
	{name: "REPLACE in a mode that bends", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(3)", file: "1\t1\tok\n1\t2\tok\n2\tabc\tlonger\n3\n", options: "REPLACE", mode: "NO_ENGINE_SUBSTITUTION"},
	{name: "REPLACE counts what it deletes", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(3)", file: "1\t1\tok\n1\t2\tok\n2\t1\ta\n2\t1\ta\n", options: "REPLACE"},
	{name: "REPLACE of a short line", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(3)", file: "1\t1\n", options: "REPLACE"},
	{name: "REPLACE with NULL for NOT NULL", columns: "a INT PRIMARY KEY, b INT NOT NULL", file: "1\t\\N\n", options: "REPLACE"},
	{name: "REPLACE of a long line", columns: "a INT PRIMARY KEY, b INT NOT NULL", file: "1\t2\t3\n4\t5\n", options: "REPLACE"},
	{name: "duplicates are skipped", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(3)", file: "1\t1\ta\n1\t2\tb\n2\t1\ta\n2\t1\ta"},
	{name: "long lines", columns: "a INT PRIMARY KEY, b INT", file: "1\t1\ta\n3\t2\n2\t1\ta\ta"},
	{name: "columns without a default", columns: "a INT PRIMARY KEY, b INT NOT NULL, c DATE NOT NULL", file: "1\n2\n3\n4\n5\n", options: "(a)"},
	{name: "generated columns are passed over", columns: "a INT PRIMARY KEY, b INT AS (a+1), c INT", file: "1\t9\t3\n2\t\\N\t4\n"},
	{name: "variables and SET", columns: "a INT PRIMARY KEY, b INT, c VARCHAR(20), d INT DEFAULT 6", file: "1\tx\n2\t\\N\n3\n4\t'q\\\\\n", options: "(a,@v) SET c=CONCAT(@v,'!'), b=a*2"},
	{name: "SET with NULL and DEFAULT", columns: "a INT PRIMARY KEY, b INT NOT NULL, c VARCHAR(20), d INT DEFAULT 6", file: "1\tx\n2\t\\N\n3\n", options: "(a,@c) SET b=1, d=DEFAULT, c=UPPER(@c)"},
	{name: "the key computed from the file", columns: "a INT PRIMARY KEY, b INT", file: "1\t5\n2\t6\n", options: "(@k, b) SET a = @k + 100"},
	{name: "bits, JSON and bytes", columns: "a INT PRIMARY KEY, b BIT(8), c JSON, d BLOB", file: "1\t0\t{\"a\": 1}\t\\0\\n\n2\t5\t\\N\tab\xffc\n", options: "CHARACTER SET binary (a, b, @c, d) SET c = CONVERT(@c USING utf8mb4)"},
	{name: "text that is no JSON", columns: "a INT PRIMARY KEY, c JSON", file: "1\t{bad\n2\t[1]\n3\n", engine: "mysql"},
	{name: "a check that fails", columns: "a INT PRIMARY KEY, c INT, CHECK (c>5)", file: "1\t1\n2\t7\n3\t8\n5\t1\n", only: "pgw"},
	{name: "a file in latin1", columns: "a INT PRIMARY KEY, c VARCHAR(10) CHARACTER SET utf8mb4", file: "1\t\xe9\n2\t\xc3\xa9\n", options: "CHARACTER SET latin1"},
	{name: "bytes that are no UTF-8", columns: "a INT PRIMARY KEY, c VARCHAR(10) CHARACTER SET utf8mb4", file: "1\t\xe9\n2\t\xc3\xa9\n3\ta\xf0b\n4\tabc\n", options: "CHARACTER SET utf8mb4", engine: "mysql"},
	{name: "utf8 is utf8mb3", columns: "a INT PRIMARY KEY, c VARCHAR(10) CHARACTER SET utf8mb4", file: "1\t\xc3\xa9\n", options: "CHARACTER SET utf8 (a, @v) SET c = @v", engine: "mariadb"}, // MySQL warns of the word
	{name: "a file of bytes", columns: "a INT PRIMARY KEY, c VARCHAR(10) CHARACTER SET utf8mb4", file: "1\t\xe9\n2\t\xc3\xa9\n", options: "CHARACTER SET binary"},
	{name: "the database's character set", columns: "a INT PRIMARY KEY, c VARCHAR(10) CHARACTER SET utf8mb4", file: "2\t\xc3\xa9\n"},
	{name: "CSV", columns: "a INT PRIMARY KEY, c VARCHAR(30), d VARCHAR(30)", file: "h1,h2,h3\r\n1,\"a \"\"q\"\" b\",\"NULL\"\r\n2,NULL,\"x\r\ny\"\r\n3,\\N,\"\\N\"\r\n4,\"a\"b\",c\r\n5,,\"\"\r\n",
		options: `FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' LINES TERMINATED BY '\r\n' IGNORE 1 LINES`},
	{name: "quotes that escape", columns: "a INT PRIMARY KEY, c VARCHAR(30), d VARCHAR(30)", file: "1,\"a \"\"q\"\" b\",\"NULL\"\n2,NULL,\"x\ny\"\n3,\\N,\"\\N\"", options: `FIELDS TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '"'`},
	{name: "no escapes", columns: "a INT PRIMARY KEY, c VARCHAR(30), d VARCHAR(30)", file: "1,\\N,\\\\\n2,NULL,a\n", options: "FIELDS TERMINATED BY ',' ESCAPED BY ''"},
	{name: "LINES STARTING BY", columns: "a INT PRIMARY KEY, c VARCHAR(30), d VARCHAR(30)", file: "xxx1,abc\nsomething xxx2,def\nxx3,ghi\nxx", options: "FIELDS TERMINATED BY ',' LINES STARTING BY 'xxx'"},
	{name: "fields and lines end alike", columns: "a INT PRIMARY KEY, c VARCHAR(30), d VARCHAR(30)", file: "1,2,3,4,5,6,7", options: "FIELDS TERMINATED BY ',' LINES TERMINATED BY ','"},
	{name: "lines do not end", columns: "a INT PRIMARY KEY, c VARCHAR(30)", file: "1,2,3,4\n5,6\n", options: "FIELDS TERMINATED BY ',' LINES TERMINATED BY ''", only: "pgw"},
	{name: "terminators of several bytes", columns: "a INT PRIMARY KEY, c VARCHAR(30)", file: "1||x|y||\n\r2||\\|\\|z\n\r3|||\n", options: "FIELDS TERMINATED BY '||' LINES TERMINATED BY '\n\r'"},
	{name: "terminators in hexadecimal", columns: "a INT PRIMARY KEY, c VARCHAR(30)", file: "1\x01b\x022\x01c", options: "FIELDS TERMINATED BY x'01' LINES TERMINATED BY 0x02"},
	{name: "an empty file", columns: "a INT PRIMARY KEY", file: ""},
	{name: "a blank line is a row of zeros", columns: "a INT, b INT", file: "1\t2\n\n3\t4\n", only: "pgw"},
	{name: "a column twice", columns: "a INT PRIMARY KEY, b INT", file: "1\t2\n", options: "(a,a)"},
	{name: "an unknown column", columns: "a INT PRIMARY KEY, b INT", file: "1\t2\n", options: "(a,x)", engine: "mysql"},
	{name: "two bytes to enclose", columns: "a INT PRIMARY KEY, b INT", file: "1\t2\n", options: "FIELDS ENCLOSED BY 'ab'"},
	{name: "IGNORE n ROWS", columns: "a INT PRIMARY KEY, b CHAR(3)", file: "x\ny\n1\tb\n", options: "IGNORE 2 ROWS"},
	{name: "IGNORE more than there are", columns: "a INT PRIMARY KEY, b CHAR(3)", file: "x\ny\n1\tb\n", options: "IGNORE 20 ROWS"},
	{name: "only variables", columns: "a INT, b CHAR(3)", file: "1\tb\n2\tc\n", options: "(@x,@v)", only: "pgw"},
	{name: "escapes", columns: "a INT PRIMARY KEY, b VARCHAR(20)", file: "1\ta\\tb\\nc\\0d\\Ze\\bf\\x\\\\\n2\tx\\\ty\n3\ta\\\nb\n4\t\\N \n5\t\\"},
	{name: "numbers that are left out", columns: "a INT AUTO_INCREMENT PRIMARY KEY, b INT", file: "1\n2\n3\n", options: "(b)"},
	{name: "numbers given", columns: "a INT AUTO_INCREMENT PRIMARY KEY, b INT", file: "10\t2\n20\t5\n"},
	{name: "numbers by NULL and 0", columns: "a INT AUTO_INCREMENT PRIMARY KEY, b INT", file: "\\N\t2\n0\t5\n\\N\t7\n", only: "pw"},
	{name: "a key kept over shards", columns: "a INT PRIMARY KEY, b INT UNIQUE, c INT", file: "1\t1\t1\n2\t1\t2\n3\t3\t3\n1\t9\t9\n5\t\\N\t5\n6\t7\t6\n", only: "u"},
	{name: "REPLACE by a key kept over shards", columns: "a INT PRIMARY KEY, b INT UNIQUE, c INT", file: "1\t1\t1\n2\t1\t2\n3\t3\t3\n3\t9\t9\n5\t\\N\t5\n6\t9\t6\n", options: "REPLACE", only: "u"},
	{name: "latin1 in a key kept over shards", columns: "a INT PRIMARY KEY, b VARCHAR(20) CHARACTER SET utf8mb4 UNIQUE", file: "1\t\xe9\n2\t\xc9\n3\tx\n", options: "CHARACTER SET latin1", only: "u"},
	{name: "NO_BACKSLASH_ESCAPES", columns: "a INT PRIMARY KEY, b VARCHAR(20)", file: "1\ta\\b\n2\t\\N\n3\tit's\n", mode: "NO_BACKSLASH_ESCAPES"},
	{name: "zero dates", columns: "a INT PRIMARY KEY, b DATE", file: "1\t0000-00-00\n2\t2020-00-00\n3\t\n"},
	{name: "a foreign character set in a key", columns: "a VARCHAR(20) CHARACTER SET utf8mb4 PRIMARY KEY, b INT", file: "\xe9a\t1\nz\t2\n\xe9A\t3\n", options: "CHARACTER SET latin1"},
}

// A file loaded through Serval leaves what it leaves on one server: rows,
// warnings, counts, LAST_INSERT_ID() and variables.
func TestLoadData(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		plain, proxied := loadSessions(t, s, "ld")
		for i, c := range loadCases {
			if c.only == "" { // global and whole tables take turns: that takes half the time
				c.only = "ph" + []string{"g", "w"}[i%2]
			}
			if c.engine != "" && c.engine != s.engine.String() {
				continue
			}
			for _, table := range []string{"p", "h", "g", "w", "u"} {
				if !strings.Contains(c.only, table) {
					continue
				}
				t.Run(c.name+" into "+table, func(t *testing.T) {
					want, got := loaded(t, plain, table, c), loaded(t, proxied, table, c)
					require.Equal(t, want, got)
				})
			}
		}
	})
}

// loadSessions are a plain server and a Serval that take files.
func loadSessions(t *testing.T, s *serverSet, schema string) (plain, proxied *sql.Conn) {
	t.Helper()
	clusters := s.Clusters(t)
	dropSchema(t, clusters, schema)
	t.Cleanup(func() { dropSchema(t, clusters, schema) })
	p := startServal(t, s, settings{Schema: schema, Tables: loadRules, Extra: "local_infile: true"})
	plain, proxied = oneConn(t, openDB(t, s.Plain(t).Addr(), "")), oneConn(t, p.open(t, ""))
	mustExec(t, plain, "SET GLOBAL local_infile = 1", "DROP DATABASE IF EXISTS "+schema)
	t.Cleanup(func() { _, _ = s.Plain(t).DB().ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+schema) })
	for _, c := range []*sql.Conn{plain, proxied} {
		mustExec(t, c, "CREATE DATABASE "+schema+" CHARACTER SET utf8mb4", "USE "+schema)
	}
	return plain, proxied
}

// reader registers a file and gives its name for LOAD DATA.
func reader(t *testing.T, file string) string {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "'", "")
	mysql.RegisterReaderHandler(name, func() io.Reader { return strings.NewReader(file) })
	t.Cleanup(func() { mysql.DeregisterReaderHandler(name) })
	return "'Reader::" + name + "'"
}

// loaded is what a file leaves, as text.
func loaded(t *testing.T, conn *sql.Conn, table string, c loadCase) string {
	t.Helper()
	mustExec(t, conn, "SET sql_mode = DEFAULT, @v = NULL", "DROP TABLE IF EXISTS "+table, "CREATE TABLE "+table+" ("+c.columns+")")
	if c.mode != "" {
		mustExec(t, conn, "SET sql_mode = '"+c.mode+"'")
	}
	replace, options := "", c.options
	if rest, ok := strings.CutPrefix(options, "REPLACE"); ok {
		replace, options = "REPLACE", rest
	}
	var out strings.Builder
	result, err := conn.ExecContext(t.Context(), "LOAD DATA LOCAL INFILE "+reader(t, c.file)+" "+replace+" INTO TABLE "+table+" "+options)
	if err != nil {
		fmt.Fprintln(&out, "error:", err)
	} else {
		n, _ := result.RowsAffected()
		id, _ := result.LastInsertId()
		fmt.Fprintln(&out, "affected:", n, "id:", id)
	}
	warnings := strings.SplitAfter(rowsText(t, conn, "SHOW WARNINGS"), "\n")
	if err != nil {
		warnings = warnings[:1] // a server tells more about a row that it refused
	}
	const mariadbKeeps = 64
	warnings = warnings[:min(len(warnings), mariadbKeeps)]
	if table == "h" || table == "u" { // what names no row comes shard by shard
		slices.Sort(warnings)
	}
	rows := strings.SplitAfter(rowsText(t, conn, "SELECT * FROM "+table), "\n")
	slices.Sort(rows)
	out.WriteString(strings.Join(warnings, "") + "rows:\n" + strings.Join(rows, ""))
	if err == nil {
		out.WriteString(rowsText(t, conn, "SELECT @v"))
	}
	return out.String()
}

// rowsText is a query's rows, one a line.
func rowsText(t *testing.T, conn *sql.Conn, query string) string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query)
	require.NoError(t, err, query)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var out strings.Builder
	for rows.Next() {
		values, ptrs := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range values {
			ptrs[i] = &values[i]
		}
		require.NoError(t, rows.Scan(ptrs...))
		for i, v := range values {
			if i > 0 {
				out.WriteString(" | ")
			}
			if v == nil {
				out.WriteString("NULL")
				continue
			}
			fmt.Fprintf(&out, "%q", v)
		}
		out.WriteString("\n")
	}
	require.NoError(t, rows.Err())
	return out.String()
}

// Files of any bytes, in any format, leave what they leave on one server.
// SERVAL_RANDOM_SEED and SERVAL_RANDOM_COUNT choose others, or more.
func TestLoadDataRandom(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		plain, proxied := loadSessions(t, s, "ldrandom")
		seed, count := randomSeed(t, 40)
		r := rand.New(rand.NewPCG(seed, 7))
		for i := range count {
			c := randomLoad(r)
			t.Run(fmt.Sprintf("%d of seed %d", i, seed), func(t *testing.T) {
				require.Equal(t, loaded(t, plain, "p", c), loaded(t, proxied, "p", c), "%q %s %s", c.file, c.options, c.mode)
			})
		}
	})
}

// randomLoad is a random file with random options. Terminators that begin alike
// are left out: which is found first is the server's affair.
func randomLoad(r *rand.Rand) loadCase {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	fields, lines := pick(`\t`, ",", "||", ";", "ab"), pick(`\n`, `\r\n`, "|", "x", "")
	c := loadCase{name: "random", columns: "a INT NOT NULL DEFAULT 1, b VARCHAR(6) NOT NULL DEFAULT 'd', c DECIMAL(6,2) DEFAULT 3, d DATE NOT NULL DEFAULT '2020-01-01', e ENUM('x','NULL') NOT NULL DEFAULT 'x', f VARBINARY(4)"}
	var file strings.Builder
	for range r.IntN(60) {
		file.WriteString(pick("1", "22", "-3.5", "a", "x", "NULL", "2026-01-31", "é", "'", " ", "\"", "\"\"", "\\", "\\N", "\\0", "0x41", "1e3",
			strings.NewReplacer(`\t`, "\t").Replace(fields), strings.NewReplacer(`\t`, "\t").Replace(fields), strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(lines), "\n"))
	}
	c.file = file.String()
	c.options = "CHARACTER SET " + pick("utf8mb4", "latin1", "binary") + " FIELDS TERMINATED BY '" + fields + "'"
	if r.IntN(2) == 0 {
		c.options += pick(" OPTIONALLY", "") + ` ENCLOSED BY '"'`
	}
	if r.IntN(3) == 0 {
		c.options += " ESCAPED BY '" + pick("", `"`, "!", "x") + "'"
	}
	c.options += " LINES" + pick("", " STARTING BY '1'") + " TERMINATED BY '" + lines + "'"
	if r.IntN(4) == 0 {
		c.options += " IGNORE 1 LINES"
	}
	c.options += pick("", " (a, b, c, d, e, f)", " (b, a, @v)", " (@v, d, @v, e) SET a = @v IS NULL, b = IFNULL(@v, 'n')", " (a, b, c) SET f = CONCAT(b, 1), e = 'x'")
	if r.IntN(3) == 0 {
		c.options = "REPLACE " + c.options
	}
	c.mode = pick("", "NO_ENGINE_SUBSTITUTION", "NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES")
	return c
}
