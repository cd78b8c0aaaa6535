package advise

import (
	"context"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Servers is how the primaries are asked. Safe for concurrent use.
type Servers interface {
	Select(ctx context.Context, cluster, sql string) ([][][]byte, error)
}

// Rows are the servers' estimates of the tables' rows, over all shards.
func Rows(ctx context.Context, cat *catalog.Catalog, servers Servers) (map[TableName]int64, error) {
	at := map[topology.Shard]TableName{}
	for _, s := range cat.Schemas {
		for _, t := range s.Tables {
			for i, shard := range t.Placement.Shards {
				if i > 0 && t.Placement.Kind == shardrule.Global {
					break // the other copies are the same rows
				}
				at[topology.Shard{Cluster: shard.Cluster, Database: shard.Database, Table: shard.Table}] = TableName{s.Name, t.Name}
			}
		}
	}
	for schema, tables := range cat.Plain {
		for table := range tables {
			at[topology.Shard{Cluster: cat.HomeOf(schema), Database: schema, Table: table}] = TableName{schema, table}
		}
	}
	out := map[TableName]int64{}
	for cluster := range cat.Clusters {
		rows, err := servers.Select(ctx, cluster, "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_ROWS > 0")
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", cluster, err)
		}
		for _, r := range rows {
			n, err := strconv.ParseInt(string(r[2]), 10, 64)
			if t, ours := at[topology.Shard{Cluster: cluster, Database: string(r[0]), Table: string(r[1])}]; ours && err == nil {
				out[t] += n
			}
		}
	}
	return out, nil
}

// sampled is how many rows of a table are looked at for its skew.
const sampled = 200_000

// Skews asks the servers how even the reported candidates would spread the rows
// there are, by the first rows of each shard.
func Skews(ctx context.Context, cat *catalog.Catalog, servers Servers, r *Report) error {
	a := advisor{cat: cat}
	shards := defaultShards
	if on := a.hashed(); on != nil {
		shards = len(on)
	}
	hash, err := shardrule.NewHash(shards)
	if err != nil {
		return err
	}
	for i := range r.Tables {
		t := r.Tables[i].Table
		for j := range r.Tables[i].Candidates {
			c := &r.Tables[i].Candidates[j]
			if c.Column == globally || c.Column == wholly {
				continue
			}
			for _, column := range a.known(t).Columns {
				if column.Name == c.Column {
					if err := c.skew(ctx, servers, placesOf(cat, t), hash, column.Column); err != nil {
						return fmt.Errorf("table %s: %w", t, err)
					}
				}
			}
		}
	}
	return nil
}

// placesOf are where a table's rows are, one copy of them.
func placesOf(cat *catalog.Catalog, t TableName) []topology.Shard {
	found := cat.Table(t.Schema, t.Table)
	if found == nil {
		return []topology.Shard{{Cluster: cat.HomeOf(t.Schema), Database: t.Schema, Table: t.Table}}
	}
	if found.Placement.Kind == shardrule.Global {
		return found.Placement.Shards[:1]
	}
	return found.Placement.Shards
}

func (c *Candidate) skew(ctx context.Context, servers Servers, places []topology.Shard, hash shardrule.Hash, column shardrule.Column) error {
	name := sqlval.QuoteName(column.Name)
	counts := make([]float64, hash.Shards())
	var all float64
	for _, at := range places {
		from := fmt.Sprintf("(SELECT %s FROM %s.%s LIMIT %d) AS sampled", name, sqlval.QuoteName(at.Database), sqlval.QuoteName(at.Table), max(sampled/len(places), 1000))
		rows, err := servers.Select(ctx, at.Cluster, fmt.Sprintf("SELECT %s AS shard, COUNT(*) FROM %s GROUP BY shard", hash.ShardExpr(name, column), from))
		if err != nil {
			return err
		}
		for _, r := range rows {
			shard, err := strconv.Atoi(string(r[0]))
			n, err2 := strconv.ParseFloat(string(r[1]), 64)
			if err == nil && err2 == nil && shard >= 0 && shard < len(counts) {
				counts[shard] += n
				all += n
			}
		}
		rows, err = servers.Select(ctx, at.Cluster, fmt.Sprintf("SELECT MAX(n) / SUM(n) FROM (SELECT COUNT(*) AS n FROM %s GROUP BY %s) AS counted", from, name))
		if err != nil {
			return err
		}
		if len(rows) == 1 && rows[0][0] != nil {
			top, _ := strconv.ParseFloat(string(rows[0][0]), 64) // a server's number
			c.TopValue = max(c.TopValue, top)
		}
	}
	busiest := 0.0
	for _, n := range counts {
		busiest = max(busiest, n)
	}
	if all > 0 {
		c.RowSkew = busiest / all * float64(len(counts))
	}
	return nil
}
