package control

import (
	"context"

	"github.com/servaldb/serval/catalog"
)

// programFindings: stored programs on the schema's home that name tables whose
// rows are not all there. Serval refuses to make and to CALL them; it cannot
// keep an event from running, or a trigger, or a function in a statement.
func (r *factReader) programFindings(ctx context.Context, cat *catalog.Catalog, schema *catalog.Schema) (out []Finding) {
	in := " = " + quote(schema.Name)
	rows, err := r.servers.Select(ctx, cat.HomeOf(schema.Name), "SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME), ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA"+in+
		" UNION ALL SELECT CONCAT('event ', EVENT_NAME), EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA"+in+
		" UNION ALL SELECT CONCAT('trigger ', TRIGGER_NAME), ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA"+in)
	if err != nil {
		return nil // clusterFindings tells of a server that is away
	}
	for _, row := range rows {
		if t := cat.NamedBy(schema.Name, string(row[1])); t != nil {
			out = append(out, Finding{Schema: schema.Name, Table: t.Name, Shard: -1, What: "the " + string(row[0]) + " on cluster " + cat.HomeOf(schema.Name) +
				" names it, and would see or change what that server alone has", Do: "drop it, and send its statements from the application"})
		}
	}
	return out
}
