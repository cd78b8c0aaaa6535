package reshard

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

var tableCounter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// newDefinition is the statement that makes a target as the source is, from the
// source's SHOW CREATE TABLE: with foreign keys to tables beside, and with the names of
// constraints that the table has in the end; those that a server makes itself go with
// the table's name, which changes then.
func newDefinition(show string, l *Layout, t *Table, source topology.Shard, x Target) (string, error) {
	_, body, ok := strings.Cut(show, "` (\n")
	end := strings.LastIndex(body, "\n)")
	if !ok || end < 0 {
		return "", fmt.Errorf("SHOW CREATE TABLE %s gave %q", physical(source), show)
	}
	if loc := strings.Index(body[end:], " AUTO_INCREMENT="); loc >= 0 { // only the table's options, not a comment of a column
		body = body[:end] + tableCounter.ReplaceAllString(body[end:], "")
	}
	var lines, foreign []string
	for line := range strings.SplitSeq(body[:end], "\n") {
		if line = strings.TrimSuffix(line, ","); foreignLine.MatchString(line) {
			foreign = append(foreign, line)
		} else {
			lines = append(lines, line)
		}
	}
	foreign, err := l.carryForeign(foreign, t, source, x)
	if err != nil {
		return "", err
	}
	columns := shardrule.LogicalDefinition(strings.Join(lines, ",\n"), t.Name, source.Table)
	columns = shardrule.ShardDefinition(columns, t.Name, x.Shard.Table)
	columns = strings.ReplaceAll(columns, "CONSTRAINT `"+x.Shard.Table+"_chk_", "CONSTRAINT `"+x.New+"_chk_")
	return "CREATE TABLE " + sqlval.QuoteName(x.Shard.Database) + "." + sqlval.QuoteName(x.New) + " (\n" + strings.Join(append([]string{columns}, foreign...), ",\n") + body[end:], nil
}

// create makes the job's databases and tables that are not there. Each is written
// down before, and only if it was not there then: so cancel drops nothing that is
// not the job's.
func create(ctx context.Context, servers JobServers, log *JobLog, j *Job, layout *Layout) error {
	own, err := log.allMade(ctx, j)
	if err != nil {
		return err
	}
	c := creation{servers: servers, log: log, job: j, own: own, layout: layout}
	for _, t := range layout.Tables {
		for _, x := range t.Targets {
			if err := c.like(ctx, t, x); err != nil {
				return fmt.Errorf("table %s of %s on cluster %s: %w", x.New, x.Shard.Database, x.Shard.Cluster, err)
			}
		}
	}
	return nil
}

// adopt takes in what has been made since the cut over, for new periods: the tables
// that serve are the job's from now on, and their rows are to be read; those that the
// rules before would have are made.
func adopt(ctx context.Context, servers JobServers, log *JobLog, j *Job, back *Layout) error {
	own, err := log.allMade(ctx, j)
	if err != nil {
		return err
	}
	c := creation{servers: servers, log: log, job: j, own: own, layout: back}
	for _, t := range back.Tables {
		for _, a := range t.Aside {
			m := made{a.Shard.Cluster, a.Shard.Database, a.Old}
			if own[m] {
				continue
			}
			if err := log.Parts(j).SavePart(ctx, Part{Schema: t.Schema, Table: t.Name, Source: a.Shard}); err != nil {
				return err
			}
			if err := log.making(ctx, j, m); err != nil {
				return err
			}
		}
		for _, x := range t.Targets {
			if err := c.again(ctx, t, x); err != nil {
				return fmt.Errorf("table %s of %s on cluster %s: %w", x.New, x.Shard.Database, x.Shard.Cluster, err)
			}
		}
	}
	return nil
}

// again makes a table of the rules before that is not there.
func (c *creation) again(ctx context.Context, t *Table, x Target) error {
	rows, err := c.servers.Select(ctx, x.Shard.Cluster, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(x.Shard.Database)+" AND TABLE_NAME = "+quote(x.New))
	if err != nil || len(rows) > 0 {
		return err
	}
	return c.like(ctx, t, x)
}

