package reshard

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Foreign keys between tables that move together move with them: a new table refers
// to the other's new table of the same shard. Servers carry that along when both are
// renamed, and the key's name too where it is one of theirs (table_ibfk_1). The new
// tables are written without a look at foreign keys, so what keeps them true is that
// equal values are on one shard by both rules.

var foreignLine = regexp.MustCompile("(?m)^\\s*CONSTRAINT (`(?:[^`]|``)*`) (FOREIGN KEY \\(.*?\\) REFERENCES )((?:`(?:[^`]|``)*`\\.)?`(?:[^`]|``)*`)( .*?),?$")

var madeForeign = regexp.MustCompile(`_ibfk_([0-9]+)$`)

// ownForeign is the name of a foreign key by the logical table's name, and its number
// where a server has made it; else 0.
func ownForeign(name, logical, physical string) (string, int) {
	name = shardrule.LogicalConstraint(name, logical, physical)
	if m := madeForeign.FindStringSubmatch(name); m != nil && name == logical+m[0] {
		n, _ := strconv.Atoi(m[1]) // of digits
		return name, n
	}
	return name, 0
}

// carryForeign are the foreign keys of a table's definition, as a target has them; what
// they refer to moves, or the plan would have refused.
func (l *Layout) carryForeign(lines []string, t *Table, source topology.Shard, x Target) ([]string, error) {
	last := 0
	for _, line := range lines {
		_, n := ownForeign(unquoted(foreignLine.FindStringSubmatch(line)[1]), t.Name, source.Table)
		last = max(last, n)
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		m := foreignLine.FindStringSubmatch(line)
		name, n := ownForeign(unquoted(m[1]), t.Name, source.Table)
		switch {
		case n > 0:
			name = x.New + "_ibfk_" + strconv.Itoa(n)
		case t.replaces(): // the name is taken in that database, while the old table is there
			last++
			name = x.New + "_ibfk_" + strconv.Itoa(last)
		default:
			name = shardrule.ShardConstraint(name, t.Name, x.Shard.Table)
		}
		database, table := source.Database, m[3]
		if a, b, ok := strings.Cut(table, "`.`"); ok {
			database, table = unquoted(a+"`"), "`"+b
		}
		other := l.tableAt(source, database, unquoted(table))
		if other == nil || !slices.ContainsFunc(other.Targets, func(y Target) bool { return y.Index == x.Index }) {
			return nil, fmt.Errorf("its foreign key %s refers to %s.%s, which does not move with it", unquoted(m[1]), database, unquoted(table))
		}
		out[i] = "  CONSTRAINT " + sqlval.QuoteName(name) + " " + m[2] + other.newName(x.Index) + m[4]
	}
	return out, nil
}

func unquoted(name string) string { return strings.ReplaceAll(name[1:len(name)-1], "``", "`") }

// replaces: a new table stands beside an old one of the same database.
func (t *Table) replaces() bool {
	return slices.ContainsFunc(t.Targets, func(x Target) bool { return x.Replaces })
}

// newName is the new table of a shard, quoted.
func (t *Table) newName(index int) string {
	i := slices.IndexFunc(t.Targets, func(x Target) bool { return x.Index == index })
	return sqlval.QuoteName(t.Targets[i].Shard.Database) + "." + sqlval.QuoteName(t.Targets[i].New)
}

// tableAt is the table of the layout whose shard of the same index is the physical
// table, on the same cluster; nil for none.
func (l *Layout) tableAt(s topology.Shard, database, table string) *Table {
	for _, t := range l.Tables {
		if s.Index >= len(t.From.Shards) {
			continue
		}
		if at := t.From.Shards[s.Index]; at.Cluster == s.Cluster && at.Database == database && at.Table == table {
			return t
		}
	}
	return nil
}

// reference is a foreign key as a server has it.
type reference struct {
	name               string
	database, table    string
	toDatabase, to     string
	onDelete, onUpdate string
	// columns are pairs, of the table and of what it refers to.
	columns [][2]string
}

// asks runs a query on a cluster's primary.
type asks func(ctx context.Context, cluster, sql string) ([][][]byte, error)

