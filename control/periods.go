package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// periodTable reads which periods have a table, and the definition of the
// newest. With one of its clusters away it is not known.
func (r *factReader) periodTable(ctx context.Context, name TableName, rule *config.Table) (*TableFact, bool) {
	var all []place
	for _, cluster := range rule.On {
		if _, ok := r.ask(ctx, cluster); !ok {
			return nil, false
		}
		there, err := readPlaces(ctx, r.servers, cluster, periodsWhere(name, rule))
		if err != nil {
			r.fail(cluster, err)
			return nil, false
		}
		all = append(all, there...)
	}
	periods, places := periodsAt(all, name, rule)
	if len(periods) == 0 {
		return nil, true
	}
	newest, ok := r.definition(ctx, places[periods[len(periods)-1]])
	if !ok || newest == nil {
		return nil, false
	}
	fact := *newest
	fact.Periods = periods
	return &fact, true
}

// periodsAt are the periods that have a table among all, ascending, and a table of
// each. The newest may be in the making.
func periodsAt(all []place, name TableName, rule *config.Table) ([]shardrule.Period, map[shardrule.Period]place) {
	places := map[shardrule.Period]place{}
	shards := map[shardrule.Period]int{} // that have a table
	for _, at := range all {
		if p, ok := periodOfPlace(at, name, rule); ok {
			places[p] = at
			shards[p]++
		}
	}
	periods := slices.Sorted(maps.Keys(places))
	for n := len(periods) - 1; n > 0 && shards[periods[n]] < rule.Rule.Inner(); n-- {
		periods = periods[:n] // it is being created
	}
	return periods, places
}

// PeriodShards are the shards of a table by a rule of time, as the servers have them
// at this moment; none where its rule is another.
func PeriodShards(ctx context.Context, cfg *config.Config, servers Servers, folds bool, name TableName) ([]topology.Shard, error) {
	rule := ruleOf(cfg, &Facts{FoldNames: folds}, name)
	if rule == nil || !periodic(rule) {
		return nil, nil
	}
	var all []place
	for _, cluster := range rule.On {
		there, err := readPlaces(ctx, servers, cluster, periodsWhere(name, rule))
		if err != nil {
			return nil, err
		}
		all = append(all, there...)
	}
	periods, _ := periodsAt(all, name, rule)
	return periodShards(name.Schema, name.Table, rule, periods), nil
}

func periodsWhere(name TableName, rule *config.Table) string {
	if rule.Layout == config.LayoutTables {
		return "TABLE_SCHEMA = " + quote(name.Schema) + " AND TABLE_TYPE = 'BASE TABLE'"
	}
	if rule.Rule.Composite() {
		var databases []string
		for i := range rule.Rule.Inner() {
			databases = append(databases, quote(periodPart(name.Schema, name.Table, rule, "", i).Database))
		}
		return "TABLE_SCHEMA IN (" + strings.Join(databases, ", ") + ") AND TABLE_TYPE = 'BASE TABLE'"
	}
	return "TABLE_NAME = " + quote(name.Table) + " AND TABLE_TYPE = 'BASE TABLE'"
}

// periodOfPlace is the period in a physical table's name, or its database's, of a
// table that is where the rule has it.
func periodOfPlace(at place, name TableName, rule *config.Table) (shardrule.Period, bool) {
	if rule.Rule.Composite() {
		return periodOfPart(at, name, rule)
	}
	have, prefix := at.database, name.Schema+"_"
	if rule.Layout == config.LayoutTables {
		have, prefix = at.table, name.Table+"_"
	}
	suffix, ok := strings.CutPrefix(have, prefix)
	if !ok {
		return 0, false
	}
	p, ok := calendarOf(rule).Named(suffix)
	return p, ok && periodCluster(rule.On, p) == at.cluster
}

