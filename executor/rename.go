package executor

import (
	"bytes"
	"errors"
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// columnNames undoes a shard's physical names in column definitions. The
// logical names are made into bytes once for all columns.
type columnNames struct {
	rename *plan.Rename
	schema []byte
	tables [][]byte
}

func (n *columnNames) undo(c *wire.Column) {
	r := n.rename
	if r.Database != "" && string(c.Schema) == r.Database {
		if n.schema == nil {
			n.schema = []byte(r.LogicalDatabase)
		}
		c.Schema = n.schema
	}
	if n.tables == nil && len(r.Tables) > 0 {
		n.tables = make([][]byte, len(r.Tables))
	}
	for _, l := range r.Labels {
		if len(c.OrgTable) > 0 {
			break
		}
		c.Name = bytes.ReplaceAll(c.Name, []byte(l.Physical), []byte(l.Logical))
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		if t.Physical == t.Logical || string(c.OrgTable) != t.Physical {
			continue
		}
		if n.tables[i] == nil {
			n.tables[i] = []byte(t.Logical)
		}
		if string(c.Table) == t.Physical { // else it is an alias
			c.Table = n.tables[i]
		}
		c.OrgTable = n.tables[i]
	}
}

// renameError undoes a shard's physical names in a server's error message. All
// else of the error stays, whether it is safe to retry included.
func renameError(err error, r *plan.Rename) error {
	var e *sqlerr.Error
	if err == nil || r == nil || !errors.As(err, &e) {
		return err
	}
	msg := renameMessage(e, r)
	if msg == e.Message {
		return err
	}
	renamed := e.WithCause(err)
	renamed.Message = msg
	return renamed
}

// values are the words behind which a message speaks of names again, after a
// value that the client gave and that must stay as it is.
var values = []string{" for key ", " for column "}

func renameMessage(e *sqlerr.Error, r *plan.Rename) string {
	value, names := "", e.Message
	for _, word := range values {
		if i := strings.LastIndex(names, word); i >= 0 {
			value, names = value+names[:i], names[i:]
		}
	}
	if r.Database != "" && r.Database != r.LogicalDatabase {
		names = replaceName(names, r.Database, r.LogicalDatabase, databaseContext)
	}
	for _, t := range r.Tables {
		if t.Physical != t.Logical {
			names = replaceName(names, t.Physical, t.Logical, tableContext)
		}
	}
	return r.Constraints(e.Code, value+names)
}

// databaseContext: 'db', 'db.table', `db`.`table`, db.table.
func databaseContext(before, after byte) bool {
	return after == '.' || before == '\'' && after == '\'' || before == '`' && after == '`'
}

// tableContext: 'table', 'db.table', `table`, 'table.column'.
func tableContext(before, after byte) bool {
	return after == '.' || before == '.' || databaseContext(before, after)
}

// replaceName replaces whole names in a context that only names have.
func replaceName(msg, from, to string, context func(before, after byte) bool) string {
	var out strings.Builder
	start := 0
	for at := 0; ; {
		i := strings.Index(msg[at:], from)
		if i < 0 {
			break
		}
		i += at
		at = i + len(from)
		var before, after byte = ' ', ' '
		if i > 0 {
			before = msg[i-1]
		}
		if at < len(msg) {
			after = msg[at]
		}
		if nameByte(before) || nameByte(after) || !context(before, after) {
			continue
		}
		out.WriteString(msg[start:i])
		out.WriteString(to)
		start = at
	}
	if start == 0 {
		return msg
	}
	out.WriteString(msg[start:])
	return out.String()
}

func nameByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
