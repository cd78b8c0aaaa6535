package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// `serval check --live` names what its account lacks on the servers, and the
// GRANTs it prints are enough.
func TestCheckNamesMissingGrants(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "grants")
		t.Cleanup(func() { dropSchema(t, clusters, "grants") })
		p := startServal(t, s, settings{Schema: "grants", Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}"})
		mustExec(t, p.open(t, ""), "CREATE DATABASE grants", "CREATE TABLE grants.t (id BIGINT PRIMARY KEY)")
		for _, c := range clusters {
			mustExec(t, c.Primary.DB(), "CREATE USER poor@'%' IDENTIFIED BY 'p00r'", "GRANT SELECT, INSERT, UPDATE, DELETE ON `grants\\_%`.* TO poor@'%'", "GRANT SELECT ON serval_meta.* TO poor@'%'")
			t.Cleanup(func() { _, _ = c.Primary.DB().Exec("DROP USER poor@'%'") })
		}
		text, err := os.ReadFile(p.Config)
		require.NoError(t, err)
		config := filepath.Join(t.TempDir(), "poor.yaml")
		require.NoError(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "backend: {user: "+mysqlproc.BackendUser+", password: "+mysqlproc.BackendPassword, "backend: {user: poor, password: p00r")), 0o600))

		out, err := runServal("check", "-c", config, "--live")
		require.Error(t, err, out)
		if s.engine == mysqlproc.MySQL {
			require.Contains(t, out, "the backend account lacks XA_RECOVER_ADMIN on *.* of cluster c1: branches of transactions over several clusters that a crash leaves keep their locks; "+
				"run there, as its administrator: GRANT XA_RECOVER_ADMIN ON *.* TO `poor`@`%`")
		}
		require.Contains(t, out, "lacks INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX on `serval_meta`.* of cluster c0")
		require.Contains(t, out, "lacks CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, TRIGGER on `grants_2`.* of cluster c1")
		require.Contains(t, out, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP")
		require.NotContains(t, out, "is missing on cluster")
		for line := range strings.Lines(out) {
			_, sql, found := strings.Cut(strings.TrimSpace(line), "as its administrator: ")
			for _, c := range clusters {
				if found && strings.Contains(line, "of cluster "+c.Name+":") {
					mustExec(t, c.Primary.DB(), sql)
				}
			}
		}
		out, err = runServal("check", "-c", config, "--live")
		require.NoError(t, err, out)
		require.Empty(t, out)
	})
}