// periodOfPart is periodOfPlace for a rule of time and more.
func periodOfPart(at place, name TableName, rule *config.Table) (shardrule.Period, bool) {
	suffix, ok := strings.CutPrefix(at.table, name.Table+"_")
	if rule.Layout == config.LayoutTables {
		suffix, _, _ = strings.Cut(suffix, "_")
	}
	p, named := calendarOf(rule).Named(suffix)
	for i := range rule.Rule.Inner() {
		s := periodPart(name.Schema, name.Table, rule, suffix, i)
		if ok && named && (place{s.Cluster, s.Database, s.Table}) == at {
			return p, true
		}
	}
	return 0, false
}

// createPeriods creates the tables that time rules want ahead: each period after
// the newest that has one, as the newest is. A period must be missing at two
// looks, so that a CREATE TABLE going on at this moment is left alone.
func (c *Controller) createPeriods(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing := map[place]bool{}
	var created []TableName
	for name, fact := range c.mu.facts.Tables {
		rule := ruleOf(c.mu.cfg, &c.mu.facts, name)
		if rule == nil || !periodic(rule) || len(fact.Periods) == 0 || c.definitionUnderWay(ctx, name) {
			continue
		}
		newest := fact.Periods[len(fact.Periods)-1]
		model := periodShards(name.Schema, name.Table, rule, []shardrule.Period{newest})[0]
		wanted := slices.DeleteFunc(wantedPeriods(rule, c.now()), func(p shardrule.Period) bool { return p <= newest })
		for _, shard := range periodShards(name.Schema, name.Table, rule, wanted) {
			at := place{shard.Cluster, shard.Database, shard.Table}
			if !c.mu.missing[at] {
				missing[at] = true
				continue
			}
			if err := c.createLike(ctx, name.Table, model, shard); err != nil {
				return fmt.Errorf("table %s: %w", placeText(shard), err)
			}
			c.log.Info("created the table of a period", "table", shard.Table, "database", shard.Database, "cluster", shard.Cluster)
			created = append(created, name)
		}
	}
	c.mu.missing = missing
	if len(created) == 0 {
		return nil
	}
	return c.refreshLocked(ctx, c.mu.cfg)
}

// definitionUnderWay: the newest table may be changed already and the period's
// not be on the list of those that are to be.
func (c *Controller) definitionUnderWay(ctx context.Context, name TableName) bool {
	rows, err := c.servers.Select(ctx, c.store.Load().HomeOf(name.Schema), "SELECT 1 FROM serval_meta.ddl_jobs WHERE state = 'running' AND schema_name = "+
		quote(name.Schema)+" AND table_name = "+quote(name.Table)+" LIMIT 1")
	return err == nil && len(rows) > 0
}

// createLike creates the table's shard as the model is, on another cluster perhaps.
func (c *Controller) createLike(ctx context.Context, table string, model, shard topology.Shard) error {
	rows, err := c.servers.Select(ctx, model.Cluster, "SHOW CREATE TABLE "+sqlval.QuoteName(model.Database)+"."+sqlval.QuoteName(model.Table))
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return fmt.Errorf("SHOW CREATE TABLE %s gave nothing", model.Table)
	}
	_, body, ok := strings.Cut(string(rows[0][1]), "` (\n")
	if !ok {
		return fmt.Errorf("SHOW CREATE TABLE %s gave %q", model.Table, rows[0][1])
	}
	body = "\n" + tableCounter.ReplaceAllString(body, "")
	body = shardrule.ShardDefinition(shardrule.LogicalDefinition(body, table, model.Table), table, shard.Table)
	if shard.Database != model.Database {
		if err := c.servers.Exec(ctx, shard.Cluster, "CREATE DATABASE IF NOT EXISTS "+sqlval.QuoteName(shard.Database)); err != nil {
			return err
		}
	}
	return c.servers.Exec(ctx, shard.Cluster,
		"CREATE TABLE IF NOT EXISTS "+sqlval.QuoteName(shard.Database)+"."+sqlval.QuoteName(shard.Table)+" ("+body)
}

