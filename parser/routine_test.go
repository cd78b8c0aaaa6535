package parser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARoutineEndsBehindItsLastEND(t *testing.T) {
	for _, body := range []string{
		"CREATE FUNCTION f(n INT) RETURNS INT BEGIN INSERT INTO t VALUES (n); RETURN 1; END",
		"CREATE DEFINER = `a`@`b` PROCEDURE p() x: BEGIN IF a THEN SET b = 1; END IF; WHILE c DO SET d = 2; END WHILE; END x",
		"CREATE OR REPLACE TRIGGER t BEFORE INSERT ON s FOR EACH ROW BEGIN CASE a WHEN 1 THEN SET b = 1; ELSE BEGIN END; END CASE; SET c = CASE WHEN d THEN 1 END; END",
		"create procedure p() begin declare end_of int; loop select t.begin, 'END;', `END` from t; end loop; end",
		"CREATE PROCEDURE p() SELECT 1",
		"CREATE TABLE begin_ (a INT)",
	} {
		var l Lexer
		var fp Fingerprint
		require.NoError(t, l.Fingerprint([]byte(body+"; SELECT 2"), 0, &fp))
		require.Equal(t, len(body)+1, fp.End, body)
	}
}

func TestTablesBehindASemicolonOfABodyAreSeen(t *testing.T) {
	s := Parse([]byte("CREATE FUNCTION f() RETURNS INT BEGIN SET @a = 1; RETURN (SELECT MAX(id) FROM hidden); END"), Options{})
	require.Contains(t, s.Tables, TableName{Table: "hidden"})
}
