package reshard

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
	"github.com/servaldb/serval/shardrule"
)

// Members of a JSON value keep their types, which its text does not tell: by the copy
// and by changes that are followed; and a comparison sees where one has another.
func TestJSONArrivesExactly(t *testing.T) {
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		bigint := shardrule.Column{Name: "id", Type: shardrule.TypeInt, Bits: 64, SQLType: "bigint"}
		l := s.layout(t, move{name: "t", columns: "(id BIGINT NOT NULL PRIMARY KEY, j JSON, de DECIMAL(20,4), ts TIMESTAMP(3) NULL, n INT)", key: []string{"id"},
			from: home("t"), to: spread("t", "b", 2, bigint)})
		mysql := strings.HasSuffix(t.Name(), "/"+mysqlproc.MySQL.String())
		values := []string{
			"'{\"b\": [1, 2.5, null, \"x\", -0.0, 1e300, {}], \"a\": \"2020-01-02\", \"\": [[]]}'", "NULL", "'null'", "'\"text\\\\n\"'", "'7'",
			"JSON_OBJECT('p', de, 'q', 1.10, 'd', 1.10e0, 'i', 5, 's', '1.10')", "JSON_ARRAY(JSON_ARRAY(1.1, JSON_OBJECT('k', JSON_ARRAY(2.20, TRUE, NULL))), 3.3, 18446744073709551615)",
			"JSON_SET('{\"a\": [1, {\"b\": 2}], \"ü\\\\\"''\": \"😀\"}', '$.a[1].c', -9.90, '$.n', NOW())", "JSON_OBJECT('i', CAST(12345.67 AS DECIMAL(30,2)), 'z', 0.00, 'm', -0.5, 'large', 12345678901234567890123456789.5)",
		}
		if mysql {
			values = append(values, "CAST(1.10 AS JSON)", "CAST(CAST(5 AS UNSIGNED) AS JSON)", "CAST(CAST(7 AS DECIMAL(5,0)) AS JSON)", "CAST(NOW(6) AS JSON)",
				"JSON_OBJECT('d', CAST('2020-01-02 03:04:05.6' AS DATETIME(6)), 'da', DATE'2020-01-02', 'ti', TIME'-838:59:59', 'u', CAST(5 AS UNSIGNED), 'bl', x'00ff275c', 'long', REPEAT(x'00ff', 50), 'ts', ts)",
				"JSON_ARRAY(CAST(REPEAT(x'00ff', 40000) AS BINARY(80000)), REPEAT('ü', 100000), 1.5)", "CAST(CONCAT(REPEAT('[', 100), '1.5', REPEAT(']', 100)) AS JSON)")
		}
		insert := func(from int) {
			for i, v := range values {
				s.alone(t, "c0", "SET NAMES utf8mb4", "SET time_zone = '+03:00'", "SET sql_mode = ''",
					"INSERT INTO d.t (id, de, ts) VALUES ("+strconv.Itoa(from+i)+", 9.99, '2026-11-24 01:02:03.456')", "UPDATE d.t SET j = "+v+" WHERE id = "+strconv.Itoa(from+i))
			}
		}
		insert(0)
		r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
		r.copyDone(t)
		insert(100)
		s.exec(t, "c0", "UPDATE d.t SET j = JSON_SET(j, '$.changed', 4.50), n = 1 WHERE id > 100 AND JSON_TYPE(j) = 'OBJECT'")
		r.caughtUp(t)
		all := "id, de, ts, n, SHA2(CAST(j AS CHAR), 256) j, LENGTH(j) l"
		if mysql {
			all += ", SHA2(CAST((SELECT JSON_ARRAYAGG(JSON_TYPE(v)) FROM JSON_TABLE(JSON_EXTRACT(j, '$', '$**[*]', '$**.*'), '$[*]' COLUMNS (v JSON PATH '$')) x) AS CHAR), 256) types"
		}
		require.Equal(t, 2*len(values), s.sameRows(t, l, all))
		r.verified(t)
		if !mysql {
			return
		}
		for i, c := range []string{"c0", "c1"} { // an UPDATE writes nothing where values are equal as numbers
			name := "b_" + strconv.Itoa(i)
			s.exec(t, c, "CREATE TABLE "+name+".texts AS SELECT id, CAST(j AS CHAR) t FROM "+name+".serval_new_t", "UPDATE "+name+".serval_new_t SET j = NULL",
				"UPDATE "+name+".serval_new_t x JOIN "+name+".texts USING (id) SET x.j = t")
		}
		bad, err := r.Verify(t.Context(), VerifyOptions{})
		require.NoError(t, err)
		require.Len(t, bad.Differing, 2*(len(values)-6), "all whose text does not say everything")
		mended, err := r.Verify(t.Context(), VerifyOptions{Repair: true})
		require.NoError(t, err)
		require.Empty(t, mended.Differing)
		s.sameRows(t, l, all)

		// What no expression gives stops the job, with the row.
		s.exec(t, "c0", "CREATE TABLE d.bits (b BIT(3))", "INSERT INTO d.bits VALUES (5)", "UPDATE d.t SET j = (SELECT JSON_ARRAY(b) FROM d.bits) WHERE id = 3")
		err = <-r.done
		require.ErrorContains(t, err, "primary key (3), column j")
		require.ErrorContains(t, err, `type "BIT"`)
	})
}
