package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/rebalance"
	"github.com/servaldb/serval/rulestore"
	"github.com/servaldb/serval/shardrule"
)

// rebalanceOptions are the flags of serval rebalance.
type rebalanceOptions struct {
	file, table, by, output, write string
	sample, tolerance, most        float64
	timeout                        time.Duration
}

func rebalanceCommand() *cobra.Command {
	var o rebalanceOptions
	var tolerance, most string
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Say which slots should change their shard so that shards are even",
		Long: `Asks the servers how many rows each of the 1024 slots of a hash rule has, and prints which of them
should go to another shard so that none is further than --tolerance from the mean, with few rows
moved: the shards before and after, the slots that move, and the new slots: of the rules.

Tables of a schema with the same hash, number of shards and clusters share their shards, so they
are looked at and changed together. A shard that keeps all of its slots stays as it is; of the
others serval reshard makes new tables with all their rows, "copied" here.

A slot is the least that can move: one that alone has more than a shard should is named. Bytes are
those of the servers' estimates, by rows. Rows of the primaries are counted, which reads an index
of each table; --sample 0.01 counts about a hundredth of them. Traffic is how often the Serval at
the file's admin: address has looked for a key of the slot, or written one, since it began
(serval.slots shows it); of several Servals behind a load balancer, ask one that is long at work.

Changes nothing. With --write the file with the new rules is written, for serval reshard.`,
		Example: `  serval rebalance -c serval.yaml
  serval rebalance -c serval.yaml --table shop.orders --move-at-most 10% --write new.yaml
  serval rebalance -c serval.yaml --by traffic
  serval reshard plan -c serval.yaml --to new.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.output != "text" && o.output != "json" {
				return fmt.Errorf("unknown output %q: text or json", o.output)
			}
			if !slices.Contains([]string{"rows", "bytes", "traffic"}, o.by) {
				return fmt.Errorf("cannot even by %q: rows, bytes or traffic", o.by)
			}
			if o.sample <= 0 || o.sample > 1 {
				return fmt.Errorf("--sample is a share of the rows: more than 0, at most 1")
			}
			if o.tolerance, err = shareOf("--tolerance", tolerance); err != nil {
				return err
			}
			if o.most, err = shareOf("--move-at-most", most); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			return o.run(ctx, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "config", "c", "", "configuration file of a Serval")
	f.StringVar(&o.table, "table", "", "schema.table: only that table, and those that share its shards")
	f.StringVar(&o.by, "by", "rows", "what is to be even: rows, bytes or traffic")
	f.StringVar(&tolerance, "tolerance", "5%", "how far from the mean a shard may be")
	f.StringVar(&most, "move-at-most", "100%", "share of the rows that may change their shard")
	f.Float64Var(&o.sample, "sample", 1, "share of the rows that are counted")
	f.StringVar(&o.write, "write", "", "write the configuration with the new slots there")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	f.DurationVar(&o.timeout, "timeout", time.Hour, "how long it may take")
	_ = cmd.MarkFlagRequired("config") // it fails for flags that do not exist
	return cmd
}

// shareOf reads 10% or 0.1.
func shareOf(flag, text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) { // NaN neither
		return 0, fmt.Errorf("%s cannot be %q: write a share like 10%%", flag, text)
	}
	return f, nil
}

// slotGroup is tables of a schema that have the same slots on the same clusters.
type slotGroup struct {
	tables []*catalog.Table
	hash   shardrule.Hash
	// Names are the tables, as schema.table.
	Names    []string            `json:"tables"`
	Decision *rebalance.Decision `json:"decision"`
	// Copied are the rows of shards that lose or get slots.
	Copied int64 `json:"copied"`
	// Slots are what the rules are to say, one entry a shard.
	Slots []string `json:"slots"`
	// Bytes are those of all tables, as the servers estimate them.
	Bytes int64 `json:"bytes"`
	// Missing are tables that the file does not have, which keep their slots.
	Missing []string `json:"missing,omitempty"`
}

// slotGroups are the groups of a catalog. Tables of which no column is known are
// none.
func slotGroups(cat *catalog.Catalog) []*slotGroup {
	byLayout := map[string]*slotGroup{}
	var out []*slotGroup
	for _, schema := range sortedNames(cat.Schemas) {
		for _, name := range sortedNames(cat.Schemas[schema].Tables) {
			t := cat.Schemas[schema].Tables[name]
			p := t.Placement
			h, ok := shardrule.HashOf(p.Algorithm)
			if !ok || p.Composite() || t.LookupOf != "" || p.Column.Type == shardrule.TypeOther {
				continue
			}
			var key strings.Builder
			key.WriteString(schema + " " + h.Spec())
			for _, s := range p.Shards {
				key.WriteString(" " + s.Cluster)
			}
			g := byLayout[key.String()]
			if g == nil {
				g = &slotGroup{hash: h}
				byLayout[key.String()] = g
				out = append(out, g)
			}
			g.tables, g.Names = append(g.tables, t), append(g.Names, schema+"."+name)
		}
	}
	return out
}

func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (o *rebalanceOptions) run(ctx context.Context, out io.Writer) error {
	rules, err := openRules(o.file, out, o.output)
	if err != nil {
		return err
	}
	defer func() { _ = rules.store.Close() }() // nothing was left unsaid
	base, err := rules.head(ctx, o.file)
	if err != nil {
		return err
	}
	cfg, err := rules.config(o.file, base)
	if err != nil {
		return fmt.Errorf("the rules in effect: %w", err)
	}
	srv, err := openServers(ctx, cfg)
	if err != nil {
		return err
	}
	defer srv.close()
	p, err := loadedProcess(ctx, cfg, srv)
	if err != nil {
		return err
	}
	groups := slotGroups(p.store.Load())
	if o.table != "" {
		groups = slices.DeleteFunc(groups, func(g *slotGroup) bool { return !slices.Contains(g.Names, o.table) })
	}
	if len(groups) == 0 {
		return fmt.Errorf("no table %sis sharded by one hash; rows of other rules have no slots", strings.TrimLeft(o.table+" ", " "))
	}
	for _, g := range groups {
		m, err := measureSlots(ctx, fleetServers{srv.fleet}, g, o)
		if err != nil {
			return err
		}
		if o.by == "traffic" {
			if err := weighTraffic(ctx, cfg, g, m); err != nil {
				return err
			}
		}
		n := g.hash.Shards()
		g.Decision = rebalance.Decide(*g.hash.Owners(), n, m, rebalance.Options{Tolerance: o.tolerance, MoveAtMost: o.most})
		g.Slots = g.Decision.After.Lists(n)
		for i, s := range g.Decision.Shards {
			if !slices.Contains(g.Decision.Untouched(), i) {
				g.Copied += int64(s.CostBefore)
			}
		}
	}
	text, err := o.newRules(rules, cfg, base.Text, groups)
	if err != nil {
		return err
	}
	if o.output == "json" {
		err = printJSON(out, groups)
	} else {
		o.print(out, groups)
	}
	if err != nil || o.write == "" || text == base.Text {
		return err
	}
	return os.WriteFile(o.write, []byte(text), 0o600) // it may have passwords
}

// newRules is the configuration with the groups' new slots, and seen to be read so.
func (o *rebalanceOptions) newRules(rules *ruleSet, cfg *config.Config, text string, groups []*slotGroup) (string, error) {
	wanted := map[string][]string{}
	for _, g := range groups {
		if len(g.Decision.Moves) == 0 {
			continue
		}
		for _, name := range g.Names {
			switch t := ruleNamed(cfg, name); {
			case t == nil:
				g.Missing = append(g.Missing, name)
			case t.Like == "":
				wanted[name] = g.Slots
			}
		}
	}
	if o.write == "" || len(wanted) == 0 {
		return text, nil
	}
	out, err := config.WithSlots(text, wanted)
	if err != nil {
		return "", fmt.Errorf("the new rules cannot be written: %w", err)
	}
	next, err := rules.config(o.write, rulestore.Version{Text: out})
	if err != nil {
		return "", fmt.Errorf("the new rules cannot be written: %w", err)
	}
	for _, g := range groups {
		for _, name := range g.Names {
			if len(g.Decision.Moves) == 0 || slices.Contains(g.Missing, name) {
				continue
			}
			t := ruleNamed(next, name)
			a, err := t.Rule.Algorithm(t.Shards, shardrule.Periods{})
			if err != nil {
				return "", err
			}
			if h, ok := shardrule.HashOf(a); !ok || *h.Owners() != g.Decision.After {
				return "", fmt.Errorf("the new rules cannot be written: table %s would have other slots; write them by hand", name)
			}
		}
	}
	return out, nil
}

// ruleNamed is a table's rule, nil where the file has none.
func ruleNamed(cfg *config.Config, name string) *config.Table {
	for i := range cfg.Schemas {
		for j := range cfg.Schemas[i].Tables {
			if t := &cfg.Schemas[i].Tables[j]; strings.EqualFold(cfg.Schemas[i].Name+"."+t.Name, name) {
				return t
			}
		}
	}
	return nil
}

func (o *rebalanceOptions) print(w io.Writer, groups []*slotGroup) {
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printGroup(w, g, o.by)
	}
	if o.write != "" && slices.ContainsFunc(groups, func(g *slotGroup) bool { return len(g.Decision.Moves) > 0 }) {
		fmt.Fprintf(w, "\nwritten to %s; next: serval reshard plan -c %s --to %s\n", o.write, o.file, o.write)
	}
}

func printGroup(w io.Writer, g *slotGroup, by string) {
	d := g.Decision
	fmt.Fprintf(w, "%s: %d shards, by %s\n\n", strings.Join(g.Names, ", "), len(d.Shards), by)
	t := newTable(w, "shard", "cluster", "rows", "then", by+" to the mean", "then", "")
	mean := 0.0
	for _, s := range d.Shards {
		mean += s.Before / float64(len(d.Shards))
	}
	for i, s := range d.Shards {
		note := ""
		if s.Outside {
			note = "not even"
		}
		t.AppendRow(table.Row{i, g.tables[0].Placement.Shards[i].Cluster, int64(s.CostBefore), int64(s.CostAfter), ofMean(s.Before, mean), ofMean(s.After, mean), note})
	}
	t.Render()
	fmt.Fprintln(w)
	for _, h := range d.Hot {
		fmt.Fprintf(w, "slot %d has %s of all, more than a shard should: moving slots cannot even that (shard %d keeps it)\n", h.Slot, percent(h.Weight/(mean*float64(len(d.Shards)))), h.Shard)
	}
	if d.Bounded {
		fmt.Fprintln(w, "more would have to move than --move-at-most allows")
	}
	if len(d.Moves) == 0 {
		fmt.Fprintln(w, "nothing need move")
		return
	}
	t = newTable(w, "slots", "from", "to", "rows")
	for _, m := range d.Moves {
		t.AppendRow(table.Row{fmt.Sprintf("%d-%d", m.First, m.Last), m.From, m.To, int64(m.Cost)})
	}
	t.Render()
	fmt.Fprintf(w, "\n%d of %d rows change their shard (%s); %d are copied, shards %v stay as they are\n", int64(d.Cost), int64(d.Total),
		percent(d.Cost/max(d.Total, 1)), g.Copied, d.Untouched())
	for _, name := range g.Missing {
		fmt.Fprintf(w, "%s has its rule by new_tables: and keeps its slots, so that joins with it are not local any more\n", name)
	}
	quoted := make([]string, len(g.Slots))
	for i, s := range g.Slots {
		quoted[i] = "'" + s + "'"
	}
	fmt.Fprintf(w, "\nslots: [%s]\n", strings.Join(quoted, ", "))
}

func ofMean(value, mean float64) string {
	if mean == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", value/mean)
}
