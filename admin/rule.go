package admin

import (
	"fmt"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
)

// ruleText is a table's rule in one phrase, as the admin page and
// serval.rules show it.
func ruleText(t *catalog.Table) string {
	p := t.Placement
	switch p.Kind {
	case shardrule.Global:
		return fmt.Sprintf("global, %d copies", len(p.Shards))
	case shardrule.Sharded:
		if p.Composite() {
			return fmt.Sprintf("%s, %d shards", p.RuleText(), len(p.Shards))
		}
		return fmt.Sprintf("%s(%s), %d shards", p.Algorithm.Name(), shardrule.KeyText(p.Algorithm, p.Column.Name), len(p.Shards))
	case shardrule.Whole:
		if len(p.Shards) > 0 {
			return "whole on " + p.Shards[0].Cluster
		}
	}
	return "whole"
}
