package router

import (
	"slices"
	"sort"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// ddl plans the definition of sharded and global tables.
func ddl(p *planning) (*plan.Plan, error) {
	tables := p.spread()
	if p.st.Kind != parser.KindDDL || len(tables) == 0 {
		return nil, nil
	}
	if err := refuseProgram(p.st, tables[0]); err != nil {
		return nil, err
	}
	if p.facts.TemporaryTable {
		return nil, sqlerr.Refuse("a temporary table called "+tables[0].Name, "a "+kindWord(tables[0])+" table has that name", "call it otherwise")
	}
	switch n := p.st.Node.(type) {
	case *ast.DropTableStmt:
		if len(p.st.Tables) > 1 && !n.IsView {
			return p.dropSeveral(n)
		}
	case *ast.CreateTableStmt:
		if n.ReferTable != nil && n.TemporaryKeyword == ast.TemporaryNone {
			return p.createLike(n)
		}
	}
	if names := renames(p.st.Node); names != nil {
		return p.rename(tables[0], names)
	}
	if err := p.checkDDL(tables); err != nil {
		return nil, err
	}
	edits, err := p.constraintEdits(tables[0])
	if err != nil {
		return nil, err
	}
	r, err := p.route(everywhere(tables[0].Placement), edits)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	pl := &plan.Plan{Root: p.job(tables[0], r), Why: "every shard of " + tables[0].Name, Describe: r}
	pl.Effects.Schema = p.tableNames()
	return p.defineKept(tables[0], pl)
}

func kindWord(t *catalog.Table) string {
	if t.Placement.Kind == shardrule.Global {
		return "global"
	}
	return "sharded"
}

// everywhere is all shards or all copies.
func everywhere(p *shardrule.Placement) plan.Choice {
	if p.Kind == shardrule.Global {
		return plan.Choice{Kind: plan.ChooseCopies, Placement: p}
	}
	return plan.Choice{Kind: plan.ChooseByKey, Placement: p}
}

// createDatabases makes the databases that are missing: the shards' own, and
// on each of their clusters the logical one, which connections are in where a
// server insists on a current database.
func createDatabases(p *shardrule.Placement) []plan.Node {
	steps := []plan.Node{&plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseDatabases, Placement: p},
		Tables: []plan.TableRef{{Placement: p}},
		SQL:    plan.Template{{Text: "CREATE DATABASE IF NOT EXISTS "}, {Kind: plan.ChunkDatabase}},
	}}
	var without []string
	for _, s := range p.Shards {
		if s.Database == p.Schema {
			return steps
		}
		if !hasName(without, s.Cluster) {
			without = append(without, s.Cluster)
		}
	}
	return append(steps, &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseClusters, Clusters: without},
		SQL:    text("CREATE DATABASE IF NOT EXISTS " + sqlval.QuoteName(p.Schema)),
	})
}

func refuseDDL(what string, t *catalog.Table, why, instead string) error {
	return sqlerr.Refuse(what+" "+kindWord(t)+" table "+t.Name, why, instead)
}

// checkDDL refuses what would break the table's placement.
func (p *planning) checkDDL(tables []*catalog.Table) error {
	t := tables[0]
	switch n := p.st.Node.(type) {
	case *ast.CreateTableStmt:
		if p.lookup(p.st.Tables[0]) != t {
			return refuseDDL("a table that refers to", t, "its rows would be on other servers than the new table's", "leave the foreign key out")
		}
		return p.checkCreate(n, t)
	case *ast.AlterTableStmt:
		if p.lookup(p.st.Tables[0]) != t {
			return refuseDDL("a table that refers to", t, "its rows are on other servers than this table's", "leave the foreign key out")
		}
		return p.checkAlter(n, t)
	}
	if len(p.st.Tables) > 1 {
		return refuseDDL("a statement over several tables with", t, "each table has shards of its own", "do it one table at a time")
	}
	return p.checkOneTable(t)
}

// checkOneTable is checkDDL for statements that name one table.
func (p *planning) checkOneTable(t *catalog.Table) error {
	if err := p.checkKeptTable(t); err != nil {
		return err
	}
	switch n := p.st.Node.(type) {
	case *ast.CreateIndexStmt:
		if n.KeyType == ast.IndexKeyTypeUnique {
			return checkUnique(t, partNames(n.IndexPartSpecifications), "the unique index "+n.IndexName)
		}
		return nil
	case *ast.DropTableStmt:
		if n.IsView {
			return refuseDDL("DROP VIEW of", t, "it is a table", "")
		}
		return nil
	case *ast.DropIndexStmt, *ast.TruncateTableStmt:
		return nil
	}
	return refuseDDL("this definition with", t, "it is supported on unsharded tables only", "")
}

