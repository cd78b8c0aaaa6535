package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

const (
	// copyParts is into how many parts a global table is cut to be compared, so
	// that only the rows of parts that differ are looked at one by one.
	copyParts = 256
	// copyAgain is after how long rows that differ are looked at again: a write
	// may have been under way.
	copyAgain = time.Second
	// copyKeys is how many keys are named, copyRows how many rows of one part
	// are compared one by one.
	copyKeys = 3
	copyRows = 100_000
)

// copyCheck compares the copies of one global table.
type copyCheck struct {
	servers Servers
	// part, row and key are SQL: the part a row is in, its checksum, its key to
	// be shown.
	part, row, key string
}

// drifted compares each copy with the first one, by checksums the servers
// compute, and says how they differ.
func (r *factReader) drifted(ctx context.Context, name TableName, t *catalog.Table, line int) (out []Finding) {
	add := func(at topology.Shard, what, do string) {
		out = append(out, Finding{Schema: name.Schema, Table: name.Table, Shard: at.Index, Line: line, What: what, Do: do})
	}
	c := copyCheckOf(r.servers, t)
	first := t.Placement.Shards[0]
	for _, other := range t.Placement.Shards[1:] {
		keys, err := c.differ(ctx, first, other)
		switch {
		case err != nil:
			add(other, "its copies on "+first.Cluster+" and "+other.Cluster+" could not be compared: "+err.Error(), "")
		case len(keys) > 0:
			add(other, fmt.Sprintf("its copy on cluster %s is not as the one on %s: rows differ or are missing, for one %s",
				other.Cluster, first.Cluster, strings.Join(keys, ", ")),
				"find out which copy is right, and write the others' rows anew on their servers; a write past Serval leaves such")
		}
	}
	return out
}

func copyCheckOf(servers Servers, t *catalog.Table) *copyCheck {
	bytes := func(name string) string { return "CAST(" + sqlval.QuoteName(name) + " AS BINARY)" }
	var all []string
	for _, c := range t.Columns {
		all = append(all, "ISNULL("+sqlval.QuoteName(c.Name)+")", "COALESCE("+bytes(c.Name)+", '')")
	}
	key := all
	if len(t.PrimaryKey) > 0 {
		key = nil
		for _, c := range t.PrimaryKey {
			key = append(key, bytes(c))
		}
	}
	keyText := "CONCAT_WS('-', " + strings.Join(key, ", ") + ")"
	return &copyCheck{
		servers: servers, key: keyText,
		part: fmt.Sprintf("CRC32(%s) %% %d", keyText, copyParts),
		row:  "CRC32(CONCAT_WS('#', " + strings.Join(all, ", ") + "))",
	}
}

// differ is some keys whose rows differ, at two looks; none where the copies
// are the same.
func (c *copyCheck) differ(ctx context.Context, a, b topology.Shard) ([]string, error) {
	parts, err := c.parts(ctx, a, b)
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	seen, err := c.rows(ctx, a, b, parts[0])
	if err != nil || len(seen) == 0 {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(copyAgain):
	}
	again, err := c.rows(ctx, a, b, parts[0])
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(again)), func(k string) bool { return !seen[k] })
	return keys[:min(copyKeys, len(keys))], err
}

// parts are those whose rows are not the same.
func (c *copyCheck) parts(ctx context.Context, a, b topology.Shard) ([]string, error) {
	sums := [2]map[string]string{}
	for i, at := range []topology.Shard{a, b} {
		rows, err := c.servers.Select(ctx, at.Cluster, fmt.Sprintf("SELECT %s AS part, CONCAT_WS('-', COUNT(*), BIT_XOR(%s), SUM(%s)) FROM %s.%s GROUP BY part",
			c.part, c.row, c.row, sqlval.QuoteName(at.Database), sqlval.QuoteName(at.Table)))
		if err != nil {
			return nil, err
		}
		sums[i] = map[string]string{}
		for _, r := range rows {
			sums[i][string(r[0])] = string(r[1])
		}
	}
	return differing(sums[0], sums[1]), nil
}

// rows are the keys of one part whose rows are not the same.
func (c *copyCheck) rows(ctx context.Context, a, b topology.Shard, part string) (map[string]bool, error) {
	sums := [2]map[string]string{}
	for i, at := range []topology.Shard{a, b} {
		sums[i] = map[string]string{}
		err := c.servers.Each(ctx, at.Cluster, fmt.Sprintf("SELECT %s, %s FROM %s.%s WHERE %s = %s LIMIT %d",
			c.key, c.row, sqlval.QuoteName(at.Database), sqlval.QuoteName(at.Table), c.part, part, copyRows), func(row [][]byte) error {
			key := strings.ToValidUTF8(string(row[0]), "?")
			sums[i][key] += " " + string(row[1]) // of rows without a key, all
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := map[string]bool{}
	for _, k := range differing(sums[0], sums[1]) {
		out[k] = true
	}
	return out, nil
}

// differing are the keys that the two do not say the same of, in order.
func differing(a, b map[string]string) (out []string) {
	for k, v := range a {
		if b[k] != v {
			out = append(out, k)
		}
	}
	for k := range b {
		if _, both := a[k]; !both {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// isCopied: the table has copies that can be compared.
func isCopied(t *catalog.Table) bool {
	return t.Placement.Kind == shardrule.Global && len(t.Placement.Shards) > 1 && len(t.Columns) > 0
}
