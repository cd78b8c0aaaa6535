package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/types"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Definitions of tables with lookup tables: those are made before the table, so
// that whoever knows it finds them, and dropped behind it.

// lookupTables are those that the rule wants for a table.
func (p *planning) lookupTables(t *catalog.Table) []*catalog.Table {
	var out []*catalog.Table
	if len(t.WantsUnique) == 0 || t.Placement == nil {
		return nil
	}
	for _, x := range sortedTables(p.cat.Schema(t.Placement.Schema)) {
		if x.LookupOf == t.Name {
			out = append(out, x)
		}
	}
	return out
}

// wantsUnique: the rule keeps a unique key of these columns over the shards.
func wantsUnique(t *catalog.Table, columns []string) bool {
	for _, key := range t.WantsUnique {
		if sameColumnNames(key, columns) {
			return true
		}
	}
	return false
}

func sameColumnNames(a, b []string) bool {
	for _, x := range a {
		if !hasName(b, x) {
			return false
		}
	}
	return len(a) == len(b)
}

// defineKept plans CREATE, DROP and TRUNCATE of a table with lookup tables; nil for
// everything else. base is the plan without them.
func (p *planning) defineKept(t *catalog.Table, base *plan.Plan) (*plan.Plan, error) {
	lookups := p.lookupTables(t)
	if len(lookups) == 0 {
		return base, nil
	}
	root := &plan.Jobs{}
	switch n := p.st.Node.(type) {
	case *ast.CreateTableStmt:
		if len(t.Columns) > 0 {
			return base, nil // it is there: the server says so
		}
		for _, x := range lookups {
			body, err := lookupBody(n, t, x)
			if err != nil {
				return nil, err
			}
			create := &plan.Route{Choice: everywhere(x.Placement), Target: topology.TargetPrimary, Tables: []plan.TableRef{{Placement: x.Placement}},
				SQL: plan.Template{{Text: "CREATE TABLE "}, {Kind: plan.ChunkTable}, {Text: " " + body}}}
			job := p.job(x, create)
			job.Lenient = false
			root.Steps = append(root.Steps, job)
			root.Undo = append(root.Undo, p.dropLookup(x))
		}
		root.Steps = append(root.Steps, base.Root)
	case *ast.DropTableStmt:
		root.Steps = append(root.Steps, base.Root)
		for _, x := range lookups {
			root.Steps = append(root.Steps, p.dropLookup(x))
		}
	case *ast.TruncateTableStmt:
		e := &plan.Emptied{Table: plan.TableName{Schema: t.Placement.Schema, Table: t.Name}, Home: p.cat.HomeOf(t.Placement.Schema), Of: []*shardrule.Placement{t.Placement}}
		for _, x := range lookups {
			if len(x.Columns) > 0 {
				e.Of = append(e.Of, x.Placement)
			}
		}
		if len(e.Of) > 1 {
			base.Root = e
		}
		return base, nil
	default:
		return base, nil
	}
	base.Root = root
	for _, x := range lookups {
		base.Effects.Schema = append([]plan.TableName{{Schema: x.Placement.Schema, Table: x.Name}}, base.Effects.Schema...)
	}
	return base, nil
}

func (p *planning) dropLookup(x *catalog.Table) *plan.Job {
	r := &plan.Route{Choice: everywhere(x.Placement), Target: topology.TargetPrimary, Tables: []plan.TableRef{{Placement: x.Placement}},
		SQL: plan.Template{{Text: "DROP TABLE IF EXISTS "}, {Kind: plan.ChunkTable}}}
	return &plan.Job{Table: plan.TableName{Schema: x.Placement.Schema, Table: x.Name}, Home: p.cat.HomeOf(x.Placement.Schema), Verb: "drop", Lenient: true, Route: r}
}

// lookupBody defines a lookup table by the columns of the table's own definition.
func lookupBody(n *ast.CreateTableStmt, t, lookup *catalog.Table) (string, error) {
	index := definedUnique(n, lookup.LookupKey)
	if index == nil {
		return "", refuseDDL("the definition of", t, "its rule has unique: ["+joined(lookup.LookupKey)+"] and it has no unique key of just these columns, whole", "add UNIQUE KEY ("+
			joined(lookup.LookupKey)+")")
	}
	if !hasPrimaryKey(n) {
		return "", refuseDDL("the definition of", t, "its rule has unique:, and a row can only be found again by a primary key", "add a primary key")
	}
	var lines, keys []string
	for _, name := range t.Placement.LookupColumns(index) {
		c := definedColumn(n, name)
		if c == nil {
			return "", refuseDDL("the definition of", t, "it has no column "+name, "add the column, or change the rule")
		}
		def, ok := columnType(c)
		if kind := strings.ToLower(types.TypeStr(c.Tp.GetType())); !ok || !catalog.KeepsValues(kind) {
			return "", refuseDDL("the definition of", t, "values of its column "+name+" are not kept in a lookup table", "remove unique: for it from the rule")
		}
		lines = append(lines, sqlval.QuoteName(name)+" "+def)
		keys = append(keys, sqlval.QuoteName(name))
	}
	for i := range index {
		lines[i] += " NOT NULL"
	}
	body := "(" + strings.Join(lines, ", ") + ", PRIMARY KEY (" + strings.Join(keys[:len(index)], ", ") + ")) ENGINE=InnoDB"
	for _, o := range n.Options {
		switch o.Tp {
		case ast.TableOptionCharset:
			body += " DEFAULT CHARACTER SET " + o.StrValue
		case ast.TableOptionCollate:
			body += " COLLATE " + o.StrValue
		}
	}
	return body, nil
}

