package reshard

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

const linesTable = "CREATE TABLE `lines` (\n" +
	"  `bill_id` bigint NOT NULL,\n" +
	"  `line` bigint NOT NULL,\n" +
	"  `of` bigint DEFAULT NULL,\n" +
	"  PRIMARY KEY (`bill_id`,`line`),\n" +
	"  KEY `again` (`of`),\n" +
	"  CONSTRAINT `again` FOREIGN KEY (`of`) REFERENCES `shop_1`.`bills` (`id`) ON DELETE SET NULL,\n" +
	"  CONSTRAINT `lines_ibfk_2` FOREIGN KEY (`bill_id`) REFERENCES `bills` (`id`) ON DELETE CASCADE\n" +
	") ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4"

// billed is a layout of bills and lines, from shop_0 and shop_1 on c0.
func billed(targets ...Target) *Layout {
	l := &Layout{}
	for _, name := range []string{"bills", "lines"} {
		t := &Table{Schema: "shop", Name: name, From: &shardrule.Placement{Kind: shardrule.Sharded, Shards: []topology.Shard{
			{Index: 0, Cluster: "c0", Database: "shop_0", Table: name}, {Index: 1, Cluster: "c0", Database: "shop_1", Table: name}}}}
		for _, x := range targets {
			x.Shard.Table, x.New = name, NewName(name)
			t.Targets = append(t.Targets, x)
		}
		l.Tables = append(l.Tables, t)
	}
	return l
}

func TestForeignKeysReferToTheTableBeside(t *testing.T) {
	beside := Target{Index: 3, Shard: topology.Shard{Index: 3, Cluster: "c1", Database: "shop_3"}}
	l := billed(beside)
	lines := l.Tables[1]
	sql, err := newDefinition(linesTable, l, lines, lines.From.Shards[1], lines.Targets[0])
	require.NoError(t, err)
	require.Equal(t, "CREATE TABLE `shop_3`.`serval_new_lines` (\n"+
		"  `bill_id` bigint NOT NULL,\n"+
		"  `line` bigint NOT NULL,\n"+
		"  `of` bigint DEFAULT NULL,\n"+
		"  PRIMARY KEY (`bill_id`,`line`),\n"+
		"  KEY `again` (`of`),\n"+
		"  CONSTRAINT `again` FOREIGN KEY (`of`) REFERENCES `shop_3`.`serval_new_bills` (`id`) ON DELETE SET NULL,\n"+
		"  CONSTRAINT `serval_new_lines_ibfk_2` FOREIGN KEY (`bill_id`) REFERENCES `shop_3`.`serval_new_bills` (`id`) ON DELETE CASCADE\n"+
		") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4", sql)

	beside.Replaces = true
	l = billed(beside)
	sql, err = newDefinition(linesTable, l, l.Tables[1], lines.From.Shards[1], l.Tables[1].Targets[0])
	require.NoError(t, err)
	require.Contains(t, sql, "CONSTRAINT `serval_new_lines_ibfk_3` FOREIGN KEY (`of`)", "the name is taken in the database of the old table")

	l.Tables = l.Tables[1:]
	_, err = newDefinition(linesTable, l, lines, lines.From.Shards[1], lines.Targets[0])
	require.EqualError(t, err, "its foreign key again refers to shop_1.bills, which does not move with it")
}

func TestAForeignKeyIsKeptWhereEqualKeysAreOnOneShard(t *testing.T) {
	by := func(table, column string, shards int) *shardrule.Placement {
		algorithm, err := shardrule.NewHash(shards)
		require.NoError(t, err)
		p := &shardrule.Placement{Schema: "shop", Table: table, Kind: shardrule.Sharded, Algorithm: algorithm,
			Column: shardrule.Column{Name: column, Type: shardrule.TypeInt}}
		for i := range shards {
			p.Shards = append(p.Shards, topology.Shard{Index: i, Cluster: "c0"})
		}
		return p
	}
	home := &shardrule.Placement{Kind: shardrule.Whole, Shards: []topology.Shard{{Cluster: "c0"}}}
	bills := &Table{From: by("bills", "id", 2), To: by("bills", "id", 4)}
	for name, c := range map[string]struct {
		child   *Table
		columns [][2]string
		why     string
	}{
		"by the sharding columns":                       {&Table{From: by("lines", "bill_id", 2), To: by("lines", "bill_id", 4)}, [][2]string{{"bill_id", "id"}}, ""},
		"by more columns than those":                    {&Table{From: by("lines", "bill_id", 2), To: by("lines", "bill_id", 4)}, [][2]string{{"x", "y"}, {"BILL_ID", "ID"}}, ""},
		"not by another column":                         {&Table{From: by("lines", "owner", 2), To: by("lines", "owner", 4)}, [][2]string{{"bill_id", "id"}}, "it does not have the sharding columns of both (owner and id), so rows may come to other shards than those they refer to"},
		"not where only the new rule has that column":   {&Table{From: by("lines", "owner", 2), To: by("lines", "bill_id", 4)}, [][2]string{{"bill_id", "id"}}, "it does not have the sharding columns of both (owner and id), so rows may come to other shards than those they refer to"},
		"not where the numbers of shards differ":        {&Table{From: by("lines", "bill_id", 2), To: by("lines", "bill_id", 3)}, [][2]string{{"bill_id", "id"}}, "by the rules rows that are equal in their keys need not be on one shard"},
		"not where one of the two is at home before it": {&Table{From: home, To: by("lines", "bill_id", 4)}, [][2]string{{"bill_id", "id"}}, "by the rules rows that are equal in their keys need not be on one shard"},
	} {
		require.Equal(t, c.why, c.child.keptBy(bills, reference{columns: c.columns}), name)
	}
	require.Empty(t, (&Table{From: home, To: by("lines", "bill_id", 4)}).keptBy(&Table{From: home, To: bills.To}, reference{columns: [][2]string{{"bill_id", "id"}}}), "both at home before")
}
