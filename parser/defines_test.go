package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADefinitionSaysWhichTablesItChanges(t *testing.T) {
	for sql, want := range map[string][]TableName{
		"CREATE TABLE t (id INT)":                                       {{"", "t"}},
		"CREATE TABLE s.t LIKE u":                                       {{"s", "t"}},
		"CREATE TABLE t AS SELECT * FROM u":                             {{"", "t"}},
		"CREATE TABLE t (id INT, FOREIGN KEY (id) REFERENCES p.u (id))": {{"", "t"}, {"p", "u"}},
		"CREATE TABLE t (id INT REFERENCES u (id))":                     {{"", "t"}, {"", "u"}},
		"CREATE TEMPORARY TABLE t (id INT)":                             nil,
		"ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES u (id)":          {{"", "t"}, {"", "u"}},
		"ALTER TABLE s.t RENAME TO s.u":                                 {{"s", "t"}, {"s", "u"}},
		"ALTER TABLE t ADD COLUMN IF NOT EXISTS (x INET6)":              {{"", "t"}},
		"RENAME TABLE t TO u, v TO t":                                   {{"", "t"}, {"", "u"}, {"", "v"}, {"", "t"}},
		"TRUNCATE t":                                                    {{"", "t"}},
		"DROP TABLE IF EXISTS t, s.u":                                   {{"", "t"}, {"s", "u"}},
		"DROP TEMPORARY TABLE t":                                        nil,
		"DROP VIEW v":                                                   nil,
		"DROP DATABASE IF EXISTS shop":                                  {{"shop", ""}},
		"CREATE UNIQUE INDEX i ON t (a)":                                {{"", "t"}},
		"DROP INDEX i ON t":                                             {{"", "t"}},
		"CREATE VIEW v AS SELECT * FROM t":                              nil,
		"CREATE OR REPLACE VIEW v AS SELECT * FROM t":                   nil,
		"CREATE DATABASE shop":                                          nil,
		"CREATE PROCEDURE p() DELETE FROM t":                            nil,
		"SELECT * FROM t":                                               nil,
		"INSERT INTO t VALUES (1)":                                      nil,
	} {
		st := Parse([]byte(sql), Options{})
		got := st.Defines()
		if len(want) == 0 {
			require.Empty(t, got, sql)
			continue
		}
		require.Equal(t, want, got, "%s (%v)", sql, st.Why)
	}
	trigger := Parse([]byte("CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW SET NEW.a = 1"), Options{})
	require.Contains(t, trigger.Defines(), TableName{"s", "t"}, "with names that may be others'")
}
