// Package reshard moves tables to another layout while applications write to
// them. DESIGN.md says how.
package reshard

import (
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Layout is what one job moves: tables whose rows are to be elsewhere by the
// new rules. Immutable.
type Layout struct {
	Tables []*Table
	// FoldNames: the servers do not tell upper from lower case in names.
	FoldNames bool
}

// Names are the tables', as schema.table.
func (l *Layout) Names() []string {
	var out []string
	for _, t := range l.Tables {
		out = append(out, t.Schema+"."+t.Name)
	}
	return out
}

// Table is one logical table on its way from one placement to another.
type Table struct {
	// Schema and Name are the logical names.
	Schema, Name string
	From, To     *shardrule.Placement
	// Parent is the table of the same layout whose rows this one's follow; nil of any
	// other.
	Parent *Table
	// Definition has the columns and the primary key; the same before and after.
	Definition *catalog.Table
	// Sources are the physical tables that rows are read from: every shard of
	// From but those that stay; of a global table one copy.
	Sources []topology.Shard
	// Targets are the physical tables of To that are made new.
	Targets []Target
	// Stays are the shards of To, by index, whose rows are in place already.
	Stays []int
	// Aside are the physical tables of From that are none of To: at the cut over
	// they get their names beside.
	Aside []Aside
}

// Aside is a physical table that serves until the cut over, and Old its name
// then, in the same database.
type Aside struct {
	Shard topology.Shard
	Old   string
}

// Target is one physical table that is filled beside what serves now.
type Target struct {
	// Index is the shard's in To.Shards, and Shard where it is in the end.
	Index int
	Shard topology.Shard
	// New is the table's name while it is filled, in Shard's database.
	New string
	// Replaces: a table of the logical table has Shard's place now, and gives way.
	Replaces bool
}
