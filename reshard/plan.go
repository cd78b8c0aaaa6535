package reshard

import (
	"context"
	"slices"
	"strings"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/shardrule"
	"github.com/servaldb/serval/topology"
)

// Plan is what a job would do, what it would cost, and what speaks against it.
type Plan struct {
	// Possible: there is something to do, and nothing speaks against it.
	Possible bool        `json:"possible"`
	Tables   []TablePlan `json:"tables"`
	Clusters []Load      `json:"clusters"`
	// Obstacles stop the job, Remarks do not.
	Obstacles []Obstacle `json:"obstacles"`
	Remarks   []Obstacle `json:"remarks"`
	// Statements change their way; StatementsFrom says whose they are, or why none
	// was looked at.
	Statements     []StatementChange `json:"statements"`
	StatementsFrom string            `json:"statements_from"`
	// Rows and Bytes are read and written; Exact: rows were counted.
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
	Exact bool  `json:"exact"`
	// Seconds are those of copying Rows at Rate rows a second.
	Rate    int64    `json:"rate"`
	Seconds int64    `json:"seconds"`
	Steps   []string `json:"steps"`
	Reverse []string `json:"reverse"`
}

// TablePlan is one table of a Plan.
type TablePlan struct {
	Schema  string      `json:"schema"`
	Table   string      `json:"table"`
	From    string      `json:"from"`
	To      string      `json:"to"`
	Rows    int64       `json:"rows"`
	Bytes   int64       `json:"bytes"`
	Sources []PlacePlan `json:"sources"`
	Targets []PlacePlan `json:"targets"`
	// Stays are shards of the new rule that are not touched.
	Stays []PlacePlan `json:"stays"`
}

