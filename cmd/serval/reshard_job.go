package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/ddl"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/rulestore"
)

const (
	// takeOver is how long the worker that runs may take to end when another
	// process wishes it.
	takeOver = 30 * time.Second
	// journalAgain is how long a lost journal is tried again.
	journalAgain = 10 * time.Minute
)

// clusterNames are those of a configuration, in its order.
func clusterNames(cfg *config.Config) []string {
	var names []string
	for i := range cfg.Clusters {
		names = append(names, cfg.Clusters[i].Name)
	}
	return names
}

// jobServers is the fleet for a job.
func (s *reshardSet) jobServers() reshardServers {
	return reshardServers{s.servers, reachable(s.from, s.to)}
}

// journalClusters are those that may have a journal; the first has a new job's:
// home:, or the first that is a schema's home, or the first of all. No rules that a
// job moves to have other homes.
func journalClusters(cfg *config.Config) []string {
	var out []string
	add := func(cluster string) {
		if cluster != "" && !slices.Contains(out, cluster) {
			out = append(out, cluster)
		}
	}
	add(cfg.Home)
	for i := range cfg.Schemas {
		add(cfg.Schemas[i].Home)
	}
	if len(out) == 0 {
		return clusterNames(cfg)
	}
	return out
}

// jobs are the jobs in the journals of the clusters, nil where there was never one.
func (s *reshardSet) jobs(ctx context.Context) ([]reshard.Job, error) {
	return reshard.FindJobs(ctx, s.servers, clusterNames(s.from))
}

// open is the job that has not ended, nil for none.
func openJob(jobs []reshard.Job) *reshard.Job {
	for i := range jobs {
		if !jobs[i].Stage.Ended() {
			return &jobs[i]
		}
	}
	return nil
}

// take makes a job's two configurations this set's, and reaches all its clusters.
func (s *reshardSet) take(ctx context.Context, j *reshard.Job) (err error) {
	s.fromText = j.From
	if s.from, err = s.config(s.file, rulestore.Version{Text: j.From}); err != nil {
		return fmt.Errorf("the rules the job began with: %w", err)
	}
	if err := s.wants(fmt.Sprintf("the rules of job %d", j.ID), j.To); err != nil {
		return err
	}
	s.srv.close()
	return s.connect(ctx, reachable(s.from, s.to))
}

// existing opens the set of the job that has not ended.
func (o *reshardOptions) existing(ctx context.Context, s *reshardSet) (*reshard.Job, error) {
	jobs, err := s.jobs(ctx)
	if err != nil {
		return nil, err
	}
	j := openJob(jobs)
	if j == nil {
		return nil, errNoJob
	}
	if o.to != "" && s.toText != j.To && (!goesBack(j) || s.toText != j.From) {
		if err := s.amend(ctx, j, o.to); err != nil {
			return nil, err
		}
	}
	return j, s.take(ctx, j)
}

// begin writes a new job down, or gives the one that is under way.
func (o *reshardOptions) begin(ctx context.Context, s *reshardSet) (*reshard.Job, error) {
	j, err := o.existing(ctx, s)
	if !errors.Is(err, errNoJob) {
		return j, err
	}
	if s.to == nil {
		return nil, errors.New("there is no job to go on with; give --to NEW to begin one")
	}
	plan, err := s.plan(ctx, reshard.PlanOptions{Rate: 1, Free: s.free})
	if err != nil {
		return nil, err
	}
	if !plan.Possible {
		printPlan(s.out, plan)
		return nil, errors.New("refused; nothing was done")
	}
	log, err := reshard.OpenJournal(ctx, s.jobServers(), journalClusters(s.from)[0], whoami(), takeOver)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if others, err := log.Open(ctx); err != nil || len(others) > 0 {
		return nil, errors.Join(err, errors.New("another process has just begun a job; see serval reshard status"))
	}
	var tables []string
	for _, t := range plan.Tables {
		tables = append(tables, t.Schema+"."+t.Table)
	}
	j = &reshard.Job{From: s.fromText, To: s.toText, Tables: strings.Join(tables, ", "), By: whoami(), Total: plan.Rows}
	return j, log.New(ctx, j)
}

