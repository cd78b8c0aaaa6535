package plan

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/shardrule"
)

// shownTasks bounds the statements of an Insert that are printed.
const shownTasks = 16

// Format prints the plan as EXPLAIN FORMAT='route' and the text cases show it:
// a tree, each leaf with its shards, its target and the SQL of its first task
// (of each task, for an Insert). Without b, which may be nil, values and table
// names are left open.
func Format(p *Plan, b *Bound) string { return FormatMeasured(p, b, nil) }

// Measure is what a node of a plan that was run has moved, Took how long after
// its stage began its last row was read. Of a Finish it is what all fragments
// moved, and what the query took over them.
type Measure struct {
	Rows, Bytes int64
	// Tasks is how many shards were asked.
	Tasks int
	Took  time.Duration
}

// FormatMeasured is Format with what was measured behind the nodes.
func FormatMeasured(p *Plan, b *Bound, measured map[Node]Measure) string {
	if b != nil && b.Plan != nil {
		p = b.Plan // its Spread, perhaps
	}
	f := formatter{bound: b, measured: measured}
	f.node(p.Root, "", "")
	return f.String()
}

type formatter struct {
	strings.Builder
	bound *Bound
	// measured is nil for a plan that was not run.
	measured map[Node]Measure
	// reduced are the fragments' routes that others reduce, and how.
	reduced map[*Route]string
}

// node prints n: first is what stands before its line, rest before the lines
// that follow it.
func (f *formatter) node(n Node, first, rest string) {
	f.WriteString(first)
	switch n := n.(type) {
	case *Route:
		f.route(n, rest)
	case *Insert:
		f.insert(n, rest)
	case *Finish:
		f.finish(n, rest)
	case *Staged:
		f.staged(n, rest)
	default:
		f.WriteString(f.line(n) + "\n")
	}
	children := n.Children()
	for i, c := range children {
		if i < len(children)-1 {
			f.node(c, rest+"├─ ", rest+"│  ")
		} else {
			f.node(c, rest+"└─ ", rest+"   ")
		}
	}
}

// note is what was measured at a node.
func (f *formatter) note(n Node) string {
	m, ok := f.measured[n]
	switch {
	case f.measured == nil:
		return ""
	case !ok:
		return " (not run)"
	}
	s := " (rows=" + strconv.FormatInt(m.Rows, 10) + " bytes=" + strconv.FormatInt(m.Bytes, 10)
	if _, finish := n.(*Finish); !finish {
		s += " shards=" + strconv.Itoa(m.Tasks)
	}
	return s + " ms=" + strconv.FormatFloat(m.Took.Seconds()*1000, 'f', 2, 64) + ")"
}

func (f *formatter) line(n Node) string {
	switch n := n.(type) {
	case *MergeSort:
		return "MergeSort " + keys(n.Keys)
	case *Sort:
		return "Sort " + keys(n.Keys)
	case *Distinct:
		return "Distinct " + keys(n.Keys)
	case *Aggregate:
		return aggregateLine(n)
	case *Limit:
		return f.limitLine(n)
	case *Project:
		return "Project " + strconv.Itoa(n.Keep) + pick(n.Keep == 1, " column", " columns")
	case *Union:
		return "Union all"
	case *Told:
		return "Told of " + n.Logical
	case *Sequence:
		return "Sequence"
	case *DefineView:
		return n.line()
	case *Job:
		return n.line()
	case *Jobs:
		return "Jobs"
	case *Emptied:
		return n.line()
	case *CreateLike:
		return n.line()
	case *Loadable:
		return n.line()
	case *CreateFrom:
		return n.line()
	case *Const:
		return "Const " + strings.Join(n.Columns, ", ") + " (" + strconv.Itoa(len(n.Rows)) + " rows)"
	}
	return "?"
}

