package session

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// lockStatement answers LOCK TABLES: on each cluster where one of the tables
// stands, the session keeps a connection to the primary that locks all of the
// table's shards there. A shard whose name is not the table's is locked under
// both, since the table's is the alias it gets in statements.
func (s *Session) lockStatement(ctx context.Context, tokens []token) (bool, error) {
	if len(tokens) < 3 || !tokens[1].is("TABLES") && !tokens[1].is("TABLE") {
		return true, sqlerr.Refuse("this form of LOCK", "only LOCK TABLES is supported", "")
	}
	byCluster := map[string][]string{}
	for rest := tokens[2:]; len(rest) > 0; {
		var part []token
		part, rest = cutAtComma(rest)
		if err := s.lockPart(part, byCluster); err != nil {
			return true, err
		}
	}
	if err := s.commit(ctx); err != nil {
		return true, err
	}
	if err := s.freeLocks(ctx); err != nil {
		return true, err
	}
	if err := s.awaitAll(ctx); err != nil {
		return true, err
	}
	for _, cluster := range slices.Sorted(maps.Keys(byCluster)) {
		if err := s.lockOn(ctx, cluster, byCluster[cluster]); err != nil {
			_ = s.freeLocks(ctx) // all or none
			return true, err
		}
	}
	s.ok(wire.OK{})
	return true, nil
}

// lockPart reads "name [[AS] alias] READ [LOCAL] | [LOW_PRIORITY] WRITE" and
// adds what each cluster has to lock.
func (s *Session) lockPart(part []token, byCluster map[string][]string) error {
	i := slices.IndexFunc(part, func(t token) bool { return t.is("READ") || t.is("WRITE") || t.is("LOW_PRIORITY") })
	if i < 1 {
		return syntaxError(words(part))
	}
	mode, name := words(part[i:]), part[:i]
	switch mode {
	case "READ", "READ LOCAL", "WRITE", "LOW_PRIORITY WRITE":
	default:
		return syntaxError(mode)
	}
	schema, table := s.settings.db, name[0].name()
	name = name[1:]
	if len(name) > 1 && name[0].op(".") {
		schema, table, name = table, name[1].name(), name[2:]
	}
	if len(name) > 0 && name[0].is("AS") {
		name = name[1:]
	}
	alias := ""
	if len(name) == 1 {
		alias, name = name[0].name(), nil
	}
	if len(name) > 0 {
		return syntaxError(words(part))
	}
	if schema == "" {
		return sqlerr.New(sqlerr.NoDB, "No database selected")
	}
	if !allowed(s.c.User, schema) || s.c.User.ReadOnly && mode != "READ" && mode != "READ LOCAL" {
		return sqlerr.New(sqlerr.TableAccessDenied, "LOCK TABLES command denied to user '%s'@'%s' for table '%s'", s.c.User.Name, host(s.c.Remote), table)
	}
	places := s.places(schema, table)
	if sameDatabase(places) {
		return sqlerr.Refuse("LOCK TABLES of "+table, "several of its shards are tables of one database, which a server cannot lock under one name",
			"use a transaction (mysqldump --single-transaction --skip-lock-tables)")
	}
	for _, shard := range places {
		physical := sqlval.QuoteName(shard.Database) + "." + sqlval.QuoteName(shard.Table)
		list := byCluster[shard.Cluster]
		if alias == "" {
			list = append(list, physical+" "+mode)
		}
		// A table's own name is an alias already, and naming it twice is an error.
		if as := orWord(alias, table); as != shard.Table {
			list = append(list, physical+" AS "+sqlval.QuoteName(as)+" "+mode)
		}
		byCluster[shard.Cluster] = list
	}
	return nil
}

// sameDatabase reports that two of the shards stand in one database.
func sameDatabase(shards []topology.Shard) bool {
	type database struct{ cluster, name string }
	seen := map[database]bool{}
	for _, s := range shards {
		d := database{s.Cluster, s.Database}
		if seen[d] {
			return true
		}
		seen[d] = true
	}
	return false
}

func orWord(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// places are the shards of a table, one for a table without a rule.
func (s *Session) places(schema, table string) []topology.Shard {
	cat := s.deps.Catalog.Load()
	if t := cat.Table(schema, table); t != nil && t.Placement != nil {
		return t.Placement.Shards
	}
	return []topology.Shard{{Cluster: cat.HomeOf(schema), Database: schema, Table: table}}
}

func (s *Session) lockOn(ctx context.Context, cluster string, tables []string) error {
	s.lease.prepare(false)
	s.lease.pins = pinLockTables
	conns, err := s.lease.Acquire(ctx, cluster, topology.TargetPrimary, 1)
	if err != nil {
		return err
	}
	_, err = conns[0].Exec(ctx, "LOCK TABLES "+strings.Join(tables, ", "))
	s.lease.Release(conns[0], err)
	return err
}

// unlock answers UNLOCK TABLES.
func (s *Session) unlock(ctx context.Context, tokens []token) (bool, error) {
	if len(tokens) != 2 || !tokens[1].is("TABLES") && !tokens[1].is("TABLE") {
		return false, nil
	}
	if err := s.freeLocks(ctx); err != nil {
		return true, err
	}
	s.ok(wire.OK{})
	return true, nil
}

// locksTables reports that the session holds LOCK TABLES.
func (s *Session) locksTables() bool {
	for _, p := range s.pinned {
		if p.has(pinLockTables) {
			return true
		}
	}
	return false
}

// freeLocks unlocks on every cluster where LOCK TABLES made the session keep a
// connection, which then is shared again unless something else lives on it. As
// on MySQL it commits what was done under the locks.
func (s *Session) freeLocks(ctx context.Context) error {
	for cluster, p := range s.pinned {
		if !p.has(pinLockTables) {
			continue
		}
		if err := s.commit(ctx); err != nil {
			return err
		}
		if _, err := p.conn.Exec(ctx, "UNLOCK TABLES"); err != nil {
			s.losePin(cluster)
			return err
		}
		if p.why = without(p.why, pinLockTables); len(p.why) == 0 {
			delete(s.pinned, cluster)
			p.conn.Release(nil)
		}
	}
	s.publishPins()
	unread := s.unread
	s.unread = nil
	return s.refresh(ctx, unread)
}
