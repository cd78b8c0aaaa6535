package merge

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/router/plan"
)

func TestADefinitionIsToldUnderTheTablesOwnName(t *testing.T) {
	const shard = "CREATE TABLE `logs_202609` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `logs_202609_x` int COMMENT '\\n) ENGINE=x AUTO_INCREMENT=9',\n" +
		"  CONSTRAINT `logs_202609_chk_1` CHECK ((`id` > 0))\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='AUTO_INCREMENT=3'"
	for name, c := range map[string]struct {
		next uint64
		want string
	}{
		"the highest number of the shards": {12, "CREATE TABLE `logs` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `logs_202609_x` int COMMENT '\\n) ENGINE=x AUTO_INCREMENT=9',\n" +
			"  CONSTRAINT `logs_chk_1` CHECK ((`id` > 0))\n) ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4 COMMENT='AUTO_INCREMENT=3'"},
	} {
		told := &told{node: &plan.Told{Physical: "logs_202609", Logical: "logs"}, next: c.next}
		require.Equal(t, c.want, told.define(shard), name)
	}
	none := &told{node: &plan.Told{Physical: "t", Logical: "t"}, next: 5}
	require.Equal(t, "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4",
		none.define("CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"), "the first shard has no number yet")
	none.next = 0
	require.Equal(t, "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB", none.define("CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB"))
	start, _, n := autoIncrement(shard)
	require.Equal(t, uint64(7), n)
	require.Positive(t, start)
	start, _, _ = autoIncrement("CREATE VIEW v AS SELECT 1")
	require.Zero(t, start)
}
