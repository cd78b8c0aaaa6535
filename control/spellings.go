package control

import (
	"context"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// mostSpellings is how many values are held at a time.
const mostSpellings = 1_000_000

// spelled is a value that was seen: a spelling of it, its shard, whether one is
// looked for on its shard alone, and whether others are on other shards.
type spelled struct {
	text   string
	shard  int
	alone  bool
	spread bool
}

// spellings finds values of a rule that places text as it is written, which are
// equal in the collation, spelled differently, on several shards, and one of
// which is looked for on its own shard alone: those a query would lose. It is
// empty where there are none. The values are read in as many passes as it takes
// to hold few of them.
func (r *factReader) spellings(ctx context.Context, p *shardrule.Placement) (string, error) {
	if !p.Column.SeveralSpellings() {
		return "", nil
	}
	rows := 0
	for _, s := range p.Shards {
		count, err := r.servers.Select(ctx, s.Cluster, "SELECT COUNT(*) FROM "+sqlval.QuoteName(s.Database)+"."+sqlval.QuoteName(s.Table))
		if err != nil || len(count) != 1 {
			return "", err
		}
		n, err := strconv.Atoi(string(count[0][0]))
		if err != nil {
			return "", err
		}
		rows += n
	}
	found, first := 0, ""
	passes := rows/mostSpellings + 1
	for pass := range passes {
		n, example, err := r.spellingsOf(ctx, p, pass, passes)
		if err != nil {
			return "", err
		}
		if found == 0 {
			first = example
		}
		found += n
	}
	if found == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d values of %s are spelled in several ways on several shards, %s: who asks for one does not find the other", found, p.Column.Name, first), nil
}

// spellingsOf is one pass: the values whose weights have this remainder.
func (r *factReader) spellingsOf(ctx context.Context, p *shardrule.Placement, pass, passes int) (n int, first string, err error) {
	key, byWeight := sqlval.QuoteName(p.Column.Name), p.Column
	byWeight.TextKey = shardrule.ByWeight
	weight := byWeight.KeyExpr(key)
	seen := map[string]spelled{}
	for _, s := range p.Shards {
		err := r.servers.Each(ctx, s.Cluster, fmt.Sprintf("SELECT DISTINCT %s, %s FROM %s.%s WHERE %s IS NOT NULL AND CRC32(%s) MOD %d = %d",
			weight, p.Column.KeyExpr(key), sqlval.QuoteName(s.Database), sqlval.QuoteName(s.Table), key, weight, passes, pass), func(row [][]byte) error {
			text, alone := string(row[1]), p.Column.FoundAlone(row[1])
			was, known := seen[string(row[0])]
			if !known {
				seen[string(row[0])] = spelled{text: text, shard: s.Index, alone: alone}
				return nil
			}
			now := was
			now.alone = was.alone || alone
			now.spread = was.spread || was.text != text && was.shard != s.Index
			seen[string(row[0])] = now
			if now.alone && now.spread && !(was.alone && was.spread) {
				if n++; n == 1 {
					first = fmt.Sprintf("%q on shard %d and %q on shard %d", was.text, was.shard, text, s.Index)
				}
			}
			return nil
		})
		if err != nil {
			return 0, "", err
		}
	}
	return n, first, nil
}
