package reshard

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// Whatever form a server's binlog has, the keys are in it.
func TestStreamReadsEveryFormOfTheBinlog(t *testing.T) {
	forms := map[mysqlproc.Engine][]string{
		mysqlproc.MySQL: {"SET binlog_row_image = 'MINIMAL'", "SET binlog_row_image = 'NOBLOB'", "SET binlog_row_value_options = 'PARTIAL_JSON'",
			"SET binlog_transaction_compression = ON", "SET GLOBAL binlog_row_metadata = 'FULL'", "SET GLOBAL binlog_checksum = 'NONE'"},
		mysqlproc.MariaDB: {"SET binlog_row_image = 'MINIMAL'", "SET binlog_row_image = 'NOBLOB'", "SET GLOBAL log_bin_compress = ON",
			"SET GLOBAL binlog_row_metadata = 'FULL'", "SET GLOBAL binlog_checksum = 'NONE'"},
	}
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		columns := "(j JSON, b LONGBLOB, k VARCHAR(20) NOT NULL, n INT, j2 JSON, id BIGINT NOT NULL, PRIMARY KEY (k, id))"
		l := s.layout(t, move{name: "t", columns: columns, key: []string{"k", "id"}, from: home("t"), to: spread("t", "b", 2, intColumn("id"))})
		r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
		r.copyDone(t)
		for _, form := range append([]string{"DO 0"}, forms[s.primary("c0").Engine()]...) {
			s.alone(t, "c0", form, "DELETE FROM d.t",
				`INSERT INTO d.t (j, b, k, n, j2, id) VALUES ('{"a": 1, "b": [1, 2]}', REPEAT('x', 100000), 'ä', 1, '{"c": "some text that is long enough"}', 1), (NULL, NULL, 'b', NULL, NULL, 2)`,
				`INSERT INTO d.t (k, id, b) VALUES ('c', 3, REPEAT('yz', 30000)), ('d', 4, '')`,
				`UPDATE d.t SET j = JSON_SET(j, '$.a', 7), j2 = JSON_SET(j2, '$.c', 'other text that is long enough'), n = 5`,
				`UPDATE d.t SET j = JSON_REMOVE(j, '$.b') WHERE id = 1`, `UPDATE d.t SET k = CONCAT(k, '2'), n = 6 WHERE id < 3`, `UPDATE d.t SET id = 44 WHERE id = 4`, `DELETE FROM d.t WHERE id = 3`)
			r.caughtUp(t)
			require.Equal(t, 3, s.sameRows(t, l, "k, id, n, j, j2, SHA2(b, 256)"), form)
		}
	})
}