// like makes a target like one of the tables that serve, in a database like that
// one's.
func (c *creation) like(ctx context.Context, t *Table, x Target) error {
	source := t.model()
	rows, err := c.servers.Select(ctx, source.Cluster, "SHOW CREATE TABLE "+tableSQL(source))
	if err != nil {
		return fmt.Errorf("%s: %w", physical(source), err)
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return fmt.Errorf("SHOW CREATE TABLE %s gave nothing", physical(source))
	}
	sql, err := newDefinition(string(rows[0][1]), c.layout, t, source, x)
	if err == nil {
		err = c.database(ctx, source, x.Shard)
	}
	if err == nil {
		err = c.table(ctx, x, sql)
	}
	return err
}

// model is a physical table that new ones are made like.
func (t *Table) model() topology.Shard {
	if len(t.Sources) > 0 {
		return t.Sources[0]
	}
	return t.From.Shards[0] // all of its rows stay
}

// creation makes what a job needs.
type creation struct {
	servers JobServers
	log     *JobLog
	job     *Job
	own     map[made]bool
	layout  *Layout
}

// database makes the target's, with the character set of the source's.
func (c *creation) database(ctx context.Context, source, at topology.Shard) error {
	m := made{at.Cluster, at.Database, ""}
	exists := "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "
	rows, err := c.servers.Select(ctx, at.Cluster, exists+quote(at.Database))
	if err != nil || len(rows) > 0 {
		return err
	}
	if rows, err = c.servers.Select(ctx, source.Cluster, exists+quote(source.Database)); err != nil || len(rows) != 1 {
		return fmt.Errorf("the character set of database %s: %d answers, %w", source.Database, len(rows), err)
	}
	if err := c.log.making(ctx, c.job, m); err != nil {
		return err
	}
	c.own[m] = true
	return c.servers.Exec(ctx, at.Cluster, "CREATE DATABASE IF NOT EXISTS "+sqlval.QuoteName(at.Database)+" CHARACTER SET "+string(rows[0][0])+" COLLATE "+string(rows[0][1]))
}

func (c *creation) table(ctx context.Context, x Target, sql string) error {
	m := made{x.Shard.Cluster, x.Shard.Database, x.New}
	rows, err := c.servers.Select(ctx, m.cluster, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(m.database)+" AND TABLE_NAME = "+quote(m.table))
	switch {
	case err != nil:
		return err
	case len(rows) > 0 && c.own[m]:
		return nil // a worker before this one made it
	case len(rows) > 0:
		return fmt.Errorf("it is there already, and not of this job; drop it, if nobody needs it")
	}
	if !c.own[m] {
		if err := c.log.making(ctx, c.job, m); err != nil {
			return err
		}
		c.own[m] = true
	}
	return c.servers.Exec(ctx, m.cluster, sql)
}

// dropMade drops what a job has made, the databases where they are empty: as if
// it had not been.
func dropMade(ctx context.Context, servers JobServers, log *JobLog, j *Job) error {
	own, err := log.allMade(ctx, j)
	if err != nil {
		return err
	}
	for m := range own {
		if m.table == "" {
			continue
		}
		err := servers.Exec(ctx, m.cluster, "DROP TABLE IF EXISTS "+sqlval.QuoteName(m.database)+"."+sqlval.QuoteName(m.table))
		if err != nil && sqlerr.From(err).Code != sqlerr.BadDB {
			return fmt.Errorf("table %s.%s on cluster %s: %w", m.database, m.table, m.cluster, err)
		}
	}
	for m := range own {
		if m.table != "" {
			continue
		}
		rows, err := servers.Select(ctx, m.cluster, "SELECT (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(m.database)+
			") + (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = "+quote(m.database)+")")
		if err == nil && len(rows) == 1 && string(rows[0][0]) == "0" {
			err = servers.Exec(ctx, m.cluster, "DROP DATABASE IF EXISTS "+sqlval.QuoteName(m.database))
		}
		if err != nil {
			return fmt.Errorf("database %s on cluster %s: %w", m.database, m.cluster, err)
		}
	}
	return log.forget(ctx, j)
}
