package shardrule

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConstraintNames(t *testing.T) {
	for _, c := range []struct{ name, on string }{
		{"positive", "positive_3"},
		{"positive_3", "positive_3_3"},
		{"orders_chk_1", "orders_3_chk_1"},
		{"orders_ibfk_12", "orders_3_ibfk_12"},
		{"users_chk_1", "users_chk_1_3"}, // the client's own
		{"CONSTRAINT_1", "CONSTRAINT_1"},
		{"we`ird", "we`ird_3"},
	} {
		require.Equal(t, c.on, ShardConstraint(c.name, "orders", "orders_3"))
		require.Equal(t, c.name, LogicalConstraint(c.on, "orders", "orders_3"))
		require.Equal(t, c.name, ShardConstraint(c.name, "orders", "orders"), "a table of its own name keeps them")
	}
	require.Equal(t, "CONSTRAINT_3", LogicalConstraint("CONSTRAINT_3", "orders", "orders_3"))
	require.Equal(t, "by_hand", LogicalConstraint("by_hand", "orders", "orders_3"))
}

func TestDefinitionsOfShards(t *testing.T) {
	logical := "CREATE TABLE `orders` (\n  `id` bigint NOT NULL COMMENT 'CONSTRAINT `x_3` CHECK',\n  KEY `of_user` (`id`),\n  KEY `k_3` (`id`),\n" +
		"  CONSTRAINT `of_user` FOREIGN KEY (`id`) REFERENCES `users` (`id`),\n  CONSTRAINT `positive` CHECK ((`id` > 0)),\n  CONSTRAINT `orders_chk_1` CHECK ((`id` > 1))\n) ENGINE=InnoDB"
	shard := "CREATE TABLE `orders` (\n  `id` bigint NOT NULL COMMENT 'CONSTRAINT `x_3` CHECK',\n  KEY `of_user_3` (`id`),\n  KEY `k_3` (`id`),\n" +
		"  CONSTRAINT `of_user_3` FOREIGN KEY (`id`) REFERENCES `users_3` (`id`),\n  CONSTRAINT `positive_3` CHECK ((`id` > 0)),\n  CONSTRAINT `orders_3_chk_1` CHECK ((`id` > 1))\n) ENGINE=InnoDB"
	require.Equal(t, shard, ShardDefinition(logical, "orders", "orders_3"))
	require.Equal(t, logical, LogicalDefinition(shard, "orders", "orders_3"))
	require.Equal(t, logical, LogicalDefinition(logical, "orders", "orders"))
	require.Equal(t, "DROP FOREIGN KEY `of_user_3`, ADD CONSTRAINT `of_user_3` FOREIGN KEY (`id`) REFERENCES `users_3` (`id`)",
		ShardClause("DROP FOREIGN KEY `of_user`, ADD CONSTRAINT `of_user` FOREIGN KEY (`id`) REFERENCES `users` (`id`)", "orders", "orders_3"))
	require.Equal(t, "Check constraint 'positive' is violated.", LogicalMessage("Check constraint 'positive_3' is violated.", "orders", "orders_3"))
	require.Equal(t, "(`shop`.`orders`, CONSTRAINT `of_user` FOREIGN KEY (`id`) REFERENCES `users` (`id`))",
		LogicalMessage("(`shop`.`orders`, CONSTRAINT `of_user_3` FOREIGN KEY (`id`) REFERENCES `users_3` (`id`))", "orders", "orders_3"))
}
