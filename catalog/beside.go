package catalog

import (
	"strings"

	"github.com/servaldb/serval/topology"
)

// Prefixes of the tables that a reshard keeps beside those that serve: what is
// filled, and what was put aside.
const (
	NewPrefix = "serval_new_"
	OldPrefix = "serval_old_"
)

// IsBeside reports that a physical table of this name is a reshard's, and not for
// applications.
func IsBeside(table string) bool {
	const prefix = "serval_"
	if len(table) <= len(NewPrefix) || !strings.EqualFold(table[:len(prefix)], prefix) {
		return false
	}
	return strings.EqualFold(table[:len(NewPrefix)], NewPrefix) || strings.EqualFold(table[:len(OldPrefix)], OldPrefix)
}

// Beside are a reshard's tables where applications could see them.
type Beside struct {
	// Tables by cluster, in databases that are logical ones.
	Tables map[string][]topology.Shard
	// Databases on the cluster Home have nothing else in them.
	Databases []string
}
