package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/parser"
)

// shown is a LOAD DATA as it was read.
func shown(l *loadText) string {
	var targets, sets []string
	for _, t := range l.targets {
		targets = append(targets, map[bool]string{true: "@"}[t.variable]+t.name)
	}
	for _, s := range l.sets {
		sets = append(sets, s.column+"="+l.source[s.tokens[0].Start:s.tokens[len(s.tokens)-1].End])
	}
	f := l.format
	return fmt.Sprintf("%q into %s.%s replace=%v charset=%q fields=%q enclosed=%d escaped=%d start=%q lines=%q skip=%d (%s) set %s",
		l.file, l.schema, l.table, l.replace, l.charset, f.Fields, f.Enclosed, f.Escaped, f.Start, f.Lines, l.skip, strings.Join(targets, ","), strings.Join(sets, ";"))
}

func TestReadLoad(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		mode             parser.Mode
	}{
		{name: "nothing said", text: "LOAD DATA LOCAL INFILE 'a\\\\b.txt' INTO TABLE t",
			want: `"a\\b.txt" into .t replace=false charset="" fields="\t" enclosed=-1 escaped=92 start="" lines="\n" skip=0 () set `},
		{name: "everything said", text: "LOAD DATA LOW_PRIORITY LOCAL INFILE 'f' REPLACE INTO TABLE `s`.`t` CHARACTER SET 'latin1' FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '!' " +
			"LINES STARTING BY '>' TERMINATED BY '\\r\\n' IGNORE 2 ROWS (a, @B, `c`) SET d = f(@b, (SELECT 1)), e = now()",
			want: `"f" into s.t replace=true charset="latin1" fields="," enclosed=34 escaped=33 start=">" lines="\r\n" skip=2 (a,@b,c) set d=f(@b, (SELECT 1));e=now()`},
		{name: "bytes", text: "LOAD DATA CONCURRENT LOCAL INFILE 'f' IGNORE INTO TABLE t COLUMNS TERMINATED BY 0x2c ENCLOSED BY x'22' LINES TERMINATED BY b'1010' ()",
			want: `"f" into .t replace=false charset="" fields="," enclosed=34 escaped=92 start="" lines="\n" skip=0 () set `},
		{name: "no escapes by the mode", text: "LOAD DATA LOCAL INFILE 'a\\b' INTO TABLE t", mode: parser.NoBackslashEscapes,
			want: `"a\\b" into .t replace=false charset="" fields="\t" enclosed=-1 escaped=-1 start="" lines="\n" skip=0 () set `},
		{name: "a partition", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t PARTITION (p0)", want: "Serval refuses LOAD DATA LOCAL with PARTITION"},
		{name: "fixed lengths", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t FIELDS TERMINATED BY ''", want: "Serval refuses LOAD DATA LOCAL of fields with fixed lengths"},
		{name: "an assigned variable", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t (a) SET b = @x := 1", want: "Serval refuses LOAD DATA LOCAL with SET b = … :="},
		{name: "an open list", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t (a", want: "error in your SQL syntax"},
		{name: "no file", text: "LOAD DATA LOCAL INFILE INTO TABLE t", want: "error in your SQL syntax near 'INTO TABLE t'"},
		{name: "words behind it", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t WHERE 1", want: "error in your SQL syntax near 'WHERE 1'"},
		{name: "an empty assignment", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t (a) SET b =", want: "error in your SQL syntax"},
		{name: "IGNORE without a number", text: "LOAD DATA LOCAL INFILE 'f' INTO TABLE t IGNORE x LINES", want: "error in your SQL syntax near 'x LINES'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tokens := scan(c.text, c.mode)
			require.True(t, isLoadLocal(tokens))
			l, err := readLoad(c.text, tokens, c.mode)
			if err != nil {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.Equal(t, c.want, shown(l))
		})
	}
	require.False(t, isLoadLocal(scan("LOAD DATA INFILE 'LOCAL' INTO TABLE local", 0)))
	require.False(t, isLoadLocal(scan("LOAD XML LOCAL INFILE 'f' INTO TABLE t", 0)))
}
