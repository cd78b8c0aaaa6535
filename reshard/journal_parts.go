package reshard

import (
	"context"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/topology"
)

// Kinds of the journal's parts.
const (
	partCopy     = "copy"     // how far a source table is copied
	partPosition = "position" // how far a cluster's changes are taken over
	partPrimary  = "target"   // the server of a cluster that is read or written
	partTable    = "table"    // a table that the job makes
	partDatabase = "database" // a database that it makes
)

// jobParts are the parts of one job.
type jobParts struct {
	log *JobLog
	job uint64
}

// Parts are those of a job, for its Mover.
func (l *JobLog) Parts(j *Job) Journal { return &jobParts{log: l, job: j.ID} }

// key is a part's primary key as values.
func (p *jobParts) key(kind, cluster, database, table string) string {
	return fmt.Sprintf("%d, %s, %s, %s, %s", p.job, quote(kind), quote(cluster), quote(database), quote(table))
}

// SavePart implements Journal.
func (p *jobParts) SavePart(ctx context.Context, part Part) error {
	done := "0"
	if part.Done {
		done = "1"
	}
	return p.log.exec(ctx, "REPLACE INTO "+partsTable+" (job, kind, cluster, db, tbl, schema_name, table_name, last_key, num_rows, num_bytes, done) VALUES ("+
		p.key(partCopy, part.Source.Cluster, part.Source.Database, part.Source.Table)+", "+quote(part.Schema)+", "+quote(part.Table)+
		fmt.Sprintf(", X'%X', %d, %d, %s)", part.Last, part.Rows, part.Bytes, done))
}

// SavePosition implements Journal.
func (p *jobParts) SavePosition(ctx context.Context, cluster, gtids string) error {
	return p.log.exec(ctx, "REPLACE INTO "+partsTable+" (job, kind, cluster, db, tbl, gtids) VALUES ("+p.key(partPosition, cluster, "", "")+", "+quote(gtids)+")")
}

// Doubt implements Doubter: what a comparison found before does not count any more.
func (p *jobParts) Doubt(ctx context.Context, why string) error {
	j := &Job{ID: p.job}
	if err := p.log.savePrimaries(ctx, j, map[string]string{doubted: why}); err != nil {
		return err
	}
	return p.log.doubt(ctx, j)
}

// Resume is what the journal has of a job for its Mover.
func (l *JobLog) Resume(ctx context.Context, j *Job, layout *Layout) (Resume, error) {
	out := Resume{Positions: map[string]string{}}
	rows, err := l.query(ctx, fmt.Sprintf("SELECT kind, cluster, db, tbl, schema_name, table_name, last_key, num_rows, num_bytes, done, gtids FROM %s WHERE job = %d AND kind IN ('%s', '%s')",
		partsTable, j.ID, partCopy, partPosition))
	if err != nil {
		return out, err
	}
	for _, r := range rows {
		if string(r[0]) == partPosition {
			out.Positions[string(r[1])] = string(r[10])
			continue
		}
		part := Part{Schema: string(r[4]), Table: string(r[5]), Last: string(r[6]), Rows: number(r[7]), Bytes: number(r[8]), Done: string(r[9]) == "1",
			Source: topology.Shard{Cluster: string(r[1]), Database: string(r[2]), Table: string(r[3])}}
		if s := layout.source(part); s != nil {
			part.Source = *s // with its index
			out.Parts = append(out.Parts, part)
		}
	}
	return out, nil
}

// primaries are the servers that were read and written when all rows were last known to be
// there, by cluster; none are known of a job that has just begun.
func (l *JobLog) primaries(ctx context.Context, j *Job) (map[string]string, error) {
	rows, err := l.query(ctx, fmt.Sprintf("SELECT cluster, gtids FROM %s WHERE job = %d AND kind = '%s'", partsTable, j.ID, partPrimary))
	out := map[string]string{}
	for _, r := range rows {
		out[string(r[0])] = string(r[1])
	}
	return out, err
}

func (l *JobLog) savePrimaries(ctx context.Context, j *Job, ids map[string]string) error {
	p := &jobParts{log: l, job: j.ID}
	for _, cluster := range sortedKeys(ids) {
		if err := l.exec(ctx, "REPLACE INTO "+partsTable+" (job, kind, cluster, db, tbl, gtids) VALUES ("+p.key(partPrimary, cluster, "", "")+", "+quote(ids[cluster])+")"); err != nil {
			return err
		}
	}
	return nil
}

// source is the source that a part is of.
func (l *Layout) source(p Part) *topology.Shard {
	for _, t := range l.Tables {
		for i, s := range t.Sources {
			if t.Schema == p.Schema && t.Name == p.Table && s.Cluster == p.Source.Cluster && s.Database == p.Source.Database && s.Table == p.Source.Table {
				return &t.Sources[i]
			}
		}
	}
	return nil
}

// made is a table or, without one, a database that a job makes.
type made struct{ cluster, database, table string }

func (m made) kind() string {
	if m.table == "" {
		return partDatabase
	}
	return partTable
}

// making writes down that something is about to be made: from then on it is the
// job's, and cancel drops it.
func (l *JobLog) making(ctx context.Context, j *Job, m made) error {
	p := &jobParts{log: l, job: j.ID}
	return l.exec(ctx, "REPLACE INTO "+partsTable+" (job, kind, cluster, db, tbl) VALUES ("+p.key(m.kind(), m.cluster, m.database, m.table)+")")
}

// allMade is what the job has made, or was about to.
func (l *JobLog) allMade(ctx context.Context, j *Job) (map[made]bool, error) {
	rows, err := l.query(ctx, fmt.Sprintf("SELECT cluster, db, tbl FROM %s WHERE job = %d AND kind IN ('%s', '%s')", partsTable, j.ID, partTable, partDatabase))
	out := map[made]bool{}
	for _, r := range rows {
		out[made{string(r[0]), string(r[1]), string(r[2])}] = true
	}
	return out, err
}

// forget drops the parts of a job that has ended.
func (l *JobLog) forget(ctx context.Context, j *Job) error {
	return l.exec(ctx, "DELETE FROM "+partsTable+" WHERE job = "+strconv.FormatUint(j.ID, 10))
}
