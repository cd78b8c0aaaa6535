package reshard

import (
	"context"
	"fmt"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
)

// RaiseSequences makes the numbers that Serval gives for sharded tables begin above
// all that are in the tables that are about to serve: a table that was sharded
// before has a row in serval_meta.sequences that did not move while it was in one
// place. home is the cluster of a schema's sequences. Writes are held.
func RaiseSequences(ctx context.Context, servers JobServers, l *Layout, home func(schema string) string) error {
	for _, t := range l.Tables {
		column := t.Definition.AutoIncrement
		if column == "" || t.To.Kind != shardrule.Sharded {
			continue
		}
		var most int64
		for _, target := range t.Targets {
			rows, err := servers.Select(ctx, target.Shard.Cluster, "SELECT MAX("+sqlval.QuoteName(column)+") FROM "+sqlval.QuoteName(target.Shard.Database)+"."+sqlval.QuoteName(target.New))
			if err != nil {
				return err
			}
			if len(rows) == 1 && rows[0][0] != nil {
				most = max(most, number(rows[0][0]))
			}
		}
		err := servers.Exec(ctx, home(t.Schema), fmt.Sprintf("UPDATE serval_meta.sequences SET next = GREATEST(next, %d) WHERE schema_name = %s AND table_name = %s",
			most+1, quote(t.Schema), quote(t.Name)))
		if err == nil {
			continue
		}
		if code := sqlerr.From(err).Code; code != sqlerr.BadDB && code != sqlerr.NoSuchTable {
			return err // without the table nobody has numbers yet
		}
	}
	return nil
}
