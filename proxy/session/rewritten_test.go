package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsThatServersSkip(t *testing.T) {
	for text, skipped := range map[string]struct{ mysql, mariadb bool }{
		"/*! SET @x = 1 */":       {},
		"/*!40101 SET @x = 1 */":  {},
		"/*!50700 SET @x = 1 */":  {mariadb: true},
		"/*!80000 SET @x = 1 */":  {mariadb: true},
		"/*!99999 SET @x = 1 */":  {mysql: true, mariadb: true},
		"/*!100100 SET @x = 1 */": {mysql: true},
		"/*!101200 SET @x = 1 */": {mysql: true, mariadb: true},
		"/*M! SET @x = 1 */":      {mysql: true},
		"/*M!100100 SET @x=1 */":  {mysql: true},
		"/*M!100100 SET */ @x=1":  {},
		"SET @x = 1":              {},
		"/* SET */ SET @x = 1":    {},
	} {
		mysql := &Session{deps: Deps{Version: "9.7.4-2"}}
		mariadb := &Session{deps: Deps{Version: "5.5.5-10.11.19-MariaDB-log"}}
		require.Equal(t, skipped.mysql, mysql.skipped([]byte(text)), "MySQL: %s", text)
		require.Equal(t, skipped.mariadb, mariadb.skipped([]byte(text)), "MariaDB: %s", text)
	}
}

func TestServerVersion(t *testing.T) {
	for version, n := range map[string]int{
		"8.4.10": 80410, "9.7.4-2": 90704, "5.5.5-10.11.19-MariaDB-0+deb12u1-log": 101119, "11.8.1": 110801, "": 0, "devel": 0, "8": 0,
	} {
		require.Equal(t, n, serverVersion(version), version)
	}
}
