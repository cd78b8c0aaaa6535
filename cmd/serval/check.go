package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
)

// finding is one line of check: where it is, what is wrong, what to do.
type finding struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
	Do   string `json:"do,omitempty"`
	// SQL would mend it, on this cluster; Repaired: it did.
	SQL      []string `json:"sql,omitempty"`
	Cluster  string   `json:"cluster,omitempty"`
	Repaired bool     `json:"repaired,omitempty"`
}

func (f finding) String() string {
	s := config.Finding{File: f.File, Line: f.Line, What: f.What, Do: f.Do}.String()
	if f.Repaired {
		return "repaired: " + s
	}
	return s
}

func checkCommand() *cobra.Command {
	var file, output string
	var live, placement, repair bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration, and with the servers",
		Long: `Validates a configuration file. With --live it also compares it with the servers: missing
tables, columns, keys and options that differ between shards, sharding columns no rule can take, and the
SQL that would mend it; and the lookup tables of unique: with their tables, which reads those whole.
With --repair it runs what loses nothing (missing tables, columns and
keys, wider types) and leaves what drops or narrows to you; it builds lookup tables that are missing
while the applications write, which takes its time (--timeout). With --placement the
servers also compute every row's shard and count those on another one, and the copies of
global tables are compared; that reads whole tables.

Prints one line per finding: file:line, what is wrong, what to do. Exit status 1 if there are
any left, 0 if all is well.`,
		Example: "  serval check -c serval.yaml\n  serval check -c serval.yaml --live\n  serval check -c serval.yaml --live --repair\n  serval check -c serval.yaml --live -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			findings, err := check(ctx, file, live || placement || repair, placement, repair)
			if err != nil {
				return err
			}
			if err := printFindings(cmd.OutOrStdout(), findings, output); err != nil {
				return err
			}
			for _, f := range findings {
				if !f.Repaired {
					return errFindings
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "configuration file")
	f.BoolVar(&live, "live", false, "compare with the servers too")
	f.BoolVar(&placement, "placement", false, "look for rows on the wrong shard and for global tables whose copies differ too (implies --live)")
	f.BoolVar(&repair, "repair", false, "run what makes the shards' definitions the same and loses nothing (implies --live)")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	f.DurationVar(&timeout, "timeout", time.Minute, "how long --live may take")
	_ = cmd.MarkFlagRequired("config") // it fails for flags that do not exist
	return cmd
}

func check(ctx context.Context, file string, live, placement, repair bool) ([]finding, error) {
	findings := []finding{}
	cfg, err := config.Load(file)
	if err == nil {
		err = control.Check(cfg, time.Now()).OrNil()
	}
	var bad config.Findings
	if errors.As(err, &bad) {
		for _, f := range bad {
			findings = append(findings, finding{File: f.File, Line: f.Line, What: f.What, Do: f.Do})
		}
		return findings, nil
	}
	if err != nil || !live {
		return findings, err
	}
	srv, err := openServers(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer srv.close()
	found, drifted := liveFindings(ctx, cfg, fleetServers{srv.fleet}, repair)
	for _, f := range control.CheckLookups(ctx, cfg, fleetServers{srv.fleet}, time.Now(), repair, knownToServals(file)) {
		line := finding{Line: f.Line, Do: f.Do, Repaired: f.Repaired}
		f.Do = ""
		line.What = f.String()
		drifted = append(drifted, line)
	}
	if placement {
		found = append(found, control.CheckPlacement(ctx, cfg, fleetServers{srv.fleet}, time.Now())...)
	}
	for _, f := range found {
		line := finding{File: file, Line: f.Line, Do: f.Do}
		f.Do = ""
		line.What = f.String()
		findings = append(findings, line)
	}
	for _, f := range drifted {
		f.File = file
		findings = append(findings, f)
	}
	return findings, nil
}

// liveFindings compares with the servers, and repairs what may be.
func liveFindings(ctx context.Context, cfg *config.Config, servers fleetServers, repair bool) ([]control.Finding, []finding) {
	type shard struct {
		schema, table string
		index         int
	}
	seen := map[shard]bool{}
	var drifted []finding
	for _, r := range control.CheckDrift(ctx, cfg, servers, time.Now()) {
		seen[shard{r.Schema, r.Table, r.Shard}] = true
		drifted = append(drifted, driftFinding(ctx, servers, &r, repair))
	}
	found := slices.DeleteFunc(control.CheckLive(ctx, cfg, servers, time.Now()), func(f control.Finding) bool {
		return f.Shard >= 0 && seen[shard{f.Schema, f.Table, f.Shard}]
	})
	return found, drifted
}

// driftFinding is a difference between shards with what mends it, run where
// that is asked for and loses nothing.
func driftFinding(ctx context.Context, servers fleetServers, r *control.Repair, repair bool) finding {
	out := finding{Line: r.Line, SQL: r.SQL, Cluster: r.Cluster}
	do := r.Do
	r.Do = ""
	out.What = r.String()
	sql := strings.Join(r.SQL, "; ")
	switch {
	case do != "":
		out.Do = do
	case sql == "":
		out.Do = "make it the same by hand"
	case r.Loses:
		out.Do = "this may lose data or is your choice, so run it yourself on " + r.Cluster + " if it is right: " + sql
	case !repair:
		out.Do = "--repair runs on " + r.Cluster + ": " + sql
	default:
		if err := r.Run(ctx, servers); err != nil {
			out.Do = "the repair failed: " + err.Error()
			break
		}
		out.Repaired, out.Do = true, "run on "+r.Cluster+": "+sql
	}
	return out
}

func printFindings(w io.Writer, findings []finding, output string) error {
	switch output {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(findings)
	case "text":
		for _, f := range findings {
			fmt.Fprintln(w, f)
		}
		return nil
	}
	return fmt.Errorf("unknown output %q: text or json", output)
}
