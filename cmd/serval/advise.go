package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/servaldb/serval/admin"
	"github.com/servaldb/serval/advise"
	"github.com/servaldb/serval/config"
)

func adviseCommand() *cobra.Command {
	var o adviseOptions
	cmd := &cobra.Command{
		Use:   "advise",
		Short: "Say which sharding keys suit what the application asks",
		Long: `Reads what an application asks: a slow log or general log of MySQL or MariaDB, a file of
statements, or, without --from, the digests a running Serval has counted. Plans each statement
under the rules as they are and under every key a table could have, and reports

  for each table  the candidate keys with the share of statements that stay on one shard, are
                  sent to all, have rows moved or are refused, the share of transactions over
                  several shards, how uneven rows and traffic would be (1.0 is even), and the
                  unique keys that would be unique within each shard only
  for each        statement that would be refused, different or slow under the advised rules:
  statement       why, and what to do

A slow log with long_query_time = 0 or a general log of a busy hour says most. The servers are
asked for the tables' columns and sizes, and, unless --skew=false, for the spread of some rows.`,
		Example: `  serval advise -c serval.yaml --from /var/log/mysql/slow.log
  serval advise -c serval.yaml --from general.log --min-rows 1000000
  serval advise -c serval.yaml                       from the digests of the running Serval`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			if o.output != "text" && o.output != "json" {
				return fmt.Errorf("unknown output %q: text or json", o.output)
			}
			report, err := o.run(ctx, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(cmd.OutOrStdout(), report)
			}
			printReport(cmd.OutOrStdout(), report)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "config", "c", "", "configuration file")
	f.StringVar(&o.from, "from", "", "slow log, general log or file of statements; - is the standard input (default: the running Serval's digests)")
	f.StringVar(&o.db, "db", "", "current database where the log does not say (default: the only schema of the file)")
	f.Int64Var(&o.minRows, "min-rows", 100_000, "tables without a rule are thought of as sharded from this size on")
	f.BoolVar(&o.skew, "skew", true, "ask the servers how even rows would be spread")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long it may take")
	_ = cmd.MarkFlagRequired("config") // it fails for flags that do not exist
	return cmd
}

type adviseOptions struct {
	file, from, db, output string
	minRows                int64
	skew                   bool
	timeout                time.Duration
}

func (o *adviseOptions) run(ctx context.Context, progress io.Writer) (*advise.Report, error) {
	cfg, err := config.Load(o.file)
	if err != nil {
		return nil, err
	}
	if o.db == "" && len(cfg.Schemas) == 1 {
		o.db = cfg.Schemas[0].Name
	}
	work, err := o.workload(ctx, cfg)
	if err != nil {
		return nil, err
	}
	srv, err := openServers(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer srv.close()
	p, err := loadedProcess(ctx, cfg, srv)
	if err != nil {
		return nil, err
	}
	cat := p.store.Load()
	rows, err := advise.Rows(ctx, cat, fleetServers{srv.fleet})
	if err != nil {
		return nil, err
	}
	report := advise.Advise(cat, work, advise.Options{Rows: rows, MinRows: o.minRows, Progress: showProgress(progress)})
	if o.skew {
		err = advise.Skews(ctx, cat, fleetServers{srv.fleet}, report)
	}
	return report, err
}

// workload reads the log, or asks the running Serval.
func (o *adviseOptions) workload(ctx context.Context, cfg *config.Config) (*advise.Workload, error) {
	w := advise.NewWorkload()
	if o.from == "" {
		return w, o.live(ctx, cfg, w)
	}
	in := io.Reader(os.Stdin)
	if o.from != "-" {
		f, err := os.Open(o.from)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	err := advise.ReadLog(in, func(e advise.Event) error {
		if e.DB == "" {
			e.DB = o.db
		}
		w.Add(e)
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.from, err)
	}
	return w, nil
}

// live adds the digests of the Serval at the file's admin address.
func (o *adviseOptions) live(ctx context.Context, cfg *config.Config, w *advise.Workload) error {
	if cfg.Admin == "" {
		return fmt.Errorf("%s has no admin: address to ask for digests; give --from LOG", o.file)
	}
	var digests []admin.Digest
	if err := getJSON(ctx, cfg.Admin, "/api/digests", &digests); err != nil {
		return fmt.Errorf("%w; give --from LOG to do without", err)
	}
	for _, d := range digests {
		if d.Text != "" && d.Schema != "serval" {
			w.AddDigest(advise.Digest{DB: d.Schema, Text: d.Text, Count: d.Count, Seconds: d.Total.Seconds(), Slowest: d.Max.Seconds()})
		}
	}
	return nil
}

// getJSON asks the Serval at an admin address.
func getJSON(ctx context.Context, at, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no Serval answers at admin %s: %w", at, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the Serval at admin %s says %s to %s", at, resp.Status, path)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(into); err != nil {
		return fmt.Errorf("admin %s: %w", at, err)
	}
	return nil
}

// showProgress writes one line that grows, at most ten times a second.
func showProgress(w io.Writer) func(done, of int) {
	var last time.Time
	return func(done, of int) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			fmt.Fprintf(w, "\rplanning: %d of at most %d tables and rounds", done, of)
		}
		if done == of {
			fmt.Fprintln(w)
		}
	}
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func times(f float64) string {
	if f == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", f)
}

func sharesRow(s advise.Shares) []any {
	return []any{percent(s.Single), percent(s.Scatter), percent(s.Moved), percent(s.ReadFirst), percent(s.Refused), percent(s.Transactions)}
}

func printReport(w io.Writer, r *advise.Report) {
	fmt.Fprintf(w, "%d statements, %d digests, %d transactions", r.Statements, r.Digests, r.Transactions)
	if r.Unread+r.Dropped > 0 {
		fmt.Fprintf(w, "; %d could not be read, %d were beyond the digests kept", r.Unread, r.Dropped)
	}
	fmt.Fprint(w, "\n\n")
	ways := []any{"single shard", "all shards", "rows moved", "read first", "refused", "wide transactions"}
	t := newTable(w, append([]any{"rules"}, ways...)...)
	t.AppendRow(append(table.Row{"as they are"}, sharesRow(r.Now)...))
	t.AppendRow(append(table.Row{"as advised"}, sharesRow(r.Then)...))
	t.Render()
	fmt.Fprintln(w)

	t = newTable(w, append(append([]any{"table", "rows", "statements", "now", "candidate"}, ways...), "busiest by rows", "by traffic", "top value", "unique in a shard only")...)
	for _, adv := range r.Tables {
		for i, c := range adv.Candidates {
			row := table.Row{"", "", "", "", c.Rule}
			if i == 0 {
				row = table.Row{adv.Table, adv.Rows, adv.Statements, adv.Now, c.Rule + " *"}
			}
			top := "-"
			if c.TopValue > 0 {
				top = percent(c.TopValue)
			}
			t.AppendRow(append(append(row, sharesRow(c.Shares)...), times(c.RowSkew), times(c.Traffic), top, strings.Join(c.Loose, " ")))
		}
	}
	t.Render()
	if len(r.Remarks) == 0 {
		return
	}
	fmt.Fprintln(w, "\nUnder the advised rules (*):")
	t = newTable(w, "asked", "way", "statement", "why, and what to do")
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 3, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}, {Number: 4, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft},
	})
	for _, s := range r.Remarks {
		t.AppendRow(table.Row{s.Count, s.Way, s.Digest, strings.TrimSuffix(s.Why+"; "+s.Do, "; ")})
	}
	t.Render()
}
