package parser

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// Defines are the tables that a definition changes, and those that its foreign
// keys refer to; for DROP DATABASE that schema without a table. Tables it only
// reads (LIKE, AS SELECT, a view's), and temporary ones, are not among them. Of a text
// that TiDB's parser rejects they are all it names.
func (s *Statement) Defines() []TableName {
	switch n := s.Node.(type) {
	case nil:
		if s.Kind != KindDDL || s.definesOther() {
			return nil
		}
		return s.Tables
	case *ast.CreateTableStmt:
		if n.TemporaryKeyword != ast.TemporaryNone {
			return nil
		}
		return append([]TableName{nameOf(n.Table)}, referred(n)...)
	case *ast.DropTableStmt:
		if n.IsView || n.TemporaryKeyword != ast.TemporaryNone {
			return nil
		}
	case *ast.DropDatabaseStmt:
		return []TableName{{Schema: n.Name.O}}
	case *ast.AlterTableStmt, *ast.TruncateTableStmt, *ast.RenameTableStmt, *ast.CreateIndexStmt, *ast.DropIndexStmt:
	default:
		return nil
	}
	return s.Tables
}

func nameOf(t *ast.TableName) TableName { return TableName{Schema: t.Schema.O, Table: t.Name.O} }

// referred are the tables that a new one's foreign keys refer to; those at a column
// count, too, as on MariaDB.
func referred(n *ast.CreateTableStmt) (out []TableName) {
	add := func(r *ast.ReferenceDef) {
		if r != nil && r.Table != nil {
			out = append(out, nameOf(r.Table))
		}
	}
	for _, c := range n.Constraints {
		add(c.Refer)
	}
	for _, column := range n.Cols {
		for _, o := range column.Options {
			add(o.Refer)
		}
	}
	return out
}

// definesOther: the object is none that has to do with a table's definition. The
// word stands before the first parenthesis or AS.
func (s *Statement) definesOther() bool {
	head, _, _ := strings.Cut(s.Text, "(")
	for i, word := range strings.Fields(strings.ToUpper(head)) {
		switch word {
		case "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "TEMPORARY", "PACKAGE", "SERVER", "ROLE", "USER":
			return i > 0
		case "TABLE", "INDEX", "TRIGGER":
			return false
		}
	}
	return false
}