func (p *planning) checkCreate(n *ast.CreateTableStmt, t *catalog.Table) error {
	var columns []string
	auto := ""
	for _, c := range n.Cols {
		columns = append(columns, c.Name.Name.L)
		for _, o := range c.Options {
			switch o.Tp {
			case ast.ColumnOptionReference:
				return refuseForeignKey(t)
			case ast.ColumnOptionAutoIncrement:
				auto = c.Name.Name.L
			}
		}
	}
	if err := p.checkConstraints(n.Constraints, t); err != nil || t.Placement.Kind != shardrule.Sharded {
		return err
	}
	for _, key := range t.Placement.Keys() {
		if !hasName(columns, key) {
			return refuseDDL("the definition of", t, "it has no column "+key+", by which the rule shards it", "add the column, or change the rule")
		}
	}
	if auto == "" {
		auto = t.AutoIncrement
	}
	if err := checkFollower(n, t); err != nil {
		return err
	}
	return checkKeys(n, t, auto)
}

// checkKeys: a unique key without the sharding column cannot be kept unique
// over shards, but for an auto-increment column that Serval numbers.
func checkKeys(n *ast.CreateTableStmt, t *catalog.Table, auto string) error {
	check := func(names []string, what string) error {
		if len(names) == 1 && auto != "" && foldEqual(names[0], auto) {
			return nil
		}
		return checkUnique(t, names, what)
	}
	for _, c := range n.Cols {
		for _, o := range c.Options {
			if o.Tp == ast.ColumnOptionPrimaryKey || o.Tp == ast.ColumnOptionUniqKey {
				if err := check([]string{c.Name.Name.L}, "the key on "+c.Name.Name.O); err != nil {
					return err
				}
			}
		}
	}
	for _, c := range n.Constraints {
		switch c.Tp {
		case ast.ConstraintPrimaryKey, ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
			if err := check(partNames(c.Keys), keyName(c)); err != nil {
				return err
			}
		}
	}
	return nil
}

func keyName(c *ast.Constraint) string {
	if c.Tp == ast.ConstraintPrimaryKey {
		return "the primary key"
	}
	return "the unique key " + orName(c.Name, "on "+strings.Join(partNames(c.Keys), ", "))
}

