package advise

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogsOfEveryKindAreRead(t *testing.T) {
	cases := map[string]struct {
		log  string
		want []Event
	}{
		"MySQL's slow log": {
			"/usr/sbin/mysqld, Version: 9.7.0 (MySQL). started with:\nTcp port: 3306  Unix socket: /tmp/mysql.sock\nTime                 Id Command    Argument\n" +
				"# Time: 2026-11-23T18:20:30.123456Z\n# User@Host: app[app] @ localhost [127.0.0.1]  Id:    12\n" +
				"# Query_time: 0.250000  Lock_time: 0.000002 Rows_sent: 1  Rows_examined: 1\nuse shop;\nSET timestamp=1700000000;\nSELECT *\nFROM orders\n WHERE id = 7;\n" +
				"# Time: 2026-11-23T18:20:31.123456Z\n# User@Host: app[app] @ localhost [127.0.0.1]  Id:    12\n# Query_time: 0.5 Lock_time: 0\nSET timestamp=1700000001;\nCOMMIT;\n" +
				"# Time: 2026-11-23T18:20:32.123456Z\n# User@Host: app[app] @ localhost [127.0.0.1]  Id:    12\n# Query_time: 0.5 Lock_time: 0\nSET timestamp=1700000001;\n# administrator command: Quit;\n",
			[]Event{{12, "shop", "SELECT *\nFROM orders\n WHERE id = 7", 0.25}, {12, "shop", "COMMIT", 0.5}},
		},
		"MariaDB's slow log": {
			"# Time: 261123 18:20:30\n# User@Host: app[app] @ localhost [127.0.0.1]\n# Thread_id: 9  Schema: shop  QC_hit: No\n" +
				"# Query_time: 0.000100  Lock_time: 0.0  Rows_sent: 1  Rows_examined: 1\n# Rows_affected: 0  Bytes_sent: 60\nSET timestamp=1700000000;\nSELECT 1;\n",
			[]Event{{9, "shop", "SELECT 1", 0.0001}},
		},
		"MySQL's general log": {
			"2026-11-23T18:20:30.123456Z\t   12 Connect\tapp@localhost on shop using TCP/IP\n2026-11-23T18:20:30.2Z\t   12 Query\tSELECT\n 1\n" +
				"2026-11-23T18:20:30.3Z\t   13 Query\tSELECT 2\n2026-11-23T18:20:30.3Z\t   12 Init DB\tother\n2026-11-23T18:20:30.3Z\t   12 Prepare\tSELECT ?\n" +
				"2026-11-23T18:20:30.3Z\t   12 Execute\tSELECT 3\n2026-11-23T18:20:30.3Z\t   12 Quit\t\n",
			[]Event{{12, "shop", "SELECT\n 1", 0}, {13, "", "SELECT 2", 0}, {12, "other", "SELECT 3", 0}},
		},
		"MariaDB's general log": {
			"mariadbd, Version: 10.11.14-MariaDB started with:\nTcp port: 3306  Unix socket: /tmp/m.sock\nTime\t\t    Id Command\tArgument\n" +
				"261123 18:20:30\t     5 Connect\tapp@localhost on shop using TCP/IP\n\t\t     5 Query\tSELECT 1\n\t\t     5 Query\tuse other\n261123 18:20:31\t     5 Query\tSELECT 2\n",
			[]Event{{5, "shop", "SELECT 1", 0}, {5, "shop", "use other", 0}, {5, "other", "SELECT 2", 0}},
		},
		"a file of statements": {
			"-- what we ask\nuse shop;\n\nSELECT 1;\nSELECT\n  2;\nSELECT 3",
			[]Event{{0, "shop", "SELECT 1", 0}, {0, "shop", "SELECT\n  2", 0}, {0, "shop", "SELECT 3", 0}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []Event
			require.NoError(t, ReadLog(strings.NewReader(c.log), func(e Event) error { got = append(got, e); return nil }))
			require.Equal(t, c.want, got)
		})
	}
}

func TestALogWithoutStatementsSaysWhatIsWanted(t *testing.T) {
	err := ReadLog(strings.NewReader("\n-- nothing\n"), func(Event) error { return nil })
	require.ErrorContains(t, err, "give a slow log")
	err = ReadLog(strings.NewReader("SELECT 1;\nSELECT 2;"), func(Event) error { return errors.New("enough") })
	require.EqualError(t, err, "statement 1 of the log: enough")
}

func TestOneStatementIsBounded(t *testing.T) {
	var got []Event
	long := "SELECT '" + strings.Repeat("x", 3*maxStatement) + "';\nSELECT 2;"
	require.NoError(t, ReadLog(strings.NewReader(long), func(e Event) error { got = append(got, e); return nil }))
	require.LessOrEqual(t, len(got[0].SQL), maxStatement+(64<<10))
}

func FuzzReadLog(f *testing.F) {
	f.Add("# Time: x\n# User@Host: a[b] @ c [d]  Id: 1\nSELECT 1;\n")
	f.Add("2026-11-23T18:20:30.2Z\t   12 Query\tSELECT\n 1\n")
	f.Fuzz(func(t *testing.T, log string) {
		_ = ReadLog(strings.NewReader(log), func(e Event) error {
			require.NotEmpty(t, e.SQL)
			return nil
		})
	})
}
