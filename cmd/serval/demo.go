package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/demo"
)

func demoCommand() *cobra.Command {
	var opt demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a sharded shop on real servers, to look at",
		Long: `Starts two clusters of one primary and one replica (real servers with real replication)
in a temporary folder, fills a small shop, and runs the proxy and its admin page in front.
It prints three things to paste. Ctrl-C leaves nothing behind.

The servers are those found in the user's cache (make demo unpacks MySQL there without
root), or mysqld or mariadbd of this machine.`,
		Example: "  serval demo\n  serval demo --load\n  serval demo --engine mariadb --listen 127.0.0.1:3308",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt.Out = cmd.OutOrStdout()
			opt.Serve = func(ctx context.Context, path string, ready func()) error {
				return serve(ctx, newFileRules(path, nil), cmd.ErrOrStderr(), ready)
			}
			return demo.Run(cmd.Context(), opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Engine, "engine", "", "mysql or mariadb (default: what is found, MySQL first)")
	f.StringVar(&opt.Listen, "listen", demo.DefaultListen, "address of the proxy")
	f.StringVar(&opt.Admin, "admin", demo.DefaultAdmin, "address of the admin page")
	f.BoolVar(&opt.Load, "load", false, "run a gentle workload to look at")
	return cmd
}