// definedUnique are the columns, in its order, of the unique key of just these
// whole columns; nil for none.
func definedUnique(n *ast.CreateTableStmt, key []string) []string {
	for _, c := range n.Constraints {
		switch c.Tp {
		case ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex, ast.ConstraintPrimaryKey:
			whole := true
			for _, k := range c.Keys {
				whole = whole && k.Column != nil && k.Length <= 0
			}
			if names := partNames(c.Keys); whole && sameColumnNames(key, names) {
				return names
			}
		}
	}
	for _, c := range n.Cols {
		if !sameColumnNames(key, []string{c.Name.Name.L}) {
			continue
		}
		for _, o := range c.Options {
			if o.Tp == ast.ColumnOptionUniqKey || o.Tp == ast.ColumnOptionPrimaryKey {
				return []string{c.Name.Name.L}
			}
		}
	}
	return nil
}

func hasPrimaryKey(n *ast.CreateTableStmt) bool {
	for _, c := range n.Constraints {
		if c.Tp == ast.ConstraintPrimaryKey {
			return true
		}
	}
	for _, c := range n.Cols {
		for _, o := range c.Options {
			if o.Tp == ast.ColumnOptionPrimaryKey {
				return true
			}
		}
	}
	return false
}

func definedColumn(n *ast.CreateTableStmt, name string) *ast.ColumnDef {
	for _, c := range n.Cols {
		if foldEqual(c.Name.Name.L, name) {
			return c
		}
	}
	return nil
}

// columnType is the column's type with its collation; false for a generated
// column.
func columnType(c *ast.ColumnDef) (string, bool) {
	var b strings.Builder
	if err := c.Tp.Restore(format.NewRestoreCtx(restoreFlags, &b)); err != nil {
		return "", false
	}
	for _, o := range c.Options {
		switch o.Tp {
		case ast.ColumnOptionCollate:
			b.WriteString(" COLLATE " + o.StrValue)
		case ast.ColumnOptionGenerated:
			return "", false
		}
	}
	return b.String(), true
}

// checkKeptChange refuses what would change the columns or the key that a lookup
// table follows.
func checkKeptChange(s *ast.AlterTableSpec, t *catalog.Table) error {
	if len(t.Uniques) == 0 {
		return nil
	}
	const why, instead = "a lookup table keeps it unique over the shards", "remove its unique: from the rule and drop the lookup table first"
	for i := range t.Uniques {
		u := &t.Uniques[i]
		switch s.Tp {
		case ast.AlterTableDropIndex, ast.AlterTableRenameIndex:
			if foldEqual(s.Name, u.Key) || foldEqual(s.FromKey.L, u.Key) {
				return refuseDDL("a change of the unique key "+u.Key+" of", t, why, instead)
			}
		case ast.AlterTableDropPrimaryKey:
			return refuseDDL("dropping the primary key of", t, "its rows are found again by it where its unique keys are kept", instead)
		case ast.AlterTableDropColumn, ast.AlterTableRenameColumn, ast.AlterTableChangeColumn, ast.AlterTableModifyColumn:
			name := ""
			if s.OldColumnName != nil {
				name = s.OldColumnName.Name.L
			} else if len(s.NewColumns) > 0 {
				name = s.NewColumns[0].Name.Name.L
			}
			if hasName(u.Columns, name) {
				return refuseDDL("a change of the unique column "+name+" of", t, why, instead)
			}
		case ast.AlterTableOption:
			for _, o := range s.Options {
				if o.Tp == ast.TableOptionCharset && o.UintValue == ast.TableOptionCharsetWithConvertTo {
					return refuseDDL("CONVERT TO CHARACTER SET of", t, "it changes unique columns, and "+why, "MODIFY the other columns one by one")
				}
			}
		case ast.AlterTableTruncatePartition, ast.AlterTableDropPartition, ast.AlterTableExchangePartition, ast.AlterTableCoalescePartitions:
			return refuseDDL("this change of the partitions of", t, "its lookup tables would keep the rows' unique values", "delete the rows")
		}
	}
	return nil
}

// checkKeptTable refuses to drop the key that a lookup table follows.
func (p *planning) checkKeptTable(t *catalog.Table) error {
	if len(t.Uniques) == 0 || t.Placement.Kind != shardrule.Sharded {
		return nil
	}
	switch n := p.st.Node.(type) {
	case *ast.DropIndexStmt:
		for i := range t.Uniques {
			if foldEqual(n.IndexName, t.Uniques[i].Key) || strings.EqualFold(n.IndexName, "PRIMARY") {
				return refuseDDL("dropping the key "+n.IndexName+" of", t, "a lookup table follows it", "remove its unique: from the rule first")
			}
		}
	}
	return nil
}
