package control

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGrants(t *testing.T) {
	rows := func(lines ...string) (out [][][]byte) {
		for _, l := range lines {
			out = append(out, [][]byte{[]byte(l)})
		}
		return out
	}
	g := parseGrants(rows(
		"GRANT PROCESS, REPLICATION CLIENT ON *.* TO `serval`@`%`",
		"GRANT XA_RECOVER_ADMIN ON *.* TO `serval`@`%`",
		"GRANT ALL PRIVILEGES ON `shop\\_%`.* TO `serval`@`%` WITH GRANT OPTION",
		"GRANT SELECT, INSERT ON `serval\\_meta`.* TO `serval`@`%`",
		"GRANT DELETE ON `serval%`.* TO `serval`@`%`",
		"GRANT UPDATE ON `serval_meta`.`decisions` TO `serval`@`%`",
	))
	require.Equal(t, "`serval`@`%`", g.account)
	require.False(t, g.roles)
	for _, c := range []struct {
		privilege, database string
		want                bool
	}{
		{"PROCESS", "", true},
		{"XA_RECOVER_ADMIN", "", true},
		{"SELECT", "", false},
		{"PROCESS", "shop_1", true},
		{"SELECT", "shop_1", true},
		{"SELECT", "shop_12", true},
		{"SELECT", "shopx1", false},
		{"SELECT", "shop", false},
		{"INSERT", "serval_meta", true},
		{"UPDATE", "serval_meta", false},
		{"DELETE", "serval_meta", false}, // the other pattern is more exact
		{"DELETE", "serval_other", true},
	} {
		require.Equal(t, c.want, g.has(c.privilege, c.database), "%s on %q", c.privilege, c.database)
	}
	all := parseGrants(rows("GRANT ALL PRIVILEGES ON *.* TO `a`@`b` IDENTIFIED BY PASSWORD '*94' WITH GRANT OPTION", "GRANT PROXY ON ''@'' TO `a`@`b`"))
	require.Equal(t, "`a`@`b`", all.account)
	require.True(t, all.has("SLAVE MONITOR", ""))
	require.True(t, all.has("TRIGGER", "anything"))
	require.False(t, all.has("XA_RECOVER_ADMIN", ""), "MySQL lists it by its name")
	require.True(t, parseGrants(rows("GRANT USAGE ON *.* TO `a`@`b`", "GRANT `writer`@`%` TO `a`@`b`")).roles)
}