// dropPeriods drops the tables of periods that rules with drop_old: do not keep,
// where no job moves them.
// Both this clock and the server's must say so: a wrong clock must not cost a
// period. Every Serval does it, and a table is dropped once.
func (c *Controller) dropPeriods(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dropped := false
	for name, fact := range c.mu.facts.Tables {
		rule := ruleOf(c.mu.cfg, &c.mu.facts, name)
		if rule == nil || !periodic(rule) || !rule.DropOld || rule.Keep == 0 {
			continue
		}
		for _, p := range fact.Periods {
			if p >= periodAt(rule, c.now())-shardrule.Period(rule.Keep-1) {
				break
			}
			if c.Moves != nil {
				if why := c.Moves(ctx, name.Schema, name.Table); why != nil {
					c.log.Debug("old periods stay for now", "table", name.Table, "why", why)
					break
				}
			}
			old, err := c.dropPeriod(ctx, name, rule, p)
			if err != nil {
				return fmt.Errorf("table %s of %s: %w", name.Table, calendarOf(rule).Name(p), err)
			}
			if !old {
				break
			}
			dropped = true
		}
	}
	if !dropped {
		return nil
	}
	return c.refreshLocked(ctx, c.mu.cfg)
}

// dropPeriod drops the tables of a period, unless it is not old by a server's
// clock.
func (c *Controller) dropPeriod(ctx context.Context, name TableName, rule *config.Table, p shardrule.Period) (old bool, err error) {
	shards := periodShards(name.Schema, name.Table, rule, []shardrule.Period{p})
	asked := map[string]bool{}
	for _, shard := range shards {
		if asked[shard.Cluster] {
			continue
		}
		asked[shard.Cluster] = true
		there, err := serverTime(ctx, c.servers, shard.Cluster)
		if err != nil {
			return false, err
		}
		if p >= periodAt(rule, there)-shardrule.Period(rule.Keep-1) {
			c.log.Warn("a period is old by this clock and not by the server's, so its table stays", "table", shard.Table, "database", shard.Database, "cluster", shard.Cluster)
			return false, nil
		}
	}
	if err := c.forgetKept(ctx, name, shards); err != nil {
		return false, err
	}
	if err := c.leaveOutLocked(name, p); err != nil {
		return false, err
	}
	for _, shard := range shards {
		if err := c.servers.Exec(ctx, shard.Cluster, "DROP TABLE IF EXISTS "+sqlval.QuoteName(shard.Database)+"."+sqlval.QuoteName(shard.Table)); err != nil {
			return false, err
		}
		c.log.Info("dropped the table of an old period", "table", shard.Table, "database", shard.Database, "cluster", shard.Cluster)
	}
	return true, nil
}

// leaveOutLocked publishes the table without a period, so that no statement of this
// Serval asks for it any more.
func (c *Controller) leaveOutLocked(name TableName, p shardrule.Period) error {
	facts := c.mu.facts
	facts.Tables = maps.Clone(facts.Tables)
	fact := *facts.Tables[name]
	fact.Periods = slices.DeleteFunc(slices.Clone(fact.Periods), func(q shardrule.Period) bool { return q == p })
	facts.Tables[name] = &fact
	return c.publishLocked(c.mu.cfg, facts)
}

// serverTime is the primary's clock.
func serverTime(ctx context.Context, s Servers, cluster string) (time.Time, error) {
	rows, err := s.Select(ctx, cluster, "SELECT UNIX_TIMESTAMP()")
	if err != nil {
		return time.Time{}, err
	}
	if len(rows) != 1 {
		return time.Time{}, fmt.Errorf("cluster %s does not say what time it is", cluster)
	}
	seconds, err := strconv.ParseInt(string(rows[0][0]), 10, 64)
	return time.Unix(seconds, 0), err
}