// hold takes the job's lock. Where another process has it, that one is asked to end
// if ask is set.
func (s *reshardSet) hold(ctx context.Context, j *reshard.Job, ask bool) (*reshard.JobLog, error) {
	worker := fmt.Sprintf("%s, process %d", whoami(), os.Getpid())
	log, err := reshard.OpenJournal(ctx, s.jobServers(), j.Cluster, worker, 0)
	if errors.Is(err, reshard.ErrBusy) && ask {
		if err := reshard.Ask(ctx, s.jobServers(), j, reshard.WishStop); err != nil {
			return nil, err
		}
		log, err = reshard.OpenJournal(ctx, s.jobServers(), j.Cluster, worker, takeOver)
	}
	if errors.Is(err, reshard.ErrBusy) {
		return nil, fmt.Errorf("%w (%s)", err, j.Worker)
	}
	if err != nil {
		return nil, err
	}
	jobs, err := log.Open(ctx)
	if now := openJob(jobs); err == nil && (now == nil || now.ID != j.ID) {
		err = fmt.Errorf("job %d has ended meanwhile", j.ID)
	} else if err == nil {
		*j = *now
		err = log.Granted(ctx, j)
	}
	if err != nil {
		log.Close()
		return nil, err
	}
	return log, nil
}

// work takes the job on until ctx ends or then has ended, anew where a server was
// away, another one took its place, or the layout has changed.
func (s *reshardSet) work(ctx context.Context, j *reshard.Job, o *workOptions, then reshard.Then) error {
	lost := time.Time{}
	for {
		err := s.workOnce(ctx, j, o, then)
		switch {
		case errors.Is(err, reshard.ErrChanged), errors.Is(err, reshard.ErrPrimaries):
			continue
		case ctx.Err() != nil || !errors.Is(err, reshard.ErrJournal) && (s.journal == nil || !reshard.Passing(err)):
			return err
		case lost.IsZero() || time.Since(lost) > 2*journalAgain:
			lost = time.Now()
		case time.Since(lost) > journalAgain:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// workOptions are how a job is worked at.
type workOptions struct {
	rate int
	ask  bool
	told func(reshard.Job, reshard.Progress)
	log  *slog.Logger
}

func (s *reshardSet) workOnce(ctx context.Context, j *reshard.Job, o *workOptions, then reshard.Then) error {
	log, err := s.hold(ctx, j, o.ask)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := s.settleTurn(ctx, j, log); err != nil {
		return err
	}
	if err := s.settleDefinitions(ctx, j, o.log); err != nil {
		return err
	}
	layout, err := s.moves(ctx, j)
	if err != nil {
		return err
	}
	s.job, s.journal, s.moved = *j, log, layout
	w := &reshard.Worker{Log: log, Job: j, Layout: layout, Servers: s.jobServers(), Primaries: s.jobServers(), RowsPerSecond: o.rate,
		Pause: s.lagging(layout), Told: o.told, Logs: o.log, Said: func(text string) { s.say("%s", text) },
		Changed: func(ctx context.Context) (bool, error) {
			now, err := s.moves(ctx, j)
			return err == nil && !sameLayout(layout, now), err
		}}
	return w.Run(ctx, then)
}

// settleDefinitions waits for changes of the tables' definitions that were under way
// when the job was written down, and looks again whether they may be moved; since
// then Servals refuse such changes.
func (s *reshardSet) settleDefinitions(ctx context.Context, j *reshard.Job, log *slog.Logger) error {
	if j.Stage != reshard.Planned {
		return nil
	}
	layout, err := s.moves(ctx, j)
	if err != nil {
		return err
	}
	jobs := ddl.New(s.servers, log)
	for _, t := range layout.Tables {
		if err := jobs.Settled(ctx, s.homeOf(t.Schema), t.Schema, t.Name); err != nil {
			return err
		}
	}
	plan, err := s.plan(ctx, reshard.PlanOptions{Rate: 1, Free: s.free})
	if err == nil && !plan.Possible {
		printPlan(s.out, plan)
		err = errors.New("the tables are not what they were when the job was written down; serval reshard cancel ends it")
	}
	return err
}

// moves is the layout as it is now, without asking what speaks against it.
func (s *reshardSet) moves(ctx context.Context, j *reshard.Job) (*reshard.Layout, error) {
	from, to := s.from, s.to
	if goesBack(j) {
		from, to = to, from
	}
	both, err := control.ReadBoth(ctx, from, to, s.servers, time.Now())
	if err != nil {
		return nil, err
	}
	layout, _ := reshard.Between(both.Old, both.Next)
	if goesBack(j) {
		layout = layout.Back()
	}
	return layout, nil
}

// sameLayout: the same physical tables.
func sameLayout(a, b *reshard.Layout) bool {
	if len(a.Tables) != len(b.Tables) {
		return false
	}
	for i, t := range a.Tables {
		u := b.Tables[i]
		if t.Schema != u.Schema || t.Name != u.Name || !reflect.DeepEqual(t.Sources, u.Sources) || !reflect.DeepEqual(t.Targets, u.Targets) || !reflect.DeepEqual(t.Aside, u.Aside) {
			return false
		}
	}
	return true
}
