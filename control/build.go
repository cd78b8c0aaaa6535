// Package control is the single writer of the Catalog: it builds one of a
// configuration and of what the servers say about their tables, validates it,
// publishes it, and keeps it up to date.
package control

import (
	"errors"
	"time"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/shardrule"
)

// TableName is a logical table.
type TableName struct{ Schema, Table string }

// Facts is what the servers said. The zero Facts is valid: nothing is known.
type Facts struct {
	// Now decides which months a table has to have.
	Now time.Time
	// FoldNames: the servers compare table names in lower case.
	FoldNames  bool
	Collations map[string]catalog.Collation
	// Tables are the definitions, of those tables that exist.
	Tables map[TableName]*TableFact
}

// TableFact is one table as a server defines it.
type TableFact struct {
	Columns       []catalog.Column
	PrimaryKey    []string
	UniqueKeys    [][]string
	AutoIncrement string
	// Periods are the months that have a table, for month rules.
	Periods []shardrule.Period
}

// Build makes the Catalog. It is pure. The error is of a configuration that
// cannot be built; what is wrong on a server is no error but a Finding.
func Build(cfg *config.Config, facts Facts) (*catalog.Catalog, error) {
	return nil, errors.New("not built")
}