// checkConstraints is about those that are no keys.
func (p *planning) checkConstraints(list []*ast.Constraint, t *catalog.Table) error {
	for _, c := range list {
		if c.Tp == ast.ConstraintForeignKey {
			if err := p.checkForeignKey(c, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func refuseForeignKey(t *catalog.Table) error {
	return refuseDDL("a foreign key of", t, "the row it refers to may be on another shard", "leave it out")
}

func checkUnique(t *catalog.Table, columns []string, what string) error {
	if t.Placement.Kind != shardrule.Sharded || t.Placement.Together(func(c string) bool { return hasName(columns, c) }) || wantsUnique(t, columns) {
		return nil
	}
	if t.Placement.Composite() {
		return refuseDDL(what+" of", t, "it does not have all sharding columns ("+t.Placement.RuleText()+"), so equal values could be on two shards", "add them to the key")
	}
	return refuseDDL(what+" of", t, "it does not have the sharding column "+t.Placement.Column.Name+", so equal values could be on two shards",
		"add the sharding column to the key, or unique: ["+joined(columns)+"] to the rule")
}

func partNames(parts []*ast.IndexPartSpecification) []string {
	var out []string
	for _, p := range parts {
		if p.Column != nil {
			out = append(out, p.Column.Name.L)
		}
	}
	return out
}

func hasName(list []string, name string) bool {
	for _, x := range list {
		if foldEqual(x, name) {
			return true
		}
	}
	return false
}

func (p *planning) checkAlter(n *ast.AlterTableStmt, t *catalog.Table) error {
	for _, s := range n.Specs {
		if err := checkKeptChange(s, t); err != nil {
			return err
		}
		if err := checkUnfollow(s, t); err != nil {
			return err
		}
		switch s.Tp {
		case ast.AlterTableRenameTable:
			return refuseDDL("renaming beside other changes of", t, "each shard must show which of them it has", "rename by a statement of its own")
		case ast.AlterTableExchangePartition, ast.AlterTableDiscardTablespace, ast.AlterTableImportTablespace:
			return refuseDDL("this change of", t, "it is about one server's files", "")
		case ast.AlterTableAddConstraint:
			if c := s.Constraint; c != nil {
				if err := p.checkConstraint(c, t); err != nil {
					return err
				}
			}
		case ast.AlterTableOption:
			if err := checkConvert(s, t); err != nil {
				return err
			}
		case ast.AlterTableDropColumn, ast.AlterTableRenameColumn, ast.AlterTableChangeColumn, ast.AlterTableModifyColumn:
			if err := checkColumnChange(s, t); err != nil {
				return err
			}
		}
		for _, c := range s.NewConstraints {
			if err := p.checkConstraint(c, t); err != nil {
				return err
			}
		}
		if err := checkNewColumns(s, t); err != nil {
			return err
		}
	}
	return nil
}

// checkConvert: another character set gives the sharding column's text other
// weights, by which its rows are placed.
func checkConvert(s *ast.AlterTableSpec, t *catalog.Table) error {
	text := func(c shardrule.Column) bool { return c.Type == shardrule.TypeText || c.Type == shardrule.TypeOther }
	if t.Placement.Kind != shardrule.Sharded || !slices.ContainsFunc(t.Placement.Columns(), text) {
		return nil
	}
	for _, o := range s.Options {
		if o.Tp == ast.TableOptionCharset && o.UintValue == ast.TableOptionCharsetWithConvertTo {
			return refuseDDL("CONVERT TO CHARACTER SET of", t, "it changes the sharding column "+t.Placement.KeyNames()+", and rows are placed by its character set and collation",
				"MODIFY the other columns one by one, or reshard the table")
		}
	}
	return nil
}

func checkNewColumns(s *ast.AlterTableSpec, t *catalog.Table) error {
	for _, c := range s.NewColumns {
		for _, o := range c.Options {
			switch o.Tp {
			case ast.ColumnOptionReference:
				return refuseForeignKey(t)
			case ast.ColumnOptionUniqKey, ast.ColumnOptionPrimaryKey:
				if t.AutoIncrement != "" && foldEqual(c.Name.Name.L, t.AutoIncrement) {
					continue
				}
				if err := checkUnique(t, []string{c.Name.Name.L}, "the key on "+c.Name.Name.O); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p *planning) checkConstraint(c *ast.Constraint, t *catalog.Table) error {
	switch c.Tp {
	case ast.ConstraintForeignKey, ast.ConstraintCheck:
		return p.checkConstraints([]*ast.Constraint{c}, t)
	case ast.ConstraintPrimaryKey, ast.ConstraintUniq, ast.ConstraintUniqKey, ast.ConstraintUniqIndex:
		names := partNames(c.Keys)
		if len(names) == 1 && t.AutoIncrement != "" && foldEqual(names[0], t.AutoIncrement) {
			return nil
		}
		return checkUnique(t, names, keyName(c))
	}
	return nil
}

// checkColumnChange: the sharding column stays as it is, for its type decides
// where rows are.
func checkColumnChange(s *ast.AlterTableSpec, t *catalog.Table) error {
	if t.Placement.Kind != shardrule.Sharded {
		return nil
	}
	name := ""
	if s.OldColumnName != nil {
		name = s.OldColumnName.Name.L
	} else if len(s.NewColumns) > 0 {
		name = s.NewColumns[0].Name.Name.L
	}
	if hasName(t.Placement.Keys(), name) {
		return refuseDDL("a change of the sharding column "+name+" of", t, "rows are placed by its value and type", "reshard the table")
	}
	return nil
}

// databases plans CREATE, ALTER and DROP DATABASE of a schema with rules.
func databases(p *planning) (*plan.Plan, error) {
	var name, options string
	var heads []string
	needsDB := false
	switch n := p.st.Node.(type) {
	case *ast.CreateDatabaseStmt:
		name, heads = p.sc.fold(n.Name), []string{"CREATE DATABASE IF NOT EXISTS "}
		options = databaseOptions(n.Options)
	case *ast.DropDatabaseStmt:
		name, heads = p.sc.fold(n.Name), []string{"DROP DATABASE IF EXISTS "}
	case *ast.AlterDatabaseStmt:
		if name = p.sc.fold(n.Name); n.AlterDefaultDatabase {
			name, needsDB = p.db, true
		}
		// A rule that came later may have databases that nobody has made yet.
		heads = []string{"CREATE DATABASE IF NOT EXISTS ", "ALTER DATABASE "}
		options = databaseOptions(n.Options)
	default:
		return nil, nil
	}
	schema := p.cat.Schemas[name]
	if schema == nil || !hasSpread(schema) {
		return nil, nil
	}
	seq := &plan.Sequence{}
	for _, places := range schemaPlaces(schema, name, p.cat.HomeOf(name)) {
		for _, head := range heads {
			seq.Steps = append(seq.Steps, &plan.Route{
				Choice: plan.Choice{Kind: plan.ChooseClusters, Clusters: places.clusters},
				SQL:    text(head + sqlval.QuoteName(places.database) + options),
			})
		}
	}
	last := &plan.Route{
		Choice: plan.Choice{Kind: plan.ChooseOne, Shard: topology.Shard{Index: -1, Cluster: p.cat.HomeOf(name)}},
		SQL:    splice(p.st, p.within, nil),
	}
	seq.Steps = append(seq.Steps, last)
	pl := &plan.Plan{Root: seq, Why: "every database of schema " + name, Describe: last, NeedsDB: needsDB}
	for _, t := range sortedTables(schema) {
		pl.Effects.Schema = append(pl.Effects.Schema, plan.TableName{Schema: name, Table: t.Name})
	}
	return pl, nil
}

// databaseOptions are what the shards' databases have from the schema's: tables
// take their character set from it.
func databaseOptions(options []*ast.DatabaseOption) (sql string) {
	for _, o := range options {
		switch o.Tp {
		case ast.DatabaseOptionCharset:
			sql += " CHARACTER SET " + quoteText(o.Value)
		case ast.DatabaseOptionCollate:
			sql += " COLLATE " + quoteText(o.Value)
		case ast.DatabaseOptionEncryption:
			sql += " ENCRYPTION " + quoteText(o.Value)
		default: // of TiDB alone: the server that gets the text says so
		}
	}
	return sql
}

func hasSpread(s *catalog.Schema) bool {
	for _, t := range s.Tables {
		if t.Placement != nil {
			return true
		}
	}
	return false
}

func sortedTables(s *catalog.Schema) []*catalog.Table {
	var out []*catalog.Table
	for _, t := range s.Tables {
		out = append(out, t)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// databasePlace is one physical database and the clusters it is on.
type databasePlace struct {
	database string
	clusters []string
}

// schemaPlaces are the physical databases of a schema, and the logical one on
// each of their clusters, but the home's own.
func schemaPlaces(s *catalog.Schema, name, home string) []databasePlace {
	on := map[string]map[string]bool{name: {}}
	for _, t := range s.Tables {
		if t.Placement == nil {
			continue
		}
		for _, sh := range t.Placement.Shards {
			if on[sh.Database] == nil {
				on[sh.Database] = map[string]bool{}
			}
			on[sh.Database][sh.Cluster] = true
			on[name][sh.Cluster] = true
		}
	}
	delete(on[name], home)
	var out []databasePlace
	for db, clusters := range on {
		place := databasePlace{database: db}
		for c := range clusters {
			place.clusters = append(place.clusters, c)
		}
		sort.Strings(place.clusters)
		if len(place.clusters) > 0 {
			out = append(out, place)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].database < out[j].database })
	return out
}

// lockTables locks the tables on every shard.
func lockTables(p *planning) (*plan.Plan, error) {
	tables := p.spread()
	if p.st.Kind != parser.KindLock || len(tables) == 0 {
		return nil, nil
	}
	return nil, sqlerr.Refuse("LOCK TABLES of "+kindWord(tables[0])+" table "+tables[0].Name,
		"the lock would have to be held on every shard's connection", "use a transaction with SELECT … FOR UPDATE")
}

// adminTables runs ANALYZE, OPTIMIZE and the like on every shard.
func adminTables(p *planning) (*plan.Plan, error) {
	tables := p.spread()
	if p.st.Kind != parser.KindAdmin || len(tables) == 0 {
		return nil, nil
	}
	switch p.st.Node.(type) {
	case *ast.AnalyzeTableStmt, *ast.OptimizeTableStmt, *ast.RepairTableStmt:
	default:
		return nil, sqlerr.Refuse(strings.ToUpper(p.st.Verb)+" with "+kindWord(tables[0])+" table "+tables[0].Name, "it is not supported on sharded tables", "")
	}
	if len(p.st.Tables) > 1 {
		return nil, sqlerr.Refuse(strings.ToUpper(p.st.Verb)+" of several tables", "each table has shards of its own", "do it one table at a time")
	}
	r, err := p.route(everywhere(tables[0].Placement), nil)
	if err != nil {
		return nil, err
	}
	r.Target = topology.TargetPrimary
	return &plan.Plan{Root: r, Why: "every shard of " + tables[0].Name}, nil
}
