package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/proxy/session"
)

func explainCommand() *cobra.Command {
	var file, schema string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "explain SQL",
		Short: "Say where a statement would go and why, without running it",
		Long: `Plans a statement as the proxy would and prints the shards, whether the primary or a replica
is asked, the SQL that is sent, and what is merged. The servers are asked for their tables'
columns only; the statement is not run.

In a connection to Serval, EXPLAIN FORMAT='route' does the same.`,
		Example: `  serval explain -c serval.yaml 'SELECT total FROM orders WHERE user_id = 42'
  serval explain -c serval.yaml --db shop 'SELECT region, AVG(total) FROM orders GROUP BY region'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			lines, err := explain(ctx, cfg, schema, args[0])
			if err != nil {
				return err
			}
			for _, l := range lines {
				fmt.Fprintln(cmd.OutOrStdout(), l)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "configuration file")
	f.StringVar(&schema, "db", "", "current database (default: the only schema of the file)")
	f.DurationVar(&timeout, "timeout", 30*time.Second, "how long the servers may take to describe the tables")
	_ = cmd.MarkFlagRequired("config") // it fails for flags that do not exist
	return cmd
}

func explain(ctx context.Context, cfg *config.Config, schema, sql string) ([]string, error) {
	if schema == "" && len(cfg.Schemas) == 1 {
		schema = cfg.Schemas[0].Name
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
	return session.Explain(ctx, p.deps(), schema, sql)
}
