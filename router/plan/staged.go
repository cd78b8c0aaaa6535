package plan

import "strings"

// Staged is a write whose rows or values must be read first, because they come
// from other shards than they go to, or because no shard can tell alone which
// rows are meant. The session reads, then writes by the rows it got, all in one
// transaction. Only the root of a plan.
type Staged struct {
	// Reads are the queries, over logical tables, whose rows one after the
	// other are written. A row has the values of every write, in their order.
	Reads []Template
	// Writes are done one after the other, each for all rows.
	Writes []StagedWrite
	// Ignore and Replace are the words of the statement.
	Ignore, Replace bool
	// Computes: values that are written are computed, other than by taking
	// columns and constants.
	Computes bool
	// Tail is ON DUPLICATE KEY UPDATE … as the client wrote it.
	Tail Template
	// Returning is RETURNING … of an Add or Remove: every row is written by itself
	// and answered with.
	Returning Template
	// None is a condition that no row of the table meets and that a server does
	// not know to be one, or it would leave out RETURNING's columns.
	None string
	// Literals are an Add's rows where all of their values are constants, which
	// need not be read; Reads are the same rows.
	Literals [][]Template
	// Selected: the rows are a SELECT's, of which a server does not tell the number
	// of one that it met.
	Selected bool
}

// Kept is what a write of a table with lookup tables must know.
type Kept struct {
	// Old are the columns whose values are read behind the write's Keys, of an
	// Add only where it meets a row; By are the keys by which that is found.
	Old, By []string
	// Sharding are the sharding columns, all of them in By.
	Sharding []string
	// Uniques are the keys with a lookup table each.
	Uniques []KeptUnique
	// Number is the place in Columns of the column that the session numbers, -1
	// for none; behind them where it is to be added. NumberName is its name.
	Number     int
	NumberName string
	// Keys are the unique keys of the table by which a row may meet others, the
	// primary key first.
	Keys []KeptKey
	// Ordered: the rows are changed one after the other, in an order that was asked
	// for; else all at once.
	Ordered bool
	// Reassigns: ON DUPLICATE KEY UPDATE assigns columns of Uniques.
	Reassigns bool
}

// KeptUnique is one unique key and its lookup table, whose columns are the
// KeptKey's: the first Own are the key, behind them are the sharding columns that
// are not in it.
type KeptUnique struct {
	KeptKey
	Own int
	// Key is the index's name and Lookup the table's.
	Key, Lookup string
}

// KeptKey are columns of the table. At are their places in the write's Columns; where
// that is -1, Default is what the row has: SQL, or DEFAULT where only a server
// can tell.
type KeptKey struct {
	Columns []string
	At      []int
	Default []string
	// Types are the columns' types, by which a value is compared as it is stored.
	Types []KeptType
}

// KeptType is a column's type in an expression: CAST(… AS Cast). Class is how its
// values are written.
type KeptType struct {
	Class KeptClass
	Cast  string
	// Zero is what NULL becomes in a column that is NOT NULL, where it is no error;
	// empty for others.
	Zero string
}

// KeptClass is a class of types of unique columns.
type KeptClass uint8

const (
	// KeptText are strings.
	KeptText KeptClass = iota
	// KeptInt are whole numbers, KeptDecimal other exact ones.
	KeptInt
	KeptDecimal
	// KeptTime are dates and times.
	KeptTime
)

// SetAt says where a column is.
func (k *KeptKey) SetAt(column string, at int) {
	for i, c := range k.Columns {
		if strings.EqualFold(c, column) {
			k.At[i] = at
		}
	}
}

// StagedWrite is what is done to one table.
type StagedWrite struct {
	Kind StagedKind
	// Table is what is written.
	Table TableName
	// Keys tell one row of the table from all others; all kinds but an Add
	// start with their values.
	Keys []string
	// Row is an expression over the table's columns that tells a row from all
	// others that are not like it, where no key does; its value is read behind
	// those of Keys. Limited: of rows that are alike only as many are meant as
	// were read; Joined: they may have been read more than once.
	Row             string
	Limited, Joined bool
	// Columns are inserted, or assigned by a Change. The values of those that
	// are ByDefault are not read.
	Columns []StagedColumn
	// Set are a Change's assignments as the client wrote them, of the table as
	// Alias, instead of Columns.
	Set   Template
	Alias string
	// Kept says what is kept of the table elsewhere; nil for most.
	Kept *Kept
	// Met is of an Add; nil where the Staged's Tail says what is done with a row
	// that is met.
	Met *Met
	// InOrder: a Change writes one row after the other, as they were read: a
	// later one may be ignored because of what an earlier one was given.
	InOrder bool
}

// OldValues is how many values of Kept.Old are read.
func (w *StagedWrite) OldValues() int {
	if w.Kept == nil || w.Kind == StagedAdd {
		return 0
	}
	return len(w.Kept.Old)
}

