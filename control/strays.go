package control

import (
	"context"
	"strconv"

	"github.com/servaldb/serval/catalog"
)

// mostPrograms bounds the stored programs and views that are read of one cluster;
// where there are more, none are known.
const mostPrograms = 20_000

// programs reads the stored programs and views of the databases at each home, for
// they may name tables whose rows are elsewhere. Those of a cluster that does not
// answer stay as they were.
func (r *factReader) programs(ctx context.Context, plain *catalog.Catalog) map[string][]catalog.Program {
	ruled := false
	for _, s := range plain.Schemas {
		ruled = ruled || len(s.Tables) > 0
	}
	out := map[string][]catalog.Program{}
	for cluster, where := range homeDatabases(plain) {
		if !ruled {
			break
		}
		programs, err := []catalog.Program(nil), error(nil)
		if _, ok := r.ask(ctx, cluster); ok {
			if programs, err = readPrograms(ctx, r.servers, cluster, where); err != nil {
				r.fail(cluster, err)
			}
		}
		if r.down[cluster] != nil {
			programs = r.old.Programs[cluster]
		}
		if len(programs) > 0 {
			out[cluster] = programs
		}
	}
	return out
}

// homeDatabases are, by cluster, the databases that are at home there, as a
// condition without the column.
func homeDatabases(plain *catalog.Catalog) map[string]string {
	named := map[string][]string{}
	for name := range plain.Schemas {
		cluster := plain.HomeOf(name)
		named[cluster] = append(named[cluster], name)
	}
	out := map[string]string{}
	for cluster, names := range named {
		out[cluster] = "IN (" + quoteAll(names) + ")"
	}
	if plain.Home != "" {
		out[plain.Home] = "NOT IN (" + quoteAll(notAtHome(plain)) + ")"
	}
	return out
}

func readPrograms(ctx context.Context, s Servers, cluster, where string) ([]catalog.Program, error) {
	rows, err := s.Select(ctx, cluster, "SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME, '', ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA "+where+
		" UNION ALL SELECT 'TRIGGER', EVENT_OBJECT_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA "+where+
		" UNION ALL SELECT 'VIEW', TABLE_SCHEMA, TABLE_NAME, '', VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA "+where+
		" LIMIT "+strconv.Itoa(mostPrograms+1))
	if err != nil || len(rows) > mostPrograms {
		return nil, err
	}
	out := make([]catalog.Program, len(rows))
	for i, r := range rows {
		out[i] = catalog.Program{Kind: string(r[0]), Schema: string(r[1]), Name: string(r[2]), On: string(r[3]), Text: string(r[4])}
	}
	return out, nil
}

// strays are the programs that a catalog's rules make dangerous.
func (f *Facts) strays(c *catalog.Catalog) catalog.Strays {
	var all []catalog.Program
	for _, programs := range f.Programs {
		all = append(all, programs...)
	}
	return c.StraysOf(all)
}
