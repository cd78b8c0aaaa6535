package reshard

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// quote is text as an SQL string that any sql_mode reads alike.
func quote(text string) string {
	return string(sqlval.StringValue(text).AppendSQL(nil, !strings.Contains(text, `\`)))
}

func tableSQL(s topology.Shard) string {
	return sqlval.QuoteName(s.Database) + "." + sqlval.QuoteName(s.Table)
}

// inspect looks at the physical tables of a table: those that are read or put
// aside, and whether the names are free that are to be made.
func (p *planner) inspect(ctx context.Context, t *Table) error {
	var old []topology.Shard
	old = append(old, t.Sources...)
	for _, a := range t.Aside {
		if !slices.Contains(old, a.Shard) {
			old = append(old, a.Shard)
		}
	}
	said := map[string]bool{} // each obstacle once, not for each shard
	for _, s := range old {
		found, err := p.physical(ctx, t, s)
		if err != nil {
			return fmt.Errorf("%s: %w", physical(s), err)
		}
		for _, o := range found {
			if !said[o.What] {
				said[o.What] = true
				p.obstacles = append(p.obstacles, o)
			}
		}
	}
	if err := p.checks(ctx, t); err != nil {
		return err
	}
	return p.names(ctx, t)
}

// physical is what speaks against moving one physical table; its size is noted.
func (p *planner) physical(ctx context.Context, t *Table, s topology.Shard) (out []Obstacle, err error) {
	add := func(what, do string) {
		out = append(out, Obstacle{Schema: t.Schema, Table: t.Name, What: what, Do: do})
	}
	database, table := quote(s.Database), quote(s.Table)
	rows, err := p.servers.Select(ctx, s.Cluster, "SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */ TABLE_TYPE, ENGINE, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH"+
		" FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+database+" AND TABLE_NAME = "+table)
	if err != nil {
		return nil, err
	}
	switch {
	case len(rows) == 0:
		add("its table "+physical(s)+" is missing", "serval check --live --repair makes it")
		return out, nil
	case string(rows[0][0]) == "SYSTEM VERSIONED":
		add("it is system-versioned, and rows of its past would stay behind", "ALTER TABLE … DROP SYSTEM VERSIONING, if nobody needs them")
		return out, nil
	case string(rows[0][0]) != "BASE TABLE":
		add("it is a "+strings.ToLower(string(rows[0][0]))+", not a table", "take its rule out")
		return out, nil
	case !strings.EqualFold(string(rows[0][1]), "InnoDB"):
		add("its engine is "+string(rows[0][1])+", and rows can be followed of InnoDB's tables only", "ALTER TABLE … ENGINE = InnoDB")
	}
	p.sizes[s] = size{number(rows[0][2]), number(rows[0][3])}
	if rows, err = p.servers.Select(ctx, s.Cluster, "SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = "+database+
		" AND TABLE_NAME = "+table+" ORDER BY ORDINAL_POSITION"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		c := column{name: string(r[0]), dataType: string(r[1]), sqlType: string(r[2])}
		if err := c.classify(); err != nil {
			add(err.Error(), "give it another type before")
		}
	}
	if rows, err = p.servers.Select(ctx, s.Cluster, "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = "+database+
		" AND EVENT_OBJECT_TABLE = "+table+" ORDER BY 1"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		add("it has the trigger "+string(r[0])+", which would do its work again for rows that are copied, or be missing where they go", "have its work done elsewhere, drop it on the servers, and create it on the new shards when the job is finished (docs/resharding.md)")
	}
	if err := p.foreign(ctx, t, s, add); err != nil {
		return nil, err
	}
	if rows, err = p.servers.Select(ctx, s.Cluster, "SELECT DISTINCT INDEX_NAME, SUB_PART IS NOT NULL, COLUMN_NAME IS NULL FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = "+database+
		" AND TABLE_NAME = "+table+" AND NON_UNIQUE = 0 AND (INDEX_NAME = 'PRIMARY' AND SUB_PART IS NOT NULL OR COLUMN_NAME IS NULL) ORDER BY 1"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if string(r[2]) == "1" {
			add("its unique key "+string(r[0])+" has an expression, so it is not known which rows it keeps apart", "drop it before, and add it again after the cut over")
		} else {
			add("its primary key has only the beginning of a column, so it does not name rows exactly", "make it of whole columns")
		}
	}
	return out, nil
}

func number(text []byte) int64 {
	n, _ := strconv.ParseInt(string(text), 10, 64) // NULL: nothing is known, so nothing is counted
	return n
}

// checks: MySQL takes the name of a CHECK once in a database, so a table cannot be
// made beside one that has such a name. Those that the server makes itself are of
// the table's name.
func (p *planner) checks(ctx context.Context, t *Table) error {
	said := map[string]bool{}
	for _, x := range t.Targets {
		if !x.Replaces {
			continue
		}
		rows, err := p.servers.Select(ctx, x.Shard.Cluster, "SELECT CONSTRAINT_NAME, VERSION() FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_TYPE = 'CHECK' AND CONSTRAINT_SCHEMA = "+
			quote(x.Shard.Database)+" AND TABLE_NAME = "+quote(x.Shard.Table)+" ORDER BY 1")
		if err != nil {
			return err
		}
		for _, r := range rows {
			name := string(r[0])
			if !said[name] && !strings.Contains(string(r[1]), "MariaDB") && !strings.HasPrefix(name, x.Shard.Table+"_chk_") {
				said[name] = true
				p.refuse(t, "its CHECK "+name+" has a name that MySQL takes once in a database, and the new table would stand beside the old one",
					"drop it before, and add it again when the job is finished, or give the new rule databases of other names")
			}
		}
	}
	return nil
}

// names: what is to be made must not be there yet, but for the table's own that
// give way.
func (p *planner) names(ctx context.Context, t *Table) error {
	type database struct{ cluster, name string }
	wanted := map[database][]string{}
	for _, x := range t.Targets {
		at := database{x.Shard.Cluster, x.Shard.Database}
		wanted[at] = append(wanted[at], x.New)
		if !x.Replaces {
			wanted[at] = append(wanted[at], x.Shard.Table)
		}
	}
	for _, a := range t.Aside {
		at := database{a.Shard.Cluster, a.Shard.Database}
		wanted[at] = append(wanted[at], a.Old)
	}
	for at, names := range wanted {
		quoted := make([]string, len(names))
		for i, n := range names {
			quoted[i] = quote(n)
		}
		rows, err := p.servers.Select(ctx, at.cluster, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(at.name)+
			" AND TABLE_NAME IN ("+strings.Join(quoted, ", ")+") ORDER BY 1")
		if err != nil {
			return err
		}
		for _, r := range rows {
			name := at.name + "." + string(r[0]) + " on " + at.cluster
			if catalog.IsBeside(string(r[0])) {
				p.refuse(t, name+" is there already: another job's, or left by one", "serval reshard status, cancel or finish; if there is none, drop the table")
			} else {
				p.refuse(t, name+" is there already, and no table of Serval's", "move it away, or give the new rule other places")
			}
		}
	}
	return nil
}

// shares is how many of a source's rows each target gets; counted, where that is
// asked for and servers can compute the new rule.
func (p *planner) shares(ctx context.Context, t *Table, s topology.Shard, have *size) ([]int64, error) {
	shares := make([]int64, len(t.Targets))
	exprs := placeExprs(t.To)
	if p.opt.Exact && exprs == nil {
		rows, err := p.servers.Select(ctx, s.Cluster, "SELECT COUNT(*) FROM "+tableSQL(s))
		if err != nil || len(rows) != 1 {
			return nil, err
		}
		have.rows = number(rows[0][0])
	}
	switch {
	case t.To.Kind != shardrule.Sharded:
		for i := range shares {
			shares[i] = have.rows
		}
		return shares, nil
	case !p.opt.Exact || exprs == nil:
		for i := range shares {
			shares[i] = have.rows / int64(len(shares))
			if int64(i) < have.rows%int64(len(shares)) {
				shares[i]++
			}
		}
		return shares, nil
	}
	return shares, p.count(ctx, t, s, have, exprs, shares)
}

// count has a source's rows counted by where the new rule puts them.
func (p *planner) count(ctx context.Context, t *Table, s topology.Shard, have *size, exprs []string, shares []int64) error {
	key := sqlval.QuoteName(t.To.Columns()[0].Name)
	if t.To.Composite() {
		key = "CONCAT_WS(', '"
		for _, name := range t.To.Keys() {
			key += ", IFNULL(CAST(" + sqlval.QuoteName(name) + " AS CHAR), 'NULL')"
		}
		key += ")"
	}
	list := strings.Join(exprs, ", ")
	rows, err := p.servers.Select(ctx, s.Cluster, "SELECT "+list+", COUNT(*), MIN("+key+") FROM "+tableSQL(s)+" GROUP BY "+list)
	if err != nil {
		return err
	}
	have.rows = 0
	for _, r := range rows {
		n, first := number(r[len(exprs)]), r[len(exprs)+1]
		have.rows += n
		at, ok := shardOfPlaces(t.To, r)
		i := slices.IndexFunc(t.Targets, func(x Target) bool { return x.Index == at })
		if !ok || i < 0 {
			p.refuse(t, fmt.Sprintf("%d rows of %s have no shard by the new rule, the first with %s = %s", n, physical(s), t.To.KeyNames(), strings.ToValidUTF8(orNull(first), "?")),
				"give the rule a place for them, or change the rows")
			continue
		}
		shares[i] += n
	}
	return nil
}

func orNull(text []byte) string {
	if text == nil {
		return "NULL"
	}
	return string(text)
}

// placeExprs are SQL for a row's places by the rule: one for each of its functions.
// nil where the servers cannot compute one, or the table is not sharded.
func placeExprs(p *shardrule.Placement) (exprs []string) {
	if p.Kind != shardrule.Sharded {
		return nil
	}
	parts := p.Parts
	if !p.Composite() {
		parts = []shardrule.Part{{Column: p.Column, Algorithm: p.Algorithm}}
	}
	for _, part := range parts {
		twin, ok := part.Algorithm.(shardrule.SQLTwin)
		if !ok || part.Column.Type == shardrule.TypeOther {
			return nil
		}
		expr := twin.ShardExpr(sqlval.QuoteName(part.Column.Name), part.Column)
		if expr == "" {
			return nil
		}
		exprs = append(exprs, expr)
	}
	return exprs
}

// shardOfPlaces is the shard of rows whose places, as the servers have computed
// them, begin values; false where they have none.
func shardOfPlaces(p *shardrule.Placement, values [][]byte) (int, bool) {
	if !p.Composite() {
		at, err := strconv.Atoi(string(values[0]))
		return at, err == nil
	}
	shard, said := 0, 0
	for i, part := range p.Parts {
		place, err := strconv.Atoi(string(values[i]))
		if err != nil || place < 0 || part.Or && place != said {
			return 0, false
		}
		if !part.Or {
			said = place
			shard += place * part.Stride
		}
	}
	return shard, true
}
