package mysqlproc

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// replicating is what a replica says about why it is behind, for a test's log.
func (s *Server) replicating(ctx context.Context) string {
	query := "SHOW REPLICA STATUS"
	tell := []string{"Running", "Last_", "Gtid", "GTID", "State", "Behind", "Log_Pos"}
	out := s.told(ctx, query, func(column string) bool {
		return slices.ContainsFunc(tell, func(part string) bool { return strings.Contains(column, part) })
	})
	return out + s.told(ctx, "SHOW FULL PROCESSLIST", func(string) bool { return true })
}

// told are the columns asked for of all rows that a statement gives.
func (s *Server) told(ctx context.Context, query string, wanted func(column string) bool) string {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return query + ": " + err.Error()
	}
	defer func() { _ = rows.Close() }() // nothing is lost
	columns, err := rows.Columns()
	if err != nil {
		return query + ": " + err.Error()
	}
	out := "\n" + query
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		to := make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			return out + ": " + err.Error()
		}
		out += "\n "
		for i, c := range columns {
			if v := values[i]; v.String != "" && wanted(c) {
				out += " " + c + "=" + v.String
			}
		}
	}
	if err := rows.Err(); err != nil {
		out += ": " + err.Error()
	}
	return out
}
