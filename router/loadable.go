package router

import (
	"slices"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// loadable plans loadable functions, which are a server's and no database's:
// they are made and dropped on every cluster, or on none. A call of one is that
// of a function that is not built in (see place.go).
func loadable(p *planning) (*plan.Plan, error) {
	if p.st.Kind != parser.KindDDL || len(p.cat.Clusters) < 2 {
		return nil, nil
	}
	l := p.st.Loadable()
	if l == nil {
		return nil, nil
	}
	if p.st.Hints.Cluster != "" {
		return nil, sqlerr.Refuse("the hint cluster= on a loadable function", "statements would not find it on the others", "leave the hint out")
	}
	home := p.cat.HomeOf(p.db)
	var clusters []string
	for name := range p.cat.Clusters {
		if name != home {
			clusters = append(clusters, name)
		}
	}
	slices.Sort(clusters)
	run := &plan.Route{Choice: plan.Choice{Kind: plan.ChooseClusters, Clusters: append(clusters, home)}, SQL: splice(p.st, p.within, nil)}
	return &plan.Plan{Root: &plan.Loadable{Name: l.Name, Drop: l.Drop, Run: run, Home: home}, NeedsDB: p.db != "", Why: "functions of servers are on all of them",
		Describe: onCluster(home, "DO 0")}, nil
}
