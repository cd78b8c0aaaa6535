package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/rulestore"
)

func reshardCommand() *cobra.Command {
	var o reshardOptions
	cmd := &cobra.Command{
		Use:   "reshard",
		Short: "Move tables to other rules while applications write",
		Long: `Moves rows from the running rules to those of another file: more or fewer shards, another key or
function, other clusters, a table out of the home into shards and back. Applications go on all
the time; docs/resharding.md has the whole picture.

  plan     what would move, what it costs, what stands in the way; changes nothing
  start    makes the new tables, copies, and follows what is written; Ctrl-C stops it, start again goes on
  status   how far the job is
  verify   compares every row of the old tables with the new ones
  cutover  holds writes for a moment and puts the new rules in effect
  reverse  goes back, with everything written since
  finish   drops the old tables
  cancel   before the cut over: drops the new tables, as if nothing had been`,
		Example: `  serval reshard plan  -c serval.yaml --to new.yaml
  serval reshard start -c serval.yaml --to new.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVarP(&o.file, "config", "c", "", "configuration file of a Serval: the rules now")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	_ = cmd.MarkPersistentFlagRequired("config") // it fails for flags that do not exist
	cmd.AddCommand(reshardPlan(&o), reshardStart(&o), reshardStatus(&o), reshardVerify(&o), reshardCancel(&o))
	cmd.AddCommand(reshardCutover(&o), reshardReverse(&o), reshardFinish(&o))
	return cmd
}

// reshardOptions are the flags of serval reshard.
type reshardOptions struct {
	file, to, output string
	timeout          time.Duration
}

// reshardSet is the rules now, the rules then, and the servers of either.
type reshardSet struct {
	*ruleSet
	// from and to are the rules, fromText and toText as they were read.
	from, to         *config.Config
	fromText, toText string
	srv              *servers
	servers          fleetServers
	// job is the one worked at as it was found, journal has its lock, moved is its
	// layout.
	job     reshard.Job
	journal *reshard.JobLog
	moved   *reshard.Layout
}

// open reads both rules and connects to the servers. Without toText the new ones
// are those of the file --to.
func (o *reshardOptions) open(ctx context.Context, out io.Writer) (*reshardSet, error) {
	if o.output != "text" && o.output != "json" {
		return nil, fmt.Errorf("unknown output %q: text or json", o.output)
	}
	rules, err := openRules(o.file, out, o.output)
	if err != nil {
		return nil, err
	}
	s := &reshardSet{ruleSet: rules}
	if err := s.read(ctx, o.to); err != nil {
		_ = rules.store.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

// with runs a command on the set that it opens.
func (o *reshardOptions) with(ctx context.Context, cmd *cobra.Command, run func(s *reshardSet) error) error {
	s, err := o.open(ctx, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	defer s.close()
	return run(s)
}

func (s *reshardSet) read(ctx context.Context, to string) error {
	base, err := s.head(ctx, to)
	if err != nil {
		return err
	}
	s.fromText = base.Text
	if s.from, err = s.config(s.file, base); err != nil {
		return fmt.Errorf("the rules in effect: %w", err)
	}
	if to == "" {
		return s.connect(ctx, s.from)
	}
	text, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if err := s.wants(to, string(text)); err != nil {
		return err
	}
	return s.connect(ctx, reachable(s.from, s.to))
}

// wants takes a text for the new rules.
func (s *reshardSet) wants(path, text string) (err error) {
	s.toText = text
	if s.to, err = s.config(path, rulestore.Version{Text: text}); err == nil {
		err = control.Check(s.to, time.Now()).OrNil()
	}
	return err
}

// reachable is a configuration with the clusters of both.
func reachable(from, to *config.Config) *config.Config {
	all := *from
	all.Clusters = append([]config.Cluster(nil), from.Clusters...)
	for i := range to.Clusters {
		if from.Cluster(to.Clusters[i].Name) == nil {
			all.Clusters = append(all.Clusters, to.Clusters[i])
		}
	}
	return &all
}

// connect reaches the servers of a configuration's clusters.
func (s *reshardSet) connect(ctx context.Context, cfg *config.Config) error {
	srv, err := openServers(ctx, cfg)
	if err != nil {
		return err
	}
	s.srv, s.servers = srv, fleetServers{srv.fleet}
	return nil
}

func (s *reshardSet) close() {
	if s.srv != nil {
		s.srv.close()
	}
	_ = s.store.Close() // nothing was left unsaid
}

// layout is what moves, with what stands in the way so far.
func (s *reshardSet) layout(ctx context.Context) (*control.Both, *reshard.Layout, []reshard.Obstacle, error) {
	now := time.Now()
	both, err := control.ReadBoth(ctx, s.from, s.to, s.servers, now)
	if err != nil {
		return nil, nil, nil, err
	}
	layout, obstacles := reshard.Between(both.Old, both.Next)
	moves := map[control.TableName]bool{}
	for _, t := range layout.Tables {
		moves[control.TableName{Schema: t.Schema, Table: t.Name}] = true
	}
	for _, name := range both.Unsure {
		obstacles = append(obstacles, reshard.Obstacle{Schema: name.Schema, Table: name.Table, Remark: true,
			What: "its periods are those from from: or keep: to ahead:", Do: "rows before or behind them stop the job"})
	}
	for _, r := range control.CheckDrift(ctx, s.from, s.servers, now) {
		if moves[control.TableName{Schema: r.Schema, Table: r.Table}] {
			obstacles = append(obstacles, reshard.Obstacle{Schema: r.Schema, Table: r.Table, What: r.What, Do: "serval check --live --repair makes its shards alike"})
		}
	}
	return both, layout, obstacles, nil
}
