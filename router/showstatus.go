package router

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// statusFields are SHOW TABLE STATUS's and where information_schema.TABLES has
// them, as far as the server does.
var statusFields = [][2]string{
	{"Name", "TABLE_NAME"}, {"Engine", "ENGINE"}, {"Version", "VERSION"}, {"Row_format", "ROW_FORMAT"}, {"Rows", "TABLE_ROWS"},
	{"Avg_row_length", "AVG_ROW_LENGTH"}, {"Data_length", "DATA_LENGTH"}, {"Max_data_length", "MAX_DATA_LENGTH"},
	{"Index_length", "INDEX_LENGTH"}, {"Data_free", "DATA_FREE"}, {"Auto_increment", "AUTO_INCREMENT"},
	{"Create_time", "CREATE_TIME"}, {"Update_time", "UPDATE_TIME"}, {"Check_time", "CHECK_TIME"}, {"Collation", "TABLE_COLLATION"},
	{"Checksum", "CHECKSUM"}, {"Create_options", "CREATE_OPTIONS"}, {"Comment", "TABLE_COMMENT"},
	{"Max_index_length", "MAX_INDEX_LENGTH"}, {"Temporary", "TEMPORARY"},
}

// showStatus answers SHOW TABLE STATUS as information_schema.TABLES would.
func (p *planning) showStatus(n *ast.ShowStmt) (*plan.Plan, error) {
	db := p.fold(orName(n.DBName, p.db))
	info := p.informationTable("information_schema", "TABLES")
	if v := p.viewLike(n); v != nil {
		return p.statusOfView(v), nil
	}
	if s := p.cat.Schema(db); (s == nil || !hasSpread(s)) && len(p.cat.ViewsOf(db)) == 0 || info == nil {
		return p.showAt(db)
	}
	where, err := p.showFilter(n, "Name")
	if err != nil {
		return nil, err
	}
	var columns []*catalog.Column
	inner, outer := "", ""
	for _, c := range statusFields {
		for i := range info.entry.Columns {
			if e := &info.entry.Columns[i]; e.Name == c[1] {
				columns = append(columns, e)
				inner += pick(inner == "", "", ", ") + sqlval.QuoteName(c[1]) + " AS " + sqlval.QuoteName(c[0])
				outer += pick(outer == "", "", ", ") + sqlval.QuoteName(c[0])
			}
		}
	}
	columns = append(columns, &info.entry.Columns[fieldIndex(info.entry, info.schema)])
	ofSchema := text(" WHERE (`TABLE_SCHEMA` = " + quoteText(db) + ")")
	v := p.logicalView()
	place := info.place(columns, 0)
	var frag *plan.Fragment
	clusters := v.needed(info, true)
	if len(clusters) == 1 {
		place = text(v.derived(clusters[0], info, columns))
	} else if frag = v.fragment(info, columns, ofSchema, "t", topology.TargetPrimary); frag == nil {
		return nil, sqlerr.Refuse("SHOW TABLE STATUS", "the tables' columns cannot be copied", "")
	}
	sql := append(append(text("SELECT "+outer+" FROM (SELECT "+inner+" FROM "), place...), text(" AS t")...)
	sql = append(append(append(append(sql, ofSchema...), text(") AS t")...), where...), text(" ORDER BY CAST(`Name` AS BINARY)")...)
	if frag == nil {
		return p.homeQuery(compact(sql), clusters[0]), nil
	}
	return &plan.Plan{ReadOnly: true, Why: "the sums of the shards", Root: &plan.Finish{
		Fragments: []*plan.Fragment{frag}, SQL: compact(sql), Target: topology.TargetPrimary}}, nil
}

// viewLike is the logical view that SHOW's LIKE names, nil for none.
func (p *planning) viewLike(n *ast.ShowStmt) *catalog.View {
	if n.Pattern == nil {
		return nil
	}
	op, ok := p.st.Operand(n.Pattern.Pattern)
	if !ok || op.Value >= 0 {
		return nil
	}
	return (viewNames{p.cat, p.db}).find(parser.TableName{Schema: n.DBName, Table: strings.ReplaceAll(string(op.Const.Text), `\_`, "_")})
}

func fieldIndex(t *catalog.Table, name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return 0
}

// showWithout is a SHOW of the home, without what is in the shards' databases and
// those the user may not see; database and name are the columns of its answer
// that say so, name what its LIKE is about.
func (p *planning) showWithout(n *ast.ShowStmt, head, database, name string, tables bool) (*plan.Plan, error) {
	where, err := p.showFilter(n, name)
	if err != nil {
		return nil, err
	}
	about := &infoTable{schema: sqlval.QuoteName(database)}
	if tables {
		about.table = sqlval.QuoteName(name)
	}
	cluster := p.cat.HomeOf(p.fold(n.DBName))
	hidden := p.logicalView().plain(cluster, about)
	if hidden == "" {
		hidden = "FALSE"
	}
	sql := text(head + " WHERE (" + hidden + ")")
	if where != nil {
		where[0].Text = " AND (" + where[0].Text[len(" WHERE "):]
		sql = append(append(sql, where...), text(")")...)
	}
	return p.homeQuery(compact(sql), cluster), nil
}
