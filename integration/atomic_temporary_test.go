package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A temporary table is used in a transaction that has begun on another cluster,
// where its connection takes part as an XA branch.
func TestTemporaryTablesInATransactionOverClusters(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		b := newBank(t, s.Clusters(t), "banktemp")
		p := b.serve(t, binary)
		defer p.stop(t)
		conn := oneConn(t, p.open(t, b.schema))
		x := one(t, b.clusters[0].Primary.DB(), "SELECT MIN(id) FROM banktemp_0.account")
		y := one(t, b.clusters[1].Primary.DB(), "SELECT MIN(id) FROM banktemp_2.account")
		mustExec(t, conn, "CREATE TEMPORARY TABLE tmp (id INT PRIMARY KEY, n INT NOT NULL)", "BEGIN", "UPDATE account SET balance = balance - 7 WHERE id = "+y,
			"INSERT INTO tmp VALUES (1, 7)", "UPDATE account SET balance = balance + 7 WHERE id = "+x, "UPDATE tmp SET n = n + 1", "COMMIT")
		require.Equal(t, "8", one(t, conn, "SELECT n FROM tmp"))
		require.Equal(t, "1007", one(t, conn, "SELECT balance FROM account WHERE id = "+x))
		b.awaitRecovery(t)
	})
}