// PlacePlan is a physical table with what is read of it or written to it.
type PlacePlan struct {
	Shard    int    `json:"shard"`
	Cluster  string `json:"cluster"`
	Database string `json:"database"`
	Table    string `json:"table"`
	// Slots of a hash are first and last, else empty.
	Slots string `json:"slots,omitempty"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// Load is what a job reads from and writes to a cluster's primary.
type Load struct {
	Cluster  string `json:"cluster"`
	RowsOut  int64  `json:"rows_out"`
	BytesOut int64  `json:"bytes_out"`
	RowsIn   int64  `json:"rows_in"`
	BytesIn  int64  `json:"bytes_in"`
	// Datadir is where the server has its files, Free how many bytes are free there;
	// -1: not known, since servers do not tell and its disk is none of this machine.
	Datadir string `json:"datadir"`
	Free    int64  `json:"free"`
}

// StatementChange is a digest that would run another way.
type StatementChange struct {
	DB        string `json:"db"`
	Statement string `json:"statement"`
	Count     uint64 `json:"count"`
	From      string `json:"from"`
	To        string `json:"to"`
	Why       string `json:"why,omitempty"`
}

// Asker runs one query on a cluster's primary.
type Asker interface {
	Select(ctx context.Context, cluster, sql string) ([][][]byte, error)
}

// PlanOptions are what MakePlan is asked for.
type PlanOptions struct {
	// Exact counts rows, which reads the tables' keys; else they are the servers'
	// estimates.
	Exact bool
	// Rate is in rows a second.
	Rate int64
	// Free is how many bytes are free where a cluster's primary has its files, -1
	// for not known.
	Free func(cluster, datadir string) int64
}

// MakePlan asks the servers about a layout. The obstacles are those of Between.
func MakePlan(ctx context.Context, layout *Layout, known []Obstacle, servers Asker, opt PlanOptions) (*Plan, error) {
	p := &planner{servers: servers, opt: opt, layout: layout, sizes: map[topology.Shard]size{}, loads: map[string]*Load{}, renamed: map[string]bool{},
		out: &Plan{Exact: opt.Exact, Rate: max(opt.Rate, 1), Tables: []TablePlan{}, Clusters: []Load{}, Obstacles: []Obstacle{}, Remarks: []Obstacle{}, Statements: []StatementChange{}}}
	p.obstacles = slices.Clone(known)
	for _, t := range layout.Tables {
		if err := p.inspect(ctx, t); err != nil {
			return nil, err
		}
		if err := p.table(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := p.clusters(ctx); err != nil {
		return nil, err
	}
	p.finish()
	return p.out, nil
}

// planner is one MakePlan at work.
type planner struct {
	servers   Asker
	opt       PlanOptions
	layout    *Layout
	sizes     map[topology.Shard]size
	loads     map[string]*Load
	obstacles []Obstacle
	// renamed are the foreign keys that were said to get another name.
	renamed map[string]bool
	out     *Plan
}

type size struct{ rows, bytes int64 }

func (p *planner) refuse(t *Table, what, do string) {
	p.obstacles = append(p.obstacles, Obstacle{Schema: t.Schema, Table: t.Name, What: what, Do: do})
}

func (p *planner) load(cluster string) *Load {
	if p.loads[cluster] == nil {
		p.loads[cluster] = &Load{Cluster: cluster, Free: -1}
	}
	return p.loads[cluster]
}

// table is a table's lines.
func (p *planner) table(ctx context.Context, t *Table) error {
	out := TablePlan{Schema: t.Schema, Table: t.Name, From: t.From.Text(), To: t.To.Text(), Stays: []PlacePlan{}}
	targets := make([]size, len(t.Targets))
	for _, s := range t.Sources {
		have := p.sizes[s]
		shares, err := p.shares(ctx, t, s, &have)
		if err != nil {
			return err
		}
		for i := range targets {
			targets[i].rows += shares[i]
			if have.rows > 0 {
				targets[i].bytes += int64(float64(have.bytes) * float64(shares[i]) / float64(have.rows))
			}
		}
		out.Sources = append(out.Sources, placePlan(t.From, s, have))
		out.Rows, out.Bytes = out.Rows+have.rows, out.Bytes+have.bytes
		l := p.load(s.Cluster)
		l.RowsOut, l.BytesOut = l.RowsOut+have.rows, l.BytesOut+have.bytes
	}
	for i, x := range t.Targets {
		out.Targets = append(out.Targets, placePlan(t.To, x.Shard, targets[i]))
		l := p.load(x.Shard.Cluster)
		l.RowsIn, l.BytesIn = l.RowsIn+targets[i].rows, l.BytesIn+targets[i].bytes
	}
	for _, j := range t.Stays {
		out.Stays = append(out.Stays, placePlan(t.To, t.To.Shards[j], size{}))
	}
	p.out.Tables = append(p.out.Tables, out)
	p.out.Rows, p.out.Bytes = p.out.Rows+out.Rows, p.out.Bytes+out.Bytes
	return nil
}

func placePlan(p *shardrule.Placement, s topology.Shard, n size) PlacePlan {
	out := PlacePlan{Shard: s.Index, Cluster: s.Cluster, Database: s.Database, Table: s.Table, Rows: n.rows, Bytes: n.bytes}
	if h, ok := p.Algorithm.(shardrule.Hash); ok {
		out.Slots = h.Owners().Lists(len(p.Shards))[s.Index]
	}
	return out
}

// finish puts together what the tables and clusters gave.
func (p *planner) finish() {
	out := p.out
	for _, o := range p.obstacles {
		if o.Remark {
			out.Remarks = append(out.Remarks, o)
		} else {
			out.Obstacles = append(out.Obstacles, o)
		}
	}
	for _, name := range sortedKeys(p.loads) {
		out.Clusters = append(out.Clusters, *p.loads[name])
	}
	out.Possible = len(out.Tables) > 0 && len(out.Obstacles) == 0
	out.Seconds = (out.Rows + out.Rate - 1) / out.Rate
	if !out.Possible {
		return
	}
	out.Steps = []string{
		"start: makes " + catalog.NewPrefix + "… tables beside those that serve, copies the rows while applications write, and follows the binlogs",
		"verify: compares every row of the old tables and the new ones by checksums that the servers compute",
		"cutover: holds writes until the last change has come over, renames (" + catalog.NewPrefix + "… to their names, today's to " + catalog.OldPrefix + "…), publishes the new rules",
		"finish: drops the " + catalog.OldPrefix + "… tables, when nobody wants to go back any more",
	}
	if moved := p.numbered(); len(moved) > 0 {
		out.Steps[2] += "; the numbers of " + strings.Join(moved, ", ") + " go on behind the largest there is"
	}
	out.Reverse = []string{
		"before cutover: cancel drops the " + catalog.NewPrefix + "… tables; nothing else was touched",
		"after cutover, until finish: changes are followed the other way, and reverse goes back to the rules and tables of before with all that was written since",
	}
}

// numbered are the tables that Serval numbers by the new rules and servers did
// before.
func (p *planner) numbered() (names []string) {
	for _, t := range p.layout.Tables {
		if t.From.Kind != shardrule.Sharded && t.To.Kind == shardrule.Sharded && t.Definition.AutoIncrement != "" {
			names = append(names, t.Schema+"."+t.Name)
		}
	}
	return names
}
