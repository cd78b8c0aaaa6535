package reshard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// moving is one logical table on its way. Immutable but for its sources' progress.
type moving struct {
	*Table
	// columns are those that are read and written: all but generated ones.
	columns []column
	// key are the indexes in columns of the primary key, in its order.
	key []int
	// uniques are the other unique keys of the targets, as indexes in columns; one
	// that has a generated column or an expression is not told apart: nil.
	uniques [][]int
	// careful: the targets have unique keys besides the primary one.
	careful bool
	// lookAround: rows of two sources may be equal in the primary key, for the
	// old rule's column is not in it.
	lookAround bool
	sources    []*source
	targets    []*target
	place      *placer
	// reads is the list of the columns.
	reads string
	tries struct {
		sync.Mutex
		of map[string]int // by key, of the few that collide
	}
}

// source is one physical table that rows are read from.
type source struct {
	mv    *moving
	shard topology.Shard
	// name is `database`.`table`.
	name string
	// parent is the table, named likewise, whose rows this one's follow; empty of any
	// other.
	parent string
	// selects is the list of what is read of a row, columns first.
	selects string
	// stored are all columns as the binlog has them.
	stored []column
	// turn is held shared by who settles keys of it, and alone by who copies a chunk,
	// between read and write.
	turn sync.RWMutex
	mu   struct {
		sync.Mutex
		part Part
	}
}

// target is one physical table that is filled.
type target struct {
	Target
	name string
	// parent is as a source's.
	parent string
}

func (s *source) part() Part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.part
}

func (s *source) restore(p Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.part = p
}

// String names the table for people.
func (s *source) String() string {
	return s.shard.Database + "." + s.shard.Table + " on cluster " + s.shard.Cluster
}

// rowState is the session in which rows are read and written as they are.
var rowState = &backend.State{Vars: []backend.Var{
	{Name: "character_set_results", SQL: "'binary'"},
	{Name: "foreign_key_checks", SQL: "0"},
	{Name: "innodb_lock_wait_timeout", SQL: "3"},
	{Name: "lock_wait_timeout", SQL: "3"}, // of LOCK TABLES and ALTER: a year or a day else
	{Name: "sql_mode", SQL: "'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"},
	{Name: "time_zone", SQL: "'+00:00'"},
}}

// giveUpAfter is how long something is tried again while a cluster cannot be
// reached, before the job stops with the reason; it can be started again.
const giveUpAfter = 10 * time.Minute

