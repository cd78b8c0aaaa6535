package reshard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/topology"
)

// Renames are what a cut over does to tables: one RENAME a server, which is done
// whole or not at all, on MySQL since 8.0 and on MariaDB since 10.6. They may be
// done again, by anybody. As JSON they wait in the rules' store for whoever ends a
// cut over in place of its maker.
type Renames []ServerRenames

// ServerRenames are those of one cluster.
type ServerRenames struct {
	Cluster string   `json:"cluster"`
	Pairs   []Rename `json:"pairs"`
}

// Rename gives a table another name in its database.
type Rename struct {
	Database string `json:"database"`
	From     string `json:"from"`
	To       string `json:"to"`
}

// RenamesOf are a layout's: what serves now goes aside, what is new takes its name.
func RenamesOf(l *Layout) Renames {
	byCluster := map[string][]Rename{}
	for _, t := range l.Tables {
		for _, a := range t.Aside {
			byCluster[a.Shard.Cluster] = append(byCluster[a.Shard.Cluster], Rename{a.Shard.Database, a.Shard.Table, a.Old})
		}
		for _, target := range t.Targets {
			cluster := t.servedOn(target)
			byCluster[cluster] = append(byCluster[cluster], Rename{target.Shard.Database, target.New, target.Shard.Table})
		}
	}
	out := Renames{}
	for _, cluster := range sortedKeys(byCluster) {
		out = append(out, ServerRenames{cluster, byCluster[cluster]})
	}
	return out
}

// servedOn is the cluster a target is renamed on: that of the table it replaces,
// which may be another name for the same servers.
func (t *Table) servedOn(target Target) string {
	at := target.Shard
	if target.Replaces && !slices.ContainsFunc(t.Aside, func(a Aside) bool { return a.Shard.Cluster == at.Cluster }) {
		for _, a := range t.Aside {
			if a.Shard.Database == at.Database && a.Shard.Table == at.Table {
				return a.Shard.Cluster
			}
		}
	}
	return at.Cluster
}

// Acquirer gives connections to a cluster's primary; *backend.Fleet is one.
type Acquirer interface {
	Acquire(ctx context.Context, want backend.Want) ([]*backend.Conn, error)
}

// Back are the renames that take these back.
func (r Renames) Back() Renames {
	out := slices.Clone(r)
	for i := range out {
		pairs := slices.Clone(out[i].Pairs)
		slices.Reverse(pairs)
		for j, p := range pairs {
			pairs[j] = Rename{p.Database, p.To, p.From}
		}
		out[i].Pairs = pairs
	}
	return out
}

// Text is what DecodeRenames reads.
func (r Renames) Text() ([]byte, error) { return json.Marshal(r) }

// DecodeRenames reads what Text wrote.
func DecodeRenames(data []byte) (r Renames, err error) {
	err = json.Unmarshal(data, &r)
	return r, err
}

// lockWait bounds, in seconds, the wait of a RENAME for statements that others
// than Serval run on the tables.
const lockWait = "1"

// Do renames on all servers at once, those that have it done excepted, and returns
// the GTID sets that a replica must have executed to have it done too. It returns
// when none of them is under way any more: what fails on one server does not end
// what runs on another, where it would not be known then whether it was done.
func (r Renames) Do(ctx context.Context, servers Acquirer) (map[string]string, error) {
	gtids := make([]string, len(r))
	var g errgroup.Group
	for i, one := range r {
		g.Go(func() (err error) {
			if gtids[i], err = one.do(ctx, servers); err != nil {
				return fmt.Errorf("cluster %s: %w", one.Cluster, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	floors := map[string]string{}
	for i, one := range r {
		floors[one.Cluster] = gtids[i]
	}
	return floors, nil
}

// Undo takes back what Do has done.
func (r Renames) Undo(ctx context.Context, servers Acquirer) error {
	_, err := r.Back().Do(ctx, servers)
	return err
}

func (r ServerRenames) do(ctx context.Context, servers Acquirer) (gtids string, err error) {
	conns, err := servers.Acquire(ctx, backend.Want{Cluster: r.Cluster, N: 1, NoHold: true})
	if err != nil {
		return "", err
	}
	c := conns[0]
	defer func() { c.Release(err) }()
	c.Want(&backend.State{Vars: []backend.Var{{Name: "lock_wait_timeout", SQL: lockWait}}})
	if _, err := c.Exec(ctx, r.sql()); err != nil {
		if !c.Usable() {
			return "", err
		}
		// Statements are held: whether it is done already is asked only here.
		if done, unknown := r.done(ctx, c); unknown != nil || !done {
			return "", errors.Join(err, unknown)
		}
	}
	return executed(ctx, c)
}

func (r ServerRenames) sql() string {
	var parts []string
	for _, p := range r.Pairs {
		parts = append(parts, sqlval.QuoteName(p.Database)+"."+sqlval.QuoteName(p.From)+" TO "+sqlval.QuoteName(p.Database)+"."+sqlval.QuoteName(p.To))
	}
	return "RENAME TABLE " + strings.Join(parts, ", ")
}

// done looks at the tables' names. Those that are neither as before nor as after
// were touched by somebody else.
func (r ServerRenames) done(ctx context.Context, c *backend.Conn) (bool, error) {
	gone, come := r.changes()
	there := map[Rename]bool{}
	_, rows, err := c.Select(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE "+r.condition())
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		there[Rename{Database: string(row[0]), From: string(row[1])}] = true
	}
	all := func(names []Rename, exist bool) bool {
		return !slices.ContainsFunc(names, func(n Rename) bool { return there[n] != exist })
	}
	switch {
	case all(gone, true) && all(come, false):
		return false, nil
	case all(gone, false) && all(come, true):
		return true, nil
	}
	return false, errors.New("its tables are neither as before the renames nor as after them: " + r.sql())
}

// changes are the names that are not there any more afterwards, and those that
// were not before.
func (r ServerRenames) changes() (gone, come []Rename) {
	from, to := map[Rename]bool{}, map[Rename]bool{}
	for _, p := range r.Pairs {
		from[Rename{Database: p.Database, From: p.From}] = true
		to[Rename{Database: p.Database, From: p.To}] = true
	}
	for _, p := range r.Pairs {
		if n := (Rename{Database: p.Database, From: p.From}); !to[n] {
			gone = append(gone, n)
		}
		if n := (Rename{Database: p.Database, From: p.To}); !from[n] {
			come = append(come, n)
		}
	}
	return gone, come
}

func (r ServerRenames) condition() string {
	byDatabase := map[string][]string{}
	for _, p := range r.Pairs {
		byDatabase[p.Database] = append(byDatabase[p.Database], quote(p.From), quote(p.To))
	}
	var parts []string
	for _, db := range sortedKeys(byDatabase) {
		parts = append(parts, "TABLE_SCHEMA = "+quote(db)+" AND TABLE_NAME IN ("+strings.Join(byDatabase[db], ", ")+")")
	}
	return strings.Join(parts, " OR ")
}

// executed is all the server has executed.
func executed(ctx context.Context, c *backend.Conn) (string, error) {
	sql := "SELECT @@GLOBAL.gtid_executed"
	if c.Flavor() == topology.FlavorMariaDB {
		sql = "SELECT @@GLOBAL.gtid_binlog_pos"
	}
	_, rows, err := c.Select(ctx, sql)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(rows[0][0]), "\n", ""), nil
}
