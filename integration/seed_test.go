package integration

import (
	"database/sql"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// seedCount is how many rows each table of the oracle gets: enough for every
// shard to have some, few enough to compare whole tables often.
const seedCount = 48

// seedColumn is what the seeds must know of a column.
type seedColumn struct {
	name, dataType, columnType, collation string
	nullable, unique                      bool
	length                                int64
}

// seedStatement makes one INSERT of rows for any table, from what the plain
// server tells of its columns; the same rows every time. Values are chosen to
// meet each other (small numbers for everything called *_id) and to be
// difficult: NULLs, ties, negative numbers, case, accents, trailing spaces.
func seedStatement(t *testing.T, plain *sql.Conn, schema, table string) string {
	t.Helper()
	columns, keys := seedColumns(t, plain, schema, table)
	h := fnv.New64a()
	_, _ = h.Write([]byte(table)) // never fails
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	taken := make([]map[string]bool, len(keys))
	for i := range taken {
		taken[i] = map[string]bool{}
	}
	var names, rows []string
	for _, c := range columns {
		names = append(names, "`"+c.name+"`")
	}
	for try := 0; len(rows) < seedCount && try < 50*seedCount; try++ {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = seedValue(r, c, len(rows))
		}
		if fresh(columns, keys, row, taken) {
			rows = append(rows, "("+strings.Join(row, ", ")+")")
		}
	}
	require.NotEmpty(t, rows, "no rows could be made for %s", table)
	return fmt.Sprintf("INSERT INTO %s.`%s` (%s) VALUES\n%s", schema, table, strings.Join(names, ", "), strings.Join(rows, ",\n"))
}

// fresh reports whether row breaks no unique key, and remembers it.
func fresh(columns []seedColumn, keys [][]string, row []string, taken []map[string]bool) bool {
	texts := make([]string, len(keys))
	for i, key := range keys {
		var part []string
		for _, name := range key {
			for j, c := range columns {
				if c.name == name {
					// Stricter than any collation: case, accents and spaces don't make values differ.
					part = append(part, folded.Replace(strings.ToLower(row[j])))
				}
			}
		}
		texts[i] = strings.Join(part, "|")
		if taken[i][texts[i]] {
			return false
		}
	}
	for i := range keys {
		taken[i][texts[i]] = true
	}
	return true
}

func seedColumns(t *testing.T, plain *sql.Conn, schema, table string) (columns []seedColumn, keys [][]string) {
	t.Helper()
	rows, err := plain.QueryContext(t.Context(), `SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(COLLATION_NAME, ''), IS_NULLABLE = 'YES',
		COALESCE(CHARACTER_MAXIMUM_LENGTH, 0) FROM information_schema.COLUMNS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COALESCE(GENERATION_EXPRESSION, '') = ''
		ORDER BY ORDINAL_POSITION`, schema, table)
	require.NoError(t, err)
	for rows.Next() {
		var c seedColumn
		require.NoError(t, rows.Scan(&c.name, &c.dataType, &c.columnType, &c.collation, &c.nullable, &c.length))
		columns = append(columns, c)
	}
	require.NoError(t, rows.Err())
	rows, err = plain.QueryContext(t.Context(), `SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX`, schema, table)
	require.NoError(t, err)
	last := ""
	for rows.Next() {
		var index, name string
		require.NoError(t, rows.Scan(&index, &name))
		if index != last {
			keys, last = append(keys, nil), index
		}
		keys[len(keys)-1] = append(keys[len(keys)-1], name)
	}
	require.NoError(t, rows.Err())
	for i, c := range columns {
		for _, key := range keys {
			if len(key) == 1 && key[0] == c.name {
				columns[i].unique = true
			}
		}
	}
	return columns, keys
}

var seedWords = []string{"alpha", "Alpha", "beta", "Beta ", "gamma", "ärger", "Arger", "zoë", "ZOE", "", "x", "new", "paid", "shipped", "DE", "fr", "日本", "a'b", `back\\slash`, "100%"}

var folded = strings.NewReplacer(" ", "", "ä", "a", "ë", "e", "ß", "ss")

// seedCode is a unique code of two letters, the well-known ones first.
func seedCode(row int) string {
	known := []string{"DE", "FR", "US", "CN", "JP", "BR"}
	if row < len(known) {
		return known[row]
	}
	return string([]byte{'q' + byte(row/26), 'a' + byte(row%26)})
}

// seedValue is one literal.
func seedValue(r *rand.Rand, c seedColumn, row int) string {
	if c.nullable && r.IntN(6) == 0 {
		return "NULL"
	}
	switch c.dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return seedInteger(r, c, row)
	case "decimal":
		if strings.Contains(c.columnType, "unsigned") {
			return fmt.Sprintf("'%d.%02d'", r.IntN(50), r.IntN(100))
		}
		return fmt.Sprintf("'%d.%02d'", r.IntN(60)-10, r.IntN(100))
	case "float", "double":
		return fmt.Sprintf("%d.%d", r.IntN(20), 25*r.IntN(4)) // exact in binary
	case "date":
		return fmt.Sprintf("'2026-%02d-%02d'", 9+r.IntN(4), 1+r.IntN(28))
	case "datetime", "timestamp":
		return fmt.Sprintf("'2026-%02d-%02d %02d:%02d:%02d'", 9+r.IntN(4), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	case "time":
		return fmt.Sprintf("'%02d:%02d:%02d'", r.IntN(24), r.IntN(60), r.IntN(60))
	case "year":
		return fmt.Sprint(2020 + r.IntN(8))
	case "enum", "set":
		members := stringLiteral.FindAllString(c.columnType, -1)
		return members[r.IntN(len(members))]
	case "json":
		return fmt.Sprintf(`'{"n": %d, "s": "%d"}'`, r.IntN(5), r.IntN(5))
	case "bit":
		return fmt.Sprint(r.IntN(2))
	case "binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob":
		return fmt.Sprintf("x'%02x%02x'", r.IntN(256), r.IntN(256))
	}
	word := seedWords[r.IntN(len(seedWords))]
	if c.unique {
		word = seedCode(row)
	}
	if c.length > 0 && int64(len([]rune(word))) > c.length {
		word = string([]rune(word)[:c.length])
	}
	if strings.HasPrefix(c.collation, "ascii") || strings.HasPrefix(c.collation, "latin1") {
		word = strings.Map(func(x rune) rune {
			if x > 127 {
				return 'q'
			}
			return x
		}, word)
	}
	return "'" + strings.ReplaceAll(word, "'", "''") + "'"
}

func seedInteger(r *rand.Rand, c seedColumn, row int) string {
	switch {
	case c.unique:
		return fmt.Sprint(row + 1)
	case strings.HasSuffix(c.name, "id"):
		return fmt.Sprint(1 + r.IntN(seedCount))
	case c.dataType == "tinyint":
		return fmt.Sprint(r.IntN(5))
	case strings.Contains(c.columnType, "unsigned"):
		return fmt.Sprint(r.IntN(20))
	}
	return fmt.Sprint(r.IntN(30) - 8)
}