// references are the foreign keys of a physical table, and those to it.
func references(ctx context.Context, ask asks, s topology.Shard) ([]reference, error) {
	database, table := quote(s.Database), quote(s.Table)
	rows, err := ask(ctx, s.Cluster, "SELECT r.CONSTRAINT_NAME, r.CONSTRAINT_SCHEMA, r.TABLE_NAME, r.UNIQUE_CONSTRAINT_SCHEMA, r.REFERENCED_TABLE_NAME, r.DELETE_RULE, r.UPDATE_RULE, k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME"+
		" FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME AND k.TABLE_NAME = r.TABLE_NAME"+
		" WHERE k.REFERENCED_TABLE_NAME IS NOT NULL AND (r.CONSTRAINT_SCHEMA = "+database+" AND r.TABLE_NAME = "+table+" OR r.UNIQUE_CONSTRAINT_SCHEMA = "+database+" AND r.REFERENCED_TABLE_NAME = "+table+") ORDER BY 2, 3, 1, k.ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	var out []reference
	for _, r := range rows {
		f := reference{name: string(r[0]), database: string(r[1]), table: string(r[2]), toDatabase: string(r[3]), to: string(r[4]), onDelete: string(r[5]), onUpdate: string(r[6])}
		if n := len(out); n == 0 || out[n-1].name != f.name || out[n-1].database != f.database || out[n-1].table != f.table {
			out = append(out, f)
		}
		f = out[len(out)-1]
		out[len(out)-1].columns = append(f.columns, [2]string{string(r[7]), string(r[8])})
	}
	return out, nil
}

// foreign says what speaks against moving a physical table with its foreign keys.
func (p *planner) foreign(ctx context.Context, t *Table, s topology.Shard, add func(what, do string)) error {
	all, err := references(ctx, p.servers.Select, s)
	if err != nil {
		return err
	}
	for _, f := range all {
		from, to := p.layout.tableAt(s, f.database, f.table), p.layout.tableAt(s, f.toDatabase, f.to)
		if from == nil || to == nil || !from.movesLike(to) {
			add(fmt.Sprintf("the foreign key %s refers from %s to %s, which do not move together, shard by shard", f.name, f.table, f.to), "drop it before, and add it again when the job is finished")
			continue
		}
		if why := from.keptBy(to, f); why != "" {
			add(fmt.Sprintf("the foreign key %s refers from %s to %s, and %s", f.name, f.table, f.to, why), "drop it before, or have the sharding columns in it")
		}
		if from != t {
			continue // said of the table that has it
		}
		if err := p.carried(ctx, t, s, f, add); err != nil {
			return err
		}
	}
	return nil
}

// carried says what speaks against a foreign key itself, of a table that has it.
func (p *planner) carried(ctx context.Context, t *Table, s topology.Shard, f reference, add func(what, do string)) error {
	if to := p.layout.tableAt(s, f.toDatabase, f.to); !f.keepsItself() && f.toKey(to.Definition.PrimaryKey) == nil {
		clusters := []string{s.Cluster}
		for _, x := range t.Targets {
			clusters = append(clusters, x.Shard.Cluster) // whose changes are followed back
		}
		slices.Sort(clusters)
		for _, cluster := range slices.Compact(clusters) {
			told, err := tellsCascades(ctx, p.servers.Select, cluster)
			if err != nil {
				return err
			}
			if !told {
				add(fmt.Sprintf("the foreign key %s changes rows of %s by itself (ON DELETE %s, ON UPDATE %s), and the servers of cluster %s have such changes in no binlog", f.name, f.table, f.onDelete, f.onUpdate, cluster),
					"have it refer to the primary key, or make it ON DELETE RESTRICT ON UPDATE RESTRICT before (MySQL from 9.6 on has them, unless innodb_native_foreign_keys is ON)")
				break
			}
		}
	}
	_, n := ownForeign(f.name, t.Name, s.Table)
	const most = 64 - len("_ibfk_99") // characters of a name
	long := func(name string) bool { return (n > 0 || t.replaces()) && utf8.RuneCountInString(name) > most }
	switch {
	case slices.ContainsFunc(t.Targets, func(x Target) bool { return long(x.New) }) || slices.ContainsFunc(t.Aside, func(a Aside) bool { return long(a.Old) }):
		add("the name of its foreign key "+f.name+" goes with the table's, and would be too long for the tables beside", "drop it before, and add it again when the job is finished")
	case n == 0 && t.replaces() && len(t.Stays) > 0:
		add("its foreign key "+f.name+" has a name that servers take once in a database, and new tables would stand beside old ones, while some shards stay", "drop it before and add it without a name, or give the new rule databases of other names")
	case n == 0 && t.replaces() && !p.renamed[f.name]:
		p.renamed[f.name] = true
		p.obstacles = append(p.obstacles, Obstacle{Schema: t.Schema, Table: t.Name, Remark: true,
			What: "its foreign key " + f.name + " gets a name of the servers (" + t.Name + "_ibfk_…), for they take a name once in a database"})
	}
	return nil
}

// tellsCascades: what a foreign key changes in other rows is in the binlog. InnoDB does it
// unseen; MySQL from 9.6 on does it itself, unless it is told to leave it to InnoDB.
func tellsCascades(ctx context.Context, ask asks, cluster string) (bool, error) {
	rows, err := ask(ctx, cluster, "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'")
	return len(rows) == 1 && string(rows[0][1]) == "OFF", err
}

// movesLike: of both tables the same shards stay and are made, on the same clusters.
func (t *Table) movesLike(o *Table) bool {
	beside := func(p, q *shardrule.Placement) bool {
		return slices.EqualFunc(p.Shards, q.Shards, func(a, b topology.Shard) bool { return a.Cluster == b.Cluster })
	}
	return t == o || slices.Equal(t.Stays, o.Stays) && beside(t.From, o.From) && beside(t.To, o.To)
}

// keptBy is why rows need not be on the shard of those they refer to, by the rules of
// before and of after; empty where they are.
func (t *Table) keptBy(to *Table, f reference) string {
	if t.Parent == to && len(f.columns) == 1 && strings.EqualFold(f.columns[0][0], t.From.Column.Name) && strings.EqualFold(f.columns[0][1], t.From.Follows().To) {
		return ""
	}
	for _, rules := range [][2]*shardrule.Placement{{t.From, to.From}, {t.To, to.To}} {
		p, q := rules[0], rules[1]
		if p.Kind == q.Kind && p.Kind != shardrule.Sharded {
			continue // all rows of both
		}
		if p.Follows() != nil || q.Follows() != nil || p.Composite() || shardrule.Periodic(p.Algorithm) || !p.Colocated(q) {
			return "by the rules rows that are equal in their keys need not be on one shard"
		}
		keys, others := p.Keys(), q.Keys()
		for i := range keys {
			if !slices.ContainsFunc(f.columns, func(c [2]string) bool { return strings.EqualFold(c[0], keys[i]) && strings.EqualFold(c[1], others[i]) }) {
				return "it does not have the sharding columns of both (" + p.KeyNames() + " and " + q.KeyNames() + "), so rows may come to other shards than those they refer to"
			}
		}
	}
	return ""
}
