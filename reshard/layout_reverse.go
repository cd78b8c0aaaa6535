package reshard

// Back is a layout from the rules that a job has put in effect to those before
// (Between the other way round) as the way back of that job: the tables put aside
// are there already, under the names they got then, and are filled again; those
// that serve now get the names under which they were filled.
func (l *Layout) Back() *Layout {
	out := &Layout{FoldNames: l.FoldNames}
	for _, t := range l.Tables {
		r := *t
		r.Targets, r.Aside = nil, nil
		for _, target := range t.Targets {
			target.New = OldName(target.Shard.Table)
			r.Targets = append(r.Targets, target)
		}
		for _, a := range t.Aside {
			a.Old = NewName(a.Shard.Table)
			r.Aside = append(r.Aside, a)
		}
		out.Tables = append(out.Tables, &r)
	}
	for _, t := range out.Tables {
		if t.Parent != nil {
			t.Parent = out.table(t.Schema, t.Parent.Name)
		}
	}
	return out
}