// KeyValues is how many values of a row tell which it is.
func (w *StagedWrite) KeyValues() int {
	if w.Row != "" {
		return len(w.Keys) + 1
	}
	return len(w.Keys)
}

// Values is how many values of a row the write takes: KeyValues, those kept
// elsewhere, those read for Columns, and the mark of a Move.
func (w *StagedWrite) Values() int {
	n := w.KeyValues() + w.OldValues()
	for _, c := range w.Columns {
		if !c.ByDefault {
			n++
		}
	}
	if w.Kind == StagedMove {
		n++
	}
	return n
}

// StagedKind is what is done by the rows.
type StagedKind uint8

const (
	// StagedAdd inserts the rows.
	StagedAdd StagedKind = iota
	// StagedChange assigns Columns in the row that has the keys.
	StagedChange
	// StagedRemove deletes the row that has the keys.
	StagedRemove
	// StagedMove deletes the row that has the keys and inserts it anew, with
	// all its Columns: its sharding key changes. The last value read is
	// MoveSame or MoveUntold, or else.
	StagedMove
)

// MoveSame marks a row that does not count as changed, MoveUntold one that has a
// TIMESTAMP whose text in the session's time zone is also another's.
const (
	MoveSame   = "1"
	MoveUntold = "2"
)

// StagedColumn is one column that is written.
type StagedColumn struct {
	Name string
	// ByDefault: DEFAULT is written.
	ByDefault bool
	// Type is the column's data type, in lower case ("varchar"), as far as it
	// is known. Places: it is the sharding column, which must be a plain value.
	Type   string
	Places bool
}

// BoundStaged is a Staged with its values.
type BoundStaged struct {
	*Staged
	// Reads, Tail, Returning and the first write's Set as SQL.
	SQL                  []string
	Tail, Returning, Set string
	// Met are the pieces of the first write's Met.
	Met []string
	// Rows are Literals.
	Rows [][]string
}

func (*Staged) isNode() {}

// Children of a Staged are none: its reads are planned when they run.
func (*Staged) Children() []Node { return nil }

func (b *binder) staged(n *Staged) {
	out := &BoundStaged{Staged: n}
	for _, r := range n.Reads {
		sql, _ := b.render(nil, nil, r, at{from: b.Args.Len()})
		out.SQL = append(out.SQL, string(sql))
	}
	tail, _ := b.render(nil, nil, n.Tail, at{from: b.Args.Len()})
	out.Tail = string(tail)
	returning, _ := b.render(nil, nil, n.Returning, at{from: b.Args.Len()})
	out.Returning = string(returning)
	if len(n.Writes) == 1 {
		set, _ := b.render(nil, nil, n.Writes[0].Set, at{from: b.Args.Len()})
		out.Set = string(set)
		if m := n.Writes[0].Met; m != nil {
			out.Met = b.bindMet(m)
		}
	}
	for _, row := range n.Literals {
		values := make([]string, len(row))
		for i, t := range row {
			sql, _ := b.render(nil, nil, t, at{from: b.Args.Len()})
			values[i] = string(sql)
		}
		out.Rows = append(out.Rows, values)
	}
	b.Staged = out
}

// line is the node as EXPLAIN FORMAT='route' shows it.
func (n *Staged) line() string {
	var lines []string
	for i := range n.Writes {
		lines = append(lines, n.Writes[i].line())
	}
	return "Stage " + strings.Join(lines, ", ")
}

func (w *StagedWrite) line() string {
	var names []string
	for _, c := range w.Columns {
		names = append(names, c.Name)
	}
	list, keys := strings.Join(names, ", "), strings.Join(w.Keys, ", ")
	if w.Row != "" {
		keys = strings.TrimPrefix(keys+", all columns", ", ")
	}
	if w.Set != nil {
		list = w.Set.String()
	}
	switch w.Kind {
	case StagedAdd:
		if w.Met != nil {
			list += "), update what is met ("
			for i := range w.Met.Set {
				list += w.Met.Set[i].SQL.String() + w.Met.Set[i].New
			}
		}
		return "insert into " + w.Table.Table + " (" + list + ")"
	case StagedChange:
		return "update " + w.Table.Table + " by (" + keys + ") set (" + list + ")"
	case StagedRemove:
		return "delete from " + w.Table.Table + " by (" + keys + ")"
	case StagedMove:
		return "move " + w.Table.Table + " by (" + keys + ")"
	}
	return ""
}

func (f *formatter) staged(n *Staged, rest string) {
	f.WriteString(n.line() + "\n")
	for i, r := range n.Reads {
		if n.Literals != nil {
			break
		}
		var sql string
		if f.bound != nil && f.bound.Staged != nil {
			sql = f.bound.Staged.SQL[i]
		} else {
			sql = r.String()
		}
		f.WriteString(rest + "  read: " + sql + "\n")
	}
	for i := range n.Writes {
		if k := n.Writes[i].Kept; k != nil {
			for j := range k.Uniques {
				f.WriteString(rest + "  kept: " + k.Uniques[j].Lookup + "\n")
			}
		}
	}
}
