package router

import (
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// turnedOff refuses what the rules' features: turn off, with the error that
// names the key.
func (p *planning) turnedOff(pl *plan.Plan) error {
	off := p.cat.Off
	refuse := func(what, key string) error {
		return sqlerr.Refuse("this statement", what+", and features: {"+key+": off} forbids that", "ask the DBA")
	}
	switch pl.Root.(type) {
	case *plan.Finish:
		if off.Finisher {
			return refuse("its rows would have to be brought together on one server", "finisher")
		}
	case *plan.Staged:
		if off.StagedWrites {
			return refuse("its rows would have to be read before they are written", "staged_writes")
		}
	case *plan.Job, *plan.Emptied:
		if off.DDL {
			return refuse("it defines a table that has a rule", "ddl")
		}
		return nil // what a definition does on every shard is no scatter
	}
	if off.Scatter && mayScatter(pl.Root) {
		return refuse("it would go to several shards", "scatter")
	}
	return nil
}
