// Command serval is the Serval proxy and its tools. This package only reads
// flags and wires the other packages together.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/parser"
)

func main() {
	parser.Prepare()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errFindings):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "serval: "+err.Error())
		os.Exit(1)
	}
}

// errFindings ends a command whose findings have been printed already.
var errFindings = errors.New("there are findings")

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serval",
		Short: "A MySQL proxy for databases that have outgrown one server",
		Long: `Serval is a MySQL proxy. An application connects to it as if to one MySQL server;
Serval sends writes to the primary and reads to replicas, keeps big tables on many
servers by rules you write in YAML, and merges what comes back.

Start here:
  serval demo                          a sharded shop on real servers, in one command
  serval serve -c serval.yaml          the proxy
  serval check -c serval.yaml          is the configuration right?
  serval explain -c serval.yaml 'SQL'  where would a statement go?
  serval advise -c serval.yaml         which sharding keys suit what is asked?
  serval reshard plan -c serval.yaml --to new.yaml   what would move to other rules?`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(serveCommand(), demoCommand(), checkCommand(), explainCommand(), rulesCommand(), adviseCommand(), reshardCommand(), rebalanceCommand(), importCommand(), versionCommand())
	return cmd
}
