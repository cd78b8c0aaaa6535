package reshard

import (
	"context"
	"fmt"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
)

// MayDefine is nil where no job moves a table (empty: any of the schema), whose
// definition may be changed then; else an error for the client. The journals of
// jobs are on one of the clusters: one that does not answer is an error, too.
func MayDefine(ctx context.Context, servers Asker, clusters []string, schema, table string) error {
	for _, cluster := range clusters {
		rows, err := servers.Select(ctx, cluster, "SELECT id, stage, tables FROM "+jobsTable+" WHERE stage NOT IN ('"+string(Finished)+"', '"+string(Cancelled)+"')")
		if err != nil {
			e := sqlerr.From(err)
			if e.Code == sqlerr.NoSuchTable || e.Code == sqlerr.BadDB {
				continue
			}
			return (&sqlerr.Error{Code: e.Code, State: e.State, Message: fmt.Sprintf("whether serval reshard moves table %s.%s could not be read on cluster %s: %s", schema, table, cluster, e.Message)}).WithCause(err)
		}
		for _, r := range rows {
			if moved := movedOf(string(r[2]), schema, table); moved != "" {
				return refuseDefinition(string(r[0]), Stage(r[1]), moved)
			}
		}
	}
	return nil
}

// movedOf is the first of a job's tables that is the one asked for, or of the schema.
func movedOf(tables, schema, table string) string {
	for name := range strings.SplitSeq(tables, ", ") {
		if strings.EqualFold(name, schema+"."+table) || table == "" && len(name) > len(schema) && name[len(schema)] == '.' && strings.EqualFold(name[:len(schema)], schema) {
			return name
		}
	}
	return ""
}

func refuseDefinition(job string, stage Stage, table string) error {
	do := "serval reshard cutover and finish end the job, cancel takes it back"
	switch stage {
	case Reversing, Returning:
		do = "serval reshard finish ends the job"
	case Finishing:
		do = "serval reshard finish ends it"
	case Cancelling:
		do = "serval reshard cancel ends it"
	case Planned, Creating, Copying, Following, Cutting, Finished, Cancelled:
	}
	return sqlerr.Refuse("a change of the definition of "+table, fmt.Sprintf("reshard job %s (%s) moves it, and its old and new tables have to stay alike", job, stage), do+"; then run it again")
}
