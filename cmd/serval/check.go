package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
}

func (f finding) String() string { return config.Finding(f).String() }

func checkCommand() *cobra.Command {
	var file, output string
	var live, placement bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration, and with the servers",
		Long: `Validates a configuration file. With --live it also compares it with the servers: missing
tables, columns that differ between shards, sharding columns no rule can take. With --placement the
servers also compute every row's shard and count those on another one; that reads whole tables.

Prints one line per finding: file:line, what is wrong, what to do. Exit status 1 if there are
any, 0 if all is well.`,
		Example: "  serval check -c serval.yaml\n  serval check -c serval.yaml --live\n  serval check -c serval.yaml --live -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			findings, err := check(ctx, file, live || placement, placement)
			if err != nil {
				return err
			}
			if err := printFindings(cmd.OutOrStdout(), findings, output); err != nil {
				return err
			}
			if len(findings) > 0 {
				return errFindings
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "configuration file")
	f.BoolVar(&live, "live", false, "compare with the servers too")
	f.BoolVar(&placement, "placement", false, "look for rows on the wrong shard too (implies --live)")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	f.DurationVar(&timeout, "timeout", time.Minute, "how long --live may take")
	_ = cmd.MarkFlagRequired("config") // it fails for flags that do not exist
	return cmd
}

func check(ctx context.Context, file string, live, placement bool) ([]finding, error) {
	findings := []finding{}
	cfg, err := config.Load(file)
	if err == nil {
		err = control.Check(cfg, time.Now()).OrNil()
	}
	var bad config.Findings
	if errors.As(err, &bad) {
		for _, f := range bad {
			findings = append(findings, finding(f))
		}
		return findings, nil
	}
	if err != nil || !live {
		return findings, err
	}
	srv, err := newServers(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer srv.close()
	p := &process{cfg: cfg, log: slog.New(slog.DiscardHandler), servers: srv}
	wait, cancel := context.WithTimeout(ctx, startTimeout)
	p.awaitPrimaries(wait)
	cancel()
	found := control.CheckLive(ctx, cfg, fleetServers{srv.fleet}, time.Now())
	if placement {
		found = append(found, control.CheckPlacement(ctx, cfg, fleetServers{srv.fleet}, time.Now())...)
	}
	for _, f := range found {
		line := finding{File: file, Line: f.Line, Do: f.Do}
		f.Do = ""
		line.What = f.String()
		findings = append(findings, line)
	}
	return findings, nil
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
