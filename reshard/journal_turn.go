package reshard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/servaldb/serval/internal/sqlval"
)

// Turn makes a job go the other way, once the rules have changed: positions are
// where the streams of the tables that serve now begin, by cluster; primaries are
// PrimariesOf the layout, nil where that is not known.
func (l *JobLog) Turn(ctx context.Context, j *Job, positions, primaries map[string]string) error {
	to, err := j.Stage.After(CutOver)
	if err != nil {
		return err
	}
	statements := []string{"BEGIN", fmt.Sprintf("DELETE FROM %s WHERE job = %d AND kind IN ('%s', '%s')", partsTable, j.ID, partPosition, partPrimary)}
	var rows []string
	for kind, values := range map[string]map[string]string{partPosition: positions, partPrimary: primaries} {
		for _, cluster := range sortedKeys(values) {
			rows = append(rows, fmt.Sprintf("(%d, '%s', %s, '', '', %s)", j.ID, kind, quote(cluster), quote(values[cluster])))
		}
	}
	if len(rows) > 0 {
		statements = append(statements, "INSERT INTO "+partsTable+" (job, kind, cluster, db, tbl, gtids) VALUES "+strings.Join(rows, ", "))
	}
	statements = append(statements, fmt.Sprintf("UPDATE %s SET stage = %s, verified = '', trouble = '', changed_at = UTC_TIMESTAMP(6) WHERE id = %d", jobsTable, quote(string(to)), j.ID), "COMMIT")
	for _, sql := range statements {
		if err := l.exec(ctx, sql); err != nil {
			return err // the connection, and with it what is not committed, goes with the worker
		}
	}
	j.Stage, j.Verified = to, ""
	return nil
}

// DropOld drops the tables that were put aside, one after the other with a pause
// between, and ends the job. dropped, if not nil, is told of each.
func DropOld(ctx context.Context, servers JobServers, log *JobLog, j *Job, back *Layout, pause time.Duration, dropped func(string)) error {
	if j.Stage != Finishing {
		if err := log.Become(ctx, j, Finish); err != nil {
			return err
		}
	}
	first := true
	for _, t := range back.Tables {
		for _, old := range t.Targets {
			if !first {
				if err := sleep(ctx, pause); err != nil {
					return err
				}
			}
			first = false
			name := sqlval.QuoteName(old.Shard.Database) + "." + sqlval.QuoteName(old.New)
			if err := servers.Exec(ctx, old.Shard.Cluster, "DROP TABLE IF EXISTS "+name); err != nil {
				return fmt.Errorf("table %s on cluster %s: %w", name, old.Shard.Cluster, err)
			}
			if dropped != nil {
				dropped(old.Shard.Database + "." + old.New + " on " + old.Shard.Cluster)
			}
		}
	}
	if err := log.forget(ctx, j); err != nil {
		return err
	}
	return log.Become(ctx, j, Dropped)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