// with runs f on a connection to the cluster's primary, again while the server is
// lost, does not take writes, or ended f's transaction for the benefit of others.
// So f must bear being run twice.
func (m *Mover) with(ctx context.Context, cluster string, f func(c *backend.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, giveUpAfter, fmt.Errorf("cluster %s could not be reached for %v", cluster, giveUpAfter))
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := m.once(ctx, cluster, f)
		if err == nil || ctx.Err() != nil || !Passing(err) {
			return err
		}
		m.log.Debug("trying again", "cluster", cluster, "why", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

func (m *Mover) once(ctx context.Context, cluster string, f func(c *backend.Conn) error) (err error) {
	conns, err := m.cfg.Servers.Acquire(ctx, backend.Want{Cluster: cluster, N: 1})
	if err != nil {
		return err
	}
	c := conns[0]
	defer func() { c.Release(err) }()
	defer c.Arm(ctx)()
	c.Want(rowState)
	return f(c)
}

// errDupEntry is ER_DUP_ENTRY.
const errDupEntry = 1062

// Passing: a server is away or busy, and the same may work later.
func Passing(err error) bool {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case sqlerr.CannotConnect, sqlerr.ServerLost, sqlerr.ServerShutdown, sqlerr.OptionPreventsWrite, sqlerr.TooManyConnections,
		sqlerr.QueryInterrupted, sqlerr.LockWaitTimeout, sqlerr.Deadlock:
		return true
	}
	return false
}

// answer reads the next answer of a connection, row by row; f may keep the row.
// A server's error leaves the connection usable.
func answer(c *backend.Conn, f func(row [][]byte) error) error {
	var failed error
	err := eachRow(c, func(row [][]byte) error {
		if failed == nil {
			failed = f(row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return failed
}

// eachRow is answer that stops at f's first error, with rows not read.
func eachRow(c *backend.Conn, f func(row [][]byte) error) error {
	h, err := c.Header()
	if err != nil || h.Columns == nil {
		return err
	}
	var spans []wire.Span
	for {
		p, err := c.Row()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p = append([]byte(nil), p...)
		if spans, err = wire.TextSpans(spans[:0], p, len(h.Columns)); err != nil {
			return err
		}
		row := make([][]byte, len(spans))
		for i, sp := range spans {
			row[i] = sp.Of(p)
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// query runs one statement and gives its rows to f.
func query(c *backend.Conn, sql string, f func(row [][]byte) error) error {
	c.Query([]byte(sql))
	if err := c.Flush(); err != nil {
		return err
	}
	return answer(c, f)
}

// exec runs one statement that gives no rows.
func exec(c *backend.Conn, sql string) error {
	return query(c, sql, func([][]byte) error { return nil })
}

// open reads how a table is defined on all its servers.
func (m *Mover) open(ctx context.Context, t *Table) (*moving, error) {
	mv := &moving{Table: t}
	for _, shard := range t.Sources {
		columns, err := m.columnsOf(ctx, shard.Cluster, shard.Database, shard.Table)
		if err != nil {
			return nil, err
		}
		src := &source{mv: mv, shard: shard, name: sqlval.QuoteName(shard.Database) + "." + sqlval.QuoteName(shard.Table), stored: columns}
		src.mu.part = Part{Schema: t.Schema, Table: t.Name, Source: shard}
		mv.sources = append(mv.sources, src)
	}
	if len(mv.sources) == 0 {
		return mv, nil
	}
	for _, c := range mv.sources[0].stored {
		if !c.generated {
			mv.columns = append(mv.columns, c)
		}
	}
	if err := mv.findKey(t.Definition.PrimaryKey); err != nil {
		return nil, err
	}
	for _, tgt := range t.Targets {
		columns, err := m.columnsOf(ctx, tgt.Shard.Cluster, tgt.Shard.Database, tgt.New)
		if err == nil {
			err = sameColumns(mv.columns, columns)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.%s on cluster %s: %w", tgt.Shard.Database, tgt.New, tgt.Shard.Cluster, err)
		}
		mv.targets = append(mv.targets, &target{Target: tgt, name: sqlval.QuoteName(tgt.Shard.Database) + "." + sqlval.QuoteName(tgt.New)})
	}
	for _, src := range mv.sources[1:] {
		if err := sameColumns(mv.columns, src.stored); err != nil {
			return nil, fmt.Errorf("%s: %w", src, err)
		}
	}
	if err := m.uniqueKeys(ctx, mv); err != nil {
		return nil, err
	}
	return mv, mv.prepare()
}

// findKey finds the primary key's columns.
func (mv *moving) findKey(names []string) error {
	if len(names) == 0 {
		return errors.New("it has no primary key, by which its changed rows could be found again")
	}
	for _, name := range names {
		i := indexOf(mv.columns, name)
		if i < 0 {
			return fmt.Errorf("its primary key's column %s is generated or missing", name)
		}
		if err := mv.columns[i].followable(); err != nil {
			return err
		}
		mv.key = append(mv.key, i)
	}
	return nil
}

func indexOf(columns []column, name string) int {
	for i := range columns {
		if strings.EqualFold(columns[i].name, name) {
			return i
		}
	}
	return -1
}

// sameColumns: all columns wanted are there, of the same type.
func sameColumns(want, have []column) error {
	n := 0
	for i := range have {
		if !have[i].generated {
			n++
		}
	}
	if n != len(want) {
		return fmt.Errorf("the table has %d columns with values of their own and not %d", n, len(want))
	}
	for _, w := range want {
		i := indexOf(have, w.name)
		if i < 0 || have[i].generated {
			return fmt.Errorf("column %s is missing", w.name)
		}
		if h := have[i]; h.sqlType != w.sqlType || h.collation != w.collation {
			return fmt.Errorf("column %s is %s %s and not %s %s", w.name, h.sqlType, h.collation, w.sqlType, w.collation)
		}
	}
	return nil
}

// columnsOf reads a physical table's columns in order.
func (m *Mover) columnsOf(ctx context.Context, cluster, database, table string) ([]column, error) {
	var out []column
	sql := "SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), CHARACTER_SET_NAME, COLLATION_NAME, IFNULL(GENERATION_EXPRESSION, ''), IS_NULLABLE" +
		" FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = " + quote(database) + " AND TABLE_NAME = " + quote(table) + " ORDER BY ORDINAL_POSITION"
	err := m.with(ctx, cluster, func(c *backend.Conn) error {
		out = out[:0]
		return query(c, sql, func(row [][]byte) error {
			out = append(out, column{
				name: string(row[0]), dataType: string(row[1]), sqlType: string(row[2]), charset: string(row[3]), collation: string(row[4]),
				generated: len(row[5]) > 0, nullable: string(row[6]) == "YES",
			})
			return out[len(out)-1].classify()
		})
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("there is no table %s.%s on cluster %s", database, table, cluster)
	}
	return out, err
}

// uniqueKeys reads the unique keys that rows of different sources may collide in.
func (m *Mover) uniqueKeys(ctx context.Context, mv *moving) error {
	for i, tgt := range mv.targets {
		if i > 0 {
			break // they are made alike
		}
		keys, order := map[string][]int{}, []string{}
		sql := "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND INDEX_NAME <> 'PRIMARY' AND TABLE_SCHEMA = " +
			quote(tgt.Shard.Database) + " AND TABLE_NAME = " + quote(tgt.New) + " ORDER BY INDEX_NAME, SEQ_IN_INDEX"
		err := m.with(ctx, tgt.Shard.Cluster, func(c *backend.Conn) error {
			clear(keys)
			order = order[:0]
			return query(c, sql, func(row [][]byte) error {
				name := string(row[0])
				if _, ok := keys[name]; !ok {
					order = append(order, name)
				}
				keys[name] = append(keys[name], indexOf(mv.columns, string(row[1])))
				if row[2] != nil {
					keys[name] = append(keys[name], -1) // by a prefix only
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		mv.careful = len(order) > 0
		for _, name := range order {
			mv.uniques = append(mv.uniques, allKnown(keys[name]))
		}
	}
	return nil
}

// allKnown is the columns, nil where one is not known.
func allKnown(columns []int) []int {
	for _, c := range columns {
		if c < 0 {
			return nil
		}
	}
	return columns
}

// prepare computes what is the same for all rows.
func (mv *moving) prepare() error {
	parts := make([]string, len(mv.columns))
	for i := range mv.columns {
		parts[i] = mv.columns[i].readExpr()
	}
	var err error
	if mv.place, err = newPlacer(mv.Table); err != nil {
		return err
	}
	mv.reads = strings.Join(parts, ", ")
	for _, src := range mv.sources {
		if mv.Parent != nil {
			src.parent = tableSQL(mv.Parent.From.Shards[src.shard.Index])
		}
		src.selects = strings.Join(append(slices.Clip(parts), mv.place.exprsOf(src.name, src.parent)...), ", ")
	}
	for _, tgt := range mv.targets {
		if mv.Parent != nil {
			tgt.parent = mv.Parent.newName(tgt.Index)
		}
	}
	mv.lookAround = len(mv.sources) > 1 && !mv.keyHas(mv.From)
	return nil
}

// primaryGTIDs is what the cluster's primary has committed, in its own spelling.
func (m *Mover) primaryGTIDs(ctx context.Context, cluster string) (string, error) {
	var set string
	err := m.with(ctx, cluster, func(c *backend.Conn) error {
		sql := "SELECT @@GLOBAL.gtid_executed"
		if c.Flavor() == topology.FlavorMariaDB {
			sql = "SELECT @@GLOBAL.gtid_binlog_pos"
		}
		return query(c, sql, func(row [][]byte) error {
			set = strings.ReplaceAll(string(row[0]), "\n", "")
			return nil
		})
	})
	return set, err
}
