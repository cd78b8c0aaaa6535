package integration

import (
	"net"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// COM_CHANGE_USER and COM_RESET_CONNECTION leave nothing of the session before,
// as on one server; the client is a MariaDB library, which pools use.
func TestChangeUser(t *testing.T) {
	if out, err := exec.Command(python(t), "-c", "import ctypes; ctypes.CDLL('libmariadb.so.3')").CombinedOutput(); err != nil {
		t.Skipf("no libmariadb.so.3 here: %s", out)
	}
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "chuser")
		t.Cleanup(func() { dropSchema(t, clusters, "chuser") })
		proxy := startServal(t, s, settings{Schema: "chuser", Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}", Extra: "replicas: {consistency: global}"})
		mustExec(t, proxy.open(t, ""), "CREATE DATABASE chuser", "CREATE TABLE chuser.t (id BIGINT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO chuser.t VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
		_, port, err := net.SplitHostPort(proxy.Addr)
		require.NoError(t, err)
		out, err := exec.CommandContext(t.Context(), python(t), "testdata/changeuser.py", port).CombinedOutput()
		require.NoError(t, err, "%s", out)
		state := `SET @x = 1 -> ok
SET sql_mode = '' -> ok
CREATE TEMPORARY TABLE tmp (id INT) -> ok
SELECT GET_LOCK('changing', 0) -> 1
BEGIN -> ok
UPDATE t SET n = 0 -> ok
`
		require.Equal(t, state+`change user report chuser -> ok
SELECT CURRENT_USER(), DATABASE(), @x, @@sql_mode = '' -> report@% chuser NULL 0
SELECT * FROM tmp -> error 1146 Table 'chuser.tmp' doesn't exist
SELECT IS_FREE_LOCK('changing') -> error 1142 SELECT command denied to user 'report'@'127.0.0.1' for table '': the user is read_only
SELECT SUM(n) FROM t -> 10
UPDATE t SET n = 0 -> error 1142 UPDATE command denied to user 'report'@'127.0.0.1' for table 't': the user is read_only
change user app None -> ok
SELECT CURRENT_USER(), DATABASE() -> app@% NULL
SELECT * FROM t -> error 1046 No database selected
change user app chuser -> ok
`+state+`reset -> 0
SELECT CURRENT_USER(), DATABASE(), @x, @@sql_mode = '' -> app@% chuser NULL 0
SELECT * FROM tmp -> error 1146 Table 'chuser.tmp' doesn't exist
SELECT IS_FREE_LOCK('changing') -> 1
SELECT SUM(n) FROM t -> 10
change user app chuser -> error 1045
then error
change user app not_there_at_all -> error 1044
`, string(out))
	})
}
