package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/topology"
)

// need is a privilege on all databases that Serval's account must have, and
// what does not work without it.
type need struct {
	privilege string
	without   string
	// several: only where there are several clusters; replicas: only where the
	// cluster has some.
	several, replicas bool
}

// wholeNeeds are needed on *.*, by flavor (docs/config.md, "The backend account").
var wholeNeeds = map[topology.Flavor][]need{
	topology.FlavorMySQL: {
		{privilege: "XA_RECOVER_ADMIN", without: "branches of transactions over several clusters that a crash leaves keep their locks", several: true},
		{privilege: "PROCESS", without: "deadlocks over several clusters are not found, and an interrupted TRUNCATE is not finished"},
		{privilege: "REPLICATION CLIENT", without: "the replicas' lag is not known", replicas: true},
	},
	topology.FlavorMariaDB: {
		{privilege: "PROCESS", without: "deadlocks over several clusters are not found, and an interrupted TRUNCATE is not finished"},
		{privilege: "SLAVE MONITOR", without: "the replicas' lag is not known", replicas: true},
	},
}

// metaNeeds are needed on serval_meta, dataNeeds on the databases of schemas.
var (
	metaNeeds = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX"}
	dataNeeds = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE TEMPORARY TABLES",
		"LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "TRIGGER"}
)

// grants is what SHOW GRANTS says of Serval's own account.
type grants struct {
	account string // as GRANT wants it
	lines   []grant
	// roles: some privileges come by roles, whose are not listed.
	roles bool
}

// grant is one line: privileges on databases.
type grant struct {
	privileges []string
	pattern    string // a LIKE pattern, "%" for all
}

// parseGrants reads SHOW GRANTS' rows. What is granted on tables, columns or
// routines only is left out: Serval makes and drops tables.
func parseGrants(rows [][][]byte) (g grants) {
	for _, row := range rows {
		if len(row) != 1 {
			continue
		}
		text, ok := strings.CutPrefix(string(row[0]), "GRANT ")
		privileges, rest, on := strings.Cut(text, " ON ")
		scope, to, _ := strings.Cut(rest, " TO ")
		if !on {
			g.roles = g.roles || ok && !strings.HasPrefix(text, "PROXY")
			continue
		}
		if end := strings.IndexByte(to, ' '); end > 0 {
			to = to[:end]
		}
		database, whole := strings.CutSuffix(scope, ".*")
		if !ok || !whole {
			continue
		}
		if g.account == "" {
			g.account = to
		}
		line := grant{pattern: "%"}
		if database != "*" {
			line.pattern = strings.ReplaceAll(strings.Trim(database, "`"), "``", "`")
		}
		for p := range strings.SplitSeq(privileges, ",") {
			line.privileges = append(line.privileges, strings.TrimSpace(p))
		}
		g.lines = append(g.lines, line)
	}
	return g
}

// has: the account has the privilege on the database, "" for all databases. Of
// several patterns that match a database servers take the most exact alone.
func (g *grants) has(privilege, database string) bool {
	best := -1
	for _, l := range g.lines {
		if n := exactness(l.pattern); l.pattern != "%" && like(l.pattern, database) && n > best {
			best = n
		}
	}
	for _, l := range g.lines {
		if l.pattern != "%" && (database == "" || !like(l.pattern, database) || exactness(l.pattern) != best) {
			continue
		}
		for _, p := range l.privileges {
			switch {
			case p == privilege, p == "REPLICA MONITOR" && privilege == "SLAVE MONITOR",
				(p == "ALL PRIVILEGES" || p == "ALL") && !strings.Contains(privilege, "_"):
				return true
			}
		}
	}
	return false
}

// exactness is how much of a pattern stands before its first wildcard.
func exactness(pattern string) int {
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '%', '_':
			return i
		}
	}
	return len(pattern)
}

// like is LIKE as grants use it: case matters, a backslash escapes.
func like(pattern, name string) bool {
	switch {
	case pattern == "":
		return name == ""
	case pattern[0] == '%':
		return like(pattern[1:], name) || name != "" && like(pattern, name[1:])
	case name == "":
		return false
	case pattern[0] == '_':
		return like(pattern[1:], name[1:])
	case pattern[0] == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	return pattern[0] == name[0] && like(pattern[1:], name[1:])
}

// grantFindings: what Serval's account may not do on a cluster's primary and
// must.
func (r *factReader) grantFindings(ctx context.Context, cat *catalog.Catalog, cluster string, replicas bool) (out []Finding) {
	rows, err := r.servers.Select(ctx, cluster, "SHOW GRANTS")
	if err != nil {
		return nil // nobody is kept from seeing the own ones; clusterFindings tells of a server that is away
	}
	g := parseGrants(rows)
	if g.roles {
		return nil // what they bring does not stand there
	}
	add := func(missing, needs []string, database, without string) {
		on := "*.*"
		if database != "" {
			on = sqlval.QuoteName(strings.ReplaceAll(database, "_", `\_`)) + ".*"
		}
		out = append(out, Finding{Shard: -1, What: fmt.Sprintf("the backend account lacks %s on %s of cluster %s: %s", strings.Join(missing, ", "), strings.ReplaceAll(on, `\_`, "_"), cluster, without),
			Do: "run there, as its administrator: GRANT " + strings.Join(needs, ", ") + " ON " + on + " TO " + g.account})
	}
	for _, n := range wholeNeeds[r.known[cluster].flavor] {
		if (!n.several || len(r.cfg.Clusters) > 1) && (!n.replicas || replicas) && !g.has(n.privilege, "") {
			add([]string{n.privilege}, []string{n.privilege}, "", n.without)
		}
	}
	if m := g.missing("serval_meta", metaNeeds); len(m) > 0 {
		add(m, metaNeeds, "serval_meta", "decisions of transactions, definitions under way and sequences stand there")
	}
	for _, database := range databasesOn(cat, cluster) {
		if m := g.missing(database, dataNeeds); len(m) > 0 {
			add(m, dataNeeds, database, "statements that need it fail there")
		}
	}
	return out
}

func (g *grants) missing(database string, needs []string) []string {
	return slices.DeleteFunc(slices.Clone(needs), func(p string) bool { return g.has(p, database) })
}

// databasesOn are the databases of schemas that a cluster has, sorted.
func databasesOn(cat *catalog.Catalog, cluster string) []string {
	var all []string
	for _, s := range cat.Schemas {
		if cat.HomeOf(s.Name) == cluster {
			all = append(all, s.Name)
		}
		for _, t := range s.Tables {
			if t.Placement == nil {
				continue
			}
			for _, shard := range t.Placement.Shards {
				if shard.Cluster == cluster {
					all = append(all, shard.Database)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
