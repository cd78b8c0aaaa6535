package executor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// errNotAhead: the server did not compute a CTE ahead of the query as it would
// within. The query is run without that then.
var errNotAhead = errors.New("executor: a CTE was not computed ahead")

// bentCodes are warnings of values that a table's column took changed: of NULL
// (1048, 1263), out of range, cut off, not of its type.
var bentCodes = []string{"1048", "1263", "1264", "1265", "1366", "1406"}

var selectAll = []byte("SELECT * FROM ")

// computeOnce puts the rows of the CTEs that are named several times into
// tables. They are computed in the session's state, but for the strict mode,
// which is for changes of tables: within a query they would only warn.
func computeOnce(ctx context.Context, req *Request, n *plan.Finish, p *place, state *backend.State) error {
	c := p.conn
	c.Want(state)
	_, rows, err := c.Select(ctx, "SELECT @@sql_mode")
	if err != nil {
		return err
	}
	var lax []string
	for mode := range strings.SplitSeq(string(rows[0][0]), ",") {
		if mode != "STRICT_TRANS_TABLES" && mode != "STRICT_ALL_TABLES" && mode != "TRADITIONAL" {
			lax = append(lax, mode)
		}
	}
	c.Want(state.With(backend.Var{Name: "sql_mode", SQL: "'" + strings.Join(lax, ",") + "'"}))
	for i, o := range n.Once {
		task := p.load.Bound.Once[i]
		task.SQL = append([]byte(p.load.Table(o.First)+" AS "), task.SQL...)
		count, warnings, err := computeInto(ctx, req, c, &task)
		if err == nil && warnings > 0 {
			if err = keptWhole(ctx, c); err == nil {
				req.Apart.Warned(c)
			}
		}
		if err == nil {
			err = sameStrength(ctx, req, p, i)
		}
		for k := 1; k < o.Count && err == nil; k++ {
			_, err = c.Exec(ctx, p.load.Table(o.First+k)+" AS SELECT * FROM "+p.load.Name(o.First))
		}
		if err != nil {
			return notAhead(ctx, c, err)
		}
		p.load.Computed(int64(count) * int64(o.Count))
	}
	return nil
}

func computeInto(ctx context.Context, req *Request, c *backend.Conn, task *plan.Task) (rows uint64, warnings uint16, err error) {
	if err := send(c, req, task); err != nil {
		return 0, 0, err
	}
	h, err := c.Header()
	return h.OK.AffectedRows, h.OK.Warnings, err
}

// keptWhole: the warnings of what was just computed are those of its
// expressions.
func keptWhole(ctx context.Context, c *backend.Conn) error {
	end := c.End()
	_, rows, err := c.Select(ctx, "SHOW WARNINGS LIMIT "+strconv.Itoa(int(end.Warnings)))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if slices.Contains(bentCodes, string(r[1])) {
			return sqlerr.New(sqlerr.UnknownError, "%s", r[2])
		}
	}
	return nil
}

// sameStrength: the collation of a literal gives way to a column's, in a CTE's
// column too, but a table's column does not. Where the CTE has such strings its
// table is not the same; the server tells without computing it again.
func sameStrength(ctx context.Context, req *Request, p *place, i int) error {
	c, task := p.conn, p.load.Bound.Once[i]
	columns, _, err := c.Select(ctx, "SELECT * FROM "+p.load.Name(p.load.Plan.Once[i].First)+" LIMIT 0")
	if err != nil {
		return err
	}
	end := bytes.LastIndex(task.SQL, selectAll) // router's finishing.onces writes it
	with, name := task.SQL[:end:end], task.SQL[end+len(selectAll):]
	var weak []string
	for _, column := range columns {
		if column.Type >= wire.TypeTinyBlob && column.Type <= wire.TypeString {
			weak = append(weak, "COERCIBILITY(none."+sqlval.QuoteName(string(column.Name))+") <> 2")
		}
	}
	if len(weak) == 0 {
		return nil
	}
	task.SQL = append(with, "SELECT 1 FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM "+string(name)+" LIMIT 0) AS none ON TRUE WHERE "+strings.Join(weak, " OR ")...)
	if err := send(c, req, &task); err != nil {
		return err
	}
	if _, err := c.Header(); err != nil {
		return err
	}
	rows := 0
	for {
		_, err := c.Row()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		rows++
	}
	if rows > 0 {
		return errNotAhead
	}
	return nil
}

func notAhead(ctx context.Context, c *backend.Conn, err error) error {
	switch sqlerr.From(err).Code {
	case sqlerr.ServerLost, sqlerr.QueryInterrupted, sqlerr.QueryTimeout, sqlerr.ServerShutdown:
		return err
	}
	if ctx.Err() != nil || !c.Usable() {
		return err
	}
	return errors.Join(errNotAhead, err)
}

// runOtherwise runs the query without anything computed ahead.
func runOtherwise(ctx context.Context, req *Request) (Outcome, error) {
	b, err := req.Bound.Finish.Otherwise()
	if err != nil {
		return Outcome{}, err
	}
	again := *req
	again.Bound = b
	return runFinish(ctx, &again, b.Plan.Root.(*plan.Finish))
}
