package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/servaldb/serval/advise"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/reshard"
)

func reshardPlan(o *reshardOptions) *cobra.Command {
	var exact bool
	var rate int64
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what would move, what it costs, and what stands in the way",
		Long: `Compares the rules in effect with those of --to, asks the servers, and prints: the tables that
move, from where to where, what stays where it is, rows and bytes, the load on each cluster,
settings and keys that stand in the way, statements that would run another way (as the running
Serval has counted them, asked at the file's admin address), the time, the steps and the way back.

Rows are the servers' estimates; --exact counts them, for each new shard, and finds rows that the
new rule has no place for. The time is that of copying the rows at --rate a second; on top comes
verify, which reads them once more. How much disk is free no server tells: it is shown where the
server's files are on this machine. The old tables stay until the job is finished, so a cluster
needs room for what it gets besides what it has.

Changes nothing. Exit status 1 if the job would be refused.`,
		Example: `  serval reshard plan -c serval.yaml --to new.yaml
  serval reshard plan -c serval.yaml --to new.yaml --exact --rate 50000
  serval reshard plan -c serval.yaml --to new.yaml -o json | jq .obstacles`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			return o.with(ctx, cmd, func(s *reshardSet) error {
				plan, err := s.plan(ctx, reshard.PlanOptions{Exact: exact, Rate: rate, Free: s.free})
				if err != nil {
					return err
				}
				if o.output == "json" {
					err = printJSON(cmd.OutOrStdout(), plan)
				} else {
					printPlan(cmd.OutOrStdout(), plan)
				}
				if err == nil && len(plan.Obstacles) > 0 {
					err = errFindings
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "file with the new rules")
	f.BoolVar(&exact, "exact", false, "count rows: reads the tables' keys")
	f.Int64Var(&rate, "rate", 20_000, "rows a second, for the time")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long it may take")
	_ = cmd.MarkFlagRequired("to") // it fails for flags that do not exist
	return cmd
}

// plan is what would be done.
func (s *reshardSet) plan(ctx context.Context, opt reshard.PlanOptions) (*reshard.Plan, error) {
	both, layout, obstacles, err := s.layout(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := reshard.MakePlan(ctx, layout, obstacles, s.servers, opt)
	if err == nil && len(layout.Tables) > 0 {
		s.statements(ctx, both, plan)
	}
	return plan, err
}

// statements adds what changes for the statements of the running Serval.
func (s *reshardSet) statements(ctx context.Context, both *control.Both, plan *reshard.Plan) {
	w := advise.NewWorkload()
	if err := (&adviseOptions{file: s.file}).live(ctx, s.local, w); err != nil {
		plan.StatementsFrom = "none were looked at: " + err.Error()
		return
	}
	plan.StatementsFrom = fmt.Sprintf("%d digests of the Serval at admin %s", len(w.Digests()), s.local.Admin)
	for _, c := range advise.Changes(both.Old, both.Next, w) {
		plan.Statements = append(plan.Statements, reshard.StatementChange{DB: c.DB, Statement: c.Digest, Count: c.Count, From: c.From.String(), To: c.To.String(), Why: c.Why})
	}
}

// free is what a disk has left where a cluster's primary has its files, if that is
// a disk of this machine.
func (s *reshardSet) free(cluster, datadir string) int64 {
	view := s.servers.View().Cluster(cluster)
	if view == nil {
		return -1
	}
	host, _, err := net.SplitHostPort(view.Primary)
	if ip := net.ParseIP(host); !strings.HasPrefix(view.Primary, "unix:") && (err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return -1
	}
	return freeBytes(datadir)
}

// fewShards is up to how many places of a table are listed one by one.
const fewShards = 32

func printPlan(w io.Writer, p *reshard.Plan) {
	about := "estimated"
	if p.Exact {
		about = "counted"
	}
	if len(p.Tables) == 0 && len(p.Obstacles) == 0 {
		fmt.Fprintln(w, "nothing moves: serval rules apply is enough")
	}
	if len(p.Tables) > 0 {
		t := newTable(w, "table", "from", "to", "rows", "bytes", "shards made", "stay")
		for _, x := range p.Tables {
			t.AppendRow(table.Row{x.Schema + "." + x.Table, x.From, x.To, x.Rows, bytesText(x.Bytes), len(x.Targets), len(x.Stays)})
		}
		t.Render()
		fmt.Fprintln(w)
		printPlaces(w, p)
		printLoads(w, p)
		fmt.Fprintf(w, "%d rows (%s), %s; %s at %d rows a second\n\n", p.Rows, about, bytesText(p.Bytes), time.Duration(p.Seconds)*time.Second, p.Rate)
		printStatements(w, p)
	}
	for _, o := range p.Remarks {
		fmt.Fprintln(w, "note: "+o.String())
	}
	for _, o := range p.Obstacles {
		fmt.Fprintln(w, "in the way: "+o.String())
	}
	for i, s := range p.Steps {
		fmt.Fprintf(w, "%d. %s\n", i+1, s)
	}
	for _, s := range p.Reverse {
		fmt.Fprintln(w, "back, "+s)
	}
}

// printPlaces lists what is read and what is made.
func printPlaces(w io.Writer, p *reshard.Plan) {
	t := newTable(w, "table", "", "shard", "slots", "cluster", "physical table", "rows", "bytes")
	for _, x := range p.Tables {
		for _, part := range []struct {
			word   string
			places []reshard.PlacePlan
		}{{"read", x.Sources}, {"made", x.Targets}, {"stays", x.Stays}} {
			for i, at := range part.places {
				if i == fewShards {
					t.AppendRow(table.Row{x.Schema + "." + x.Table, part.word, "", "", "", fmt.Sprintf("and %d more (-o json has all)", len(part.places)-i)})
					break
				}
				rows, bytes := any(at.Rows), bytesText(at.Bytes)
				if part.word == "stays" {
					rows, bytes = "", ""
				}
				t.AppendRow(table.Row{x.Schema + "." + x.Table, part.word, at.Shard, at.Slots, at.Cluster, at.Database + "." + at.Table, rows, bytes})
			}
		}
	}
	t.Render()
	fmt.Fprintln(w)
}

func printLoads(w io.Writer, p *reshard.Plan) {
	t := newTable(w, "cluster", "rows read", "bytes read", "rows written", "bytes written", "free")
	for _, l := range p.Clusters {
		free := "not known"
		if l.Free >= 0 {
			free = bytesText(l.Free)
		}
		t.AppendRow(table.Row{l.Cluster, l.RowsOut, bytesText(l.BytesOut), l.RowsIn, bytesText(l.BytesIn), free})
	}
	t.Render()
	fmt.Fprintln(w)
}

func printStatements(w io.Writer, p *reshard.Plan) {
	fmt.Fprintf(w, "statements that run another way: %d (%s)\n", len(p.Statements), p.StatementsFrom)
	if len(p.Statements) > 0 {
		t := newTable(w, "asked", "now", "then", "statement", "why")
		t.SetColumnConfigs([]table.ColumnConfig{
			{Number: 4, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}, {Number: 5, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft},
		})
		for _, s := range p.Statements {
			t.AppendRow(table.Row{s.Count, s.From, s.To, s.Statement, s.Why})
		}
		t.Render()
	}
	fmt.Fprintln(w)
}

// bytesText is a size to three digits or so.
func bytesText(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f := float64(n)
	i := 0
	for ; f >= 1000 && i < len(units)-1; i++ {
		f /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", f, units[i])
}
