package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestINTOIsHiddenFromTheParserOnly(t *testing.T) {
	for sql, vars := range map[string][]string{
		"SELECT a INTO @x FROM t":                           {"x"},
		"SELECT a, b FROM t WHERE c = ? INTO @X, @`y y`":    {"x", "y y"},
		"SELECT a FROM t UNION SELECT b FROM t INTO @'x'":   {"x"},
		"WITH c AS (SELECT ? AS a) SELECT a FROM c INTO @x": {"x"},
	} {
		s := Parse([]byte(sql), Options{})
		require.NotNil(t, s.Node, sql)
		require.Equal(t, sql, s.Text, "what is sent keeps it")
		f := s.Facts()
		require.Equal(t, vars, f.UserVarsSet, sql)
		require.True(t, f.IntoVar, sql)
		_, err := s.Spans()
		require.NoError(t, err, sql)
	}
	for _, sql := range []string{
		"SELECT a INTO @x FROM t INTO @y", "SELECT a INTO x FROM t", "SELECT a INTO @@x FROM t", "SELECT a INTO @x, FROM t",
		"SELECT a INTO @x, y FROM t", "INSERT INTO t SELECT a INTO @x FROM t", "SELECT a INTO @'it''s' FROM t",
	} {
		require.Nil(t, Parse([]byte(sql), Options{}).Node, sql)
	}
}
