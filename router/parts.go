package router

import (
	"strings"

	"github.com/servaldb/serval/router/plan"
)

// places: the column is one by which the table's rows are placed: its key, or one
// of several.
func (r *ref) places(column string) bool {
	return r.isKey(column) || r.arms == nil && r.sharded() && r.placement().Composite() && hasName(r.placement().Keys(), column)
}

// partsCondition is conditionOf for a rule of several columns: what is said of
// each, one after the other.
func (s *scopes) partsCondition(r *ref, counts func(*group) bool) plan.Cond {
	if r.arms != nil {
		return nil
	}
	pl := r.placement()
	var all plan.And
	for i := range pl.Parts {
		name := pl.Parts[i].Column.Name
		named := func(column string) bool { return strings.EqualFold(column, name) }
		if c := s.columnCondition(r, name, named, counts); c != nil {
			all = append(all, plan.PartOf{Part: pl.Part(i), Stride: pl.Parts[i].Stride, Index: i, Of: pl, Cond: c})
		}
	}
	return oneOf(all)
}

// partsAtMostOne: the conditions leave one place of each part, or of one that
// may stand for it.
func partsAtMostOne(all plan.And) bool {
	var parts []plan.PartOf
	var collect func(plan.And)
	collect = func(all plan.And) {
		for _, c := range all {
			switch c := c.(type) {
			case plan.PartOf:
				if atMostOne(c.Cond) {
					parts = append(parts, c)
				}
			case plan.And:
				collect(c)
			}
		}
	}
	collect(all)
	for _, one := range parts {
		pinned := one.Of.EachPart(func(i int) bool {
			for _, c := range parts {
				if c.Index == i {
					return true
				}
			}
			return false
		})
		if pinned {
			return true
		}
	}
	return false
}