func keys(list []SortKey) string {
	var s []string
	for _, k := range list {
		s = append(s, orNumber(k.Label, k.Column)+pick(k.Desc, " desc", " asc")+pick(k.Weight >= 0, " by weight", ""))
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func orNumber(label string, column int) string {
	if label != "" {
		return label
	}
	return "column " + strconv.Itoa(column+1)
}

func aggregateLine(n *Aggregate) string {
	s := "Aggregate"
	if len(n.Group) > 0 {
		var by []string
		for _, k := range n.Group {
			by = append(by, orNumber(k.Label, k.Column))
		}
		s += " group=[" + strings.Join(by, ", ") + "]"
	}
	for _, o := range n.Outputs {
		if o.Text != "" {
			s += " " + o.Text
		}
	}
	return s
}

func (f *formatter) limitLine(n *Limit) string {
	if f.bound == nil {
		return "Limit " + n.Count.String() + pick(n.Offset.Absent, "", " offset "+n.Offset.String())
	}
	r := f.bound.Limits[n]
	s := "Limit " + strconv.FormatUint(r.Count, 10)
	if r.Offset > 0 {
		s += " offset " + strconv.FormatUint(r.Offset, 10)
	}
	return s
}

func (f *formatter) route(r *Route, rest string) {
	f.WriteString("Route " + f.where(r) + " target=" + r.Target.String() + f.reduced[r] + f.note(r) + "\n")
	if f.bound == nil {
		f.WriteString(rest + "  " + templateString(r.SQL, r.Tables) + "\n")
		return
	}
	if tasks := f.bound.Tasks.Of(r); len(tasks) > 0 {
		f.sql(&tasks[0], rest+"  ")
	}
}

// where is the route's places.
func (f *formatter) where(r *Route) string {
	c := r.Choice
	if f.bound == nil {
		return f.openWhere(c)
	}
	tasks := f.bound.Tasks.Of(r)
	switch c.Kind {
	case ChooseOne:
		if c.Placement == nil {
			return "one cluster=" + c.Shard.Cluster
		}
		return "single shards=[" + strconv.Itoa(c.Shard.Index) + "]"
	case ChooseAny:
		return "any cluster=" + clusters(tasks)
	case ChooseCopies:
		return "copies clusters=[" + clusters(tasks) + "]"
	case ChooseClusters:
		return "clusters=[" + clusters(tasks) + "]"
	case ChooseDatabases:
		return "databases shards=" + shards(tasks, c.Placement)
	case ChooseFirst:
		return "first shards=" + shards(tasks, c.Placement)
	case ChooseByKey:
	}
	return pick(len(tasks) == 1, "single", "scatter") + " shards=" + shards(tasks, c.Placement)
}

func (f *formatter) openWhere(c Choice) string {
	switch c.Kind {
	case ChooseOne:
		return "one cluster=" + c.Shard.Cluster
	case ChooseAny:
		return "any"
	case ChooseCopies:
		return "copies"
	case ChooseClusters:
		return "clusters=[" + strings.Join(c.Clusters, " ") + "]"
	case ChooseDatabases:
		return "databases"
	case ChooseFirst:
		return "first"
	case ChooseByKey:
	}
	if c.Cond == nil {
		return "scatter"
	}
	return "by " + c.Cond.String()
}

func clusters(tasks []Task) string {
	var names []string
	for i := range tasks {
		if !slices.Contains(names, tasks[i].Cluster) {
			names = append(names, tasks[i].Cluster)
		}
	}
	return strings.Join(names, " ")
}

func shards(tasks []Task, p *shardrule.Placement) string {
	set := shardrule.EmptySet(len(p.Shards))
	for i := range tasks {
		if tasks[i].Shard >= 0 {
			set.Add(tasks[i].Shard)
		}
	}
	return set.String()
}

func (f *formatter) insert(n *Insert, rest string) {
	p := n.Table.Placement
	if f.bound == nil {
		f.WriteString("Insert by " + p.KeyNames() + " target=primary\n" + rest + "  " + templateString(n.SQL, []TableRef{n.Table}) + "\n")
		return
	}
	tasks := f.bound.Tasks.Of(n)
	f.WriteString("Insert shards=" + shards(tasks, p) + " target=primary\n")
	for i := range tasks {
		if i == shownTasks {
			f.WriteString(rest + "  … and " + strconv.Itoa(len(tasks)-i) + " more\n")
			break
		}
		f.sql(&tasks[i], rest+"  ")
	}
}

// finish prints the query that is run on one server; the fragments follow as
// its children, in the order of the temporary tables.
func (f *formatter) finish(n *Finish, rest string) {
	for _, frag := range n.Fragments {
		if r := frag.Reduce; r != nil && frag.Route != nil {
			if f.reduced == nil {
				f.reduced = map[*Route]string{}
			}
			from := n.Fragments[r.From]
			f.reduced[frag.Route] = " reduced=[" + r.Name + " IN " + ScratchName(r.From) + "." + from.Columns[r.Column].Name +
				pick(r.Key, ", shards too", "") + pick(r.Within, ", on their shard", "") + "]"
		}
	}
	defer f.once(n, rest)
	if f.bound == nil {
		f.WriteString("Finish target=" + n.Target.String() + "\n" + rest + "│  " + templateString(n.SQL, nil) + "\n")
	} else {
		b := f.bound.Finish
		f.WriteString("Finish cluster=" + b.Cluster + " target=" + b.Target.String() + f.note(n) + "\n")
		f.sql(&Task{SQL: b.SQL, Markers: b.Markers}, rest+"│  ")
	}
	for i, frag := range n.Fragments {
		if frag.Route == nil {
			f.WriteString(rest + "│  " + ScratchName(i) + " has the rows of " + ScratchName(frag.From) + "\n")
		}
	}
}

// once prints what is computed ahead of the query.
func (f *formatter) once(n *Finish, rest string) {
	for i, o := range n.Once {
		names := ScratchName(o.First)
		for k := 1; k < o.Count; k++ {
			names += ", " + ScratchName(o.First+k)
		}
		f.WriteString(rest + "│  " + names + " have the rows of " + o.Name + ", computed once:\n")
		if f.bound == nil {
			f.WriteString(rest + "│    " + templateString(o.SQL, nil) + "\n")
			continue
		}
		f.sql(&f.bound.Finish.Once[i], rest+"│    ")
	}
}

func (f *formatter) sql(t *Task, indent string) {
	f.WriteString(indent)
	f.Write(t.SQL)
	if len(t.Markers) > 0 {
		f.WriteString("   [")
		for i, m := range t.Markers {
			f.WriteString(pick(i > 0, " ?", "?") + strconv.Itoa(m+1))
		}
		f.WriteString("]")
	}
	f.WriteString("\n")
}

// templateString is a template with its holes named.
func templateString(t Template, tables []TableRef) string {
	var b strings.Builder
	for _, c := range t {
		switch c.Kind {
		case ChunkText:
			b.WriteString(c.Text)
		case ChunkList:
			b.WriteString("?" + strconv.Itoa(c.Index+1) + "…")
		case ChunkValue, ChunkNumber:
			b.WriteString("?" + strconv.Itoa(c.Index+1))
		case ChunkTable, ChunkTableOnly:
			b.WriteString("{" + tables[c.Index].Placement.Table + "}")
		case ChunkConstraint:
			b.WriteString("{" + c.Text + "}")
		case ChunkDatabase, ChunkDatabaseText:
			b.WriteString("{database of " + tables[c.Index].Placement.Table + "}")
		case ChunkReduce, ChunkArm:
		case ChunkScratch:
			b.WriteString("{" + ScratchName(c.Index) + "}")
		case ChunkRows:
			b.WriteString("{rows}")
		case ChunkLimit:
			b.WriteString("{count + offset}")
		case ChunkExpr:
			b.WriteString("{computed}")
		}
	}
	return b.String()
}
