package control

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each case is the lines that differ, and what is said of them.
func TestDriftSaysWhatWouldMendItAndWhatWouldLoseSomething(t *testing.T) {
	const id, key = "  `id` bigint NOT NULL", "  PRIMARY KEY (`id`)"
	cases := map[string]struct{ want, have, clauses, loses string }{
		"nothing differs":                 {"  `a` int DEFAULT NULL", "  `a` int DEFAULT NULL", "", ""},
		"a missing column is added":       {"  `a` int DEFAULT NULL", "", "ADD COLUMN `a` int DEFAULT NULL AFTER `id`", "no"},
		"an extra column is named":        {"", "  `a` int DEFAULT NULL", "DROP COLUMN `a`", "yes"},
		"an integer is widened":           {"  `a` bigint DEFAULT NULL", "  `a` int DEFAULT NULL", "MODIFY COLUMN `a` bigint DEFAULT NULL", "no"},
		"an integer is not narrowed":      {"  `a` int DEFAULT NULL", "  `a` bigint DEFAULT NULL", "MODIFY COLUMN `a` int DEFAULT NULL", "yes"},
		"a sign is not lost":              {"  `a` bigint unsigned DEFAULT NULL", "  `a` int DEFAULT NULL", "MODIFY COLUMN `a` bigint unsigned DEFAULT NULL", "yes"},
		"text grows":                      {"  `a` varchar(20) NOT NULL", "  `a` varchar(10) NOT NULL", "MODIFY COLUMN `a` varchar(20) NOT NULL", "no"},
		"text does not shrink":            {"  `a` varchar(10) NOT NULL", "  `a` varchar(20) NOT NULL", "MODIFY COLUMN `a` varchar(10) NOT NULL", "yes"},
		"another collation is named":      {"  `a` varchar(10) COLLATE utf8mb4_bin NOT NULL", "  `a` varchar(10) NOT NULL", "MODIFY COLUMN `a` varchar(10) COLLATE utf8mb4_bin NOT NULL", "yes"},
		"NULL may come to be allowed":     {"  `a` int DEFAULT NULL", "  `a` int NOT NULL", "MODIFY COLUMN `a` int DEFAULT NULL", "no"},
		"NULL is not forbidden":           {"  `a` int NOT NULL", "  `a` int DEFAULT NULL", "MODIFY COLUMN `a` int NOT NULL", "yes"},
		"another default":                 {"  `a` int NOT NULL DEFAULT '7'", "  `a` int NOT NULL DEFAULT '8'", "MODIFY COLUMN `a` int NOT NULL DEFAULT '7'", "no"},
		"a missing index is added":        {"  KEY `k` (`id`)", "", "ADD KEY `k` (`id`)", "no"},
		"an extra index is named":         {"", "  UNIQUE KEY `k` (`id`)", "DROP INDEX `k`", "yes"},
		"another index of that name":      {"  KEY `k` (`id`)", "  UNIQUE KEY `k` (`id`)", "DROP INDEX `k`, ADD KEY `k` (`id`)", "yes"},
		"a missing check is added":        {"  CONSTRAINT `c` CHECK (`id` > 0)", "", "ADD CONSTRAINT `c` CHECK (`id` > 0)", "no"},
		"an extra foreign key is named":   {"", "  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `x` (`id`)", "DROP FOREIGN KEY `f`", "yes"},
		"the sharding column is nobody's": {"  `key` bigint DEFAULT NULL", "  `key` int DEFAULT NULL", "MODIFY COLUMN `key` bigint DEFAULT NULL", "yes"},
	}
	text := func(table, line string) *tableText {
		lines := []string{id}
		if strings.HasPrefix(line, "  `") {
			lines = append(lines, line, key)
		} else if lines = append(lines, key); line != "" {
			lines = append(lines, line)
		}
		return parseTable("CREATE TABLE `"+table+"` (\n"+strings.Join(lines, ",\n")+"\n) ENGINE=InnoDB AUTO_INCREMENT=7", table, "t")
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			changes := compareTables(text("t_0", c.want), text("t_1", c.have), []string{"key"})
			if c.clauses == "" {
				require.Empty(t, changes)
				return
			}
			require.Len(t, changes, 1)
			require.Equal(t, c.clauses, changes[0].clause)
			require.Equal(t, c.loses == "yes", changes[0].loses)
		})
	}
}
