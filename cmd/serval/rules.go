package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/servaldb/serval/admin"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/rulestore"
)

func rulesCommand() *cobra.Command {
	var o rulesOptions
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show and change the running rules, version by version",
		Long: `Every set of rules that was ever in effect is a version: in a folder beside the configuration
file, or, where the file says store: etcd://…, in etcd for all Servals together.

A change that would leave rows where the new rules do not look for them is refused; that is
what serval reshard is for. With etcd a change takes effect only when every Serval has said
that it can serve it, and then on all of them at once.`,
		Example: `  serval rules diff -c serval.yaml --to new.yaml      what would change, and may it?
  serval rules apply -c serval.yaml --to new.yaml --note 'orders on c2 too'
  serval rules history -c serval.yaml
  serval rules rollback -c serval.yaml 7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVarP(&o.file, "config", "c", "", "configuration file of a Serval")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "how long it may take")
	_ = cmd.MarkPersistentFlagRequired("config") // it fails for flags that do not exist
	cmd.AddCommand(rulesDiff(&o), rulesApply(&o), rulesHistory(&o), rulesRollback(&o), rulesServals(&o), rulesGone(&o))
	return cmd
}

// rulesOptions are the flags of serval rules.
type rulesOptions struct {
	file, to, note, output string
	timeout                time.Duration
}

// run opens the store for one command.
func (o *rulesOptions) run(cmd *cobra.Command, do func(ctx context.Context, s *ruleSet) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
	defer cancel()
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("unknown output %q: text or json", o.output)
	}
	s, err := openRules(o.file, cmd.OutOrStdout(), o.output)
	if err != nil {
		return err
	}
	defer func() { _ = s.store.Close() }() // nothing was left unsaid
	return do(ctx, s)
}

// ruleSet is the rules of one configuration file, wherever they are kept.
type ruleSet struct {
	file string
	own  []byte
	// local are the file's own keys.
	local  *config.Config
	store  rulestore.Store
	out    io.Writer
	output string
}

func openRules(file string, out io.Writer, output string) (*ruleSet, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	local, err := config.ParseOwn(file, data)
	if err != nil {
		return nil, err
	}
	s := &ruleSet{file: file, own: data, local: local, out: out, output: output, store: rulestore.NewFolder(file)}
	if local.Store != "" {
		s.store, err = rulestore.OpenEtcd(local.Store)
	}
	return s, err
}

// shared: several Servals have the rules from etcd.
func (s *ruleSet) shared() (*rulestore.Etcd, bool) {
	e, ok := s.store.(*rulestore.Etcd)
	return e, ok
}

// config is a version as this file's Serval would serve it. A version that is
// not stored is that of the file at path.
func (s *ruleSet) config(path string, v rulestore.Version) (*config.Config, error) {
	if _, shared := s.shared(); shared {
		if v.Number > 0 {
			path = fmt.Sprintf("version %d", v.Number)
		}
		return config.ParseShared(s.file, s.own, path, []byte(v.Text))
	}
	return config.Parse(path, []byte(v.Text))
}

// head is the version in effect. Where nothing is stored yet it is, for a
// folder, what the file holds.
func (s *ruleSet) head(ctx context.Context, to string) (rulestore.Version, error) {
	v, err := s.store.Head(ctx)
	if !errors.Is(err, rulestore.ErrEmpty) {
		return v, err
	}
	if _, shared := s.shared(); shared {
		return v, fmt.Errorf("%w; the first Serval to start stores its file's", err)
	}
	if to == "" {
		return v, fmt.Errorf("%w, so there is nothing to compare %s with; give --to NEW", err, s.file)
	}
	return rulestore.Version{Text: string(s.own)}, nil
}

// ruleChange is what turns the rules in effect into others.
type ruleChange struct {
	base     rulestore.Version
	to       rulestore.Version
	Changes  []config.Change `json:"changes"`
	Findings []finding       `json:"findings"`
	// Job is a reshard that began with the rules in effect, nil for none.
	Job *reshard.Job `json:"reshard,omitempty"`
}

// compare works out a change, and asks the servers whether it may be.
func (s *ruleSet) compare(ctx context.Context, path string, to rulestore.Version) (*ruleChange, error) {
	base, err := s.head(ctx, path)
	if err != nil {
		return nil, err
	}
	from, err := s.config(s.file, base)
	if err != nil {
		return nil, fmt.Errorf("the rules in effect: %w", err)
	}
	wanted, err := s.config(path, to)
	if err == nil {
		err = control.Check(wanted, time.Now()).OrNil()
	}
	if err != nil {
		return nil, err
	}
	c := &ruleChange{base: base, to: to, Changes: config.Changes(from, wanted), Findings: []finding{}}
	if len(c.Changes) == 0 {
		return c, nil
	}
	srv, err := openServers(ctx, from)
	if err != nil {
		return nil, err
	}
	defer srv.close()
	if jobs, err := reshard.FindJobs(ctx, fleetServers{srv.fleet}, clusterNames(from)); err == nil { // else a cluster is away, and what Stranded asks decides
		c.Job = openJob(jobs)
	}
	found, err := control.Stranded(ctx, from, wanted, fleetServers{srv.fleet}, time.Now())
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		line := finding{File: path, Line: f.Line, Do: strings.ReplaceAll(strings.ReplaceAll(f.Do, "NOW", s.file), "NEW", path)}
		f.Do = ""
		line.What = f.String()
		c.Findings = append(c.Findings, line)
	}
	return c, nil
}

// wanted is the file --to names, or the configuration file as it is now.
func (s *ruleSet) wanted(to string) (path string, v rulestore.Version, err error) {
	if to == "" {
		return s.file, rulestore.Version{Text: string(s.own)}, nil
	}
	data, err := os.ReadFile(to)
	return to, rulestore.Version{Text: string(data)}, err
}

func (s *ruleSet) show(c *ruleChange) error {
	if s.output == "json" {
		return printJSON(s.out, c)
	}
	if len(c.Changes) == 0 {
		fmt.Fprintln(s.out, "nothing would change")
		return nil
	}
	t := newTable(s.out, "what", "from", "to")
	for _, ch := range c.Changes {
		from, to := ch.From, ch.To
		if ch.Secret {
			to += " (the password)"
		}
		t.AppendRow(table.Row{ch.Name, from, to})
	}
	t.Render()
	for _, f := range c.Findings {
		fmt.Fprintln(s.out, f)
	}
	if c.Job != nil {
		fmt.Fprintf(s.out, "reshard job %d is %s: make the same change in the file it goes to, and give that once more, as in serval reshard cutover --to FILE; until then it cannot cut over or go back\n", c.Job.ID, c.Job.Stage)
	}
	return nil
}

func newTable(w io.Writer, columns ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.AppendHeader(columns)
	return t
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// apply puts the change in effect and waits until it is served.
func (s *ruleSet) apply(ctx context.Context, c *ruleChange, note string) error {
	v := c.to
	v.By, v.Note = whoami(), note
	v, err := s.store.Apply(ctx, c.base.Number, v)
	if err != nil {
		return err
	}
	if _, shared := s.shared(); shared {
		s.say("version %d is in effect on every Serval", v.Number)
		return nil
	}
	return s.confirm(ctx, v)
}

func (s *ruleSet) say(format string, args ...any) {
	if s.output == "text" {
		fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// confirmWithin bounds the wait for the running Serval to say that it serves a
// version.
const confirmWithin = 20 * time.Second

// confirm asks the Serval of the file, by its admin address, whether it serves
// the version.
func (s *ruleSet) confirm(ctx context.Context, v rulestore.Version) error {
	if s.local.Admin == "" {
		s.say("version %d is stored and in %s; a running Serval takes it within a second, its log says so", v.Number, s.file)
		return nil
	}
	deadline := time.Now().Add(confirmWithin)
	var last admin.RulesStat
	for time.Now().Before(deadline) {
		now, err := servedRules(ctx, s.local.Admin)
		switch {
		case err != nil:
			s.say("version %d is stored and in %s; no Serval answers at admin %s, one that starts takes it", v.Number, s.file, s.local.Admin)
			return nil //nolint:nilerr // it was said, and it is no failure
		case now.Version == v.Number && now.Sum == v.Sum:
			s.say("version %d is in effect", v.Number)
			return nil
		}
		last = *now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	why := last.Refused
	if why == "" {
		why = "it has not said why; see its log"
	}
	return fmt.Errorf("version %d is stored and in %s, but the Serval at admin %s still serves version %d: %s; serval rules rollback -c %s %d undoes it",
		v.Number, s.file, s.local.Admin, last.Version, why, s.file, v.Number-1)
}

func servedRules(ctx context.Context, addr string) (*admin.RulesStat, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/rules", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var now admin.RulesStat
	return &now, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&now)
}
