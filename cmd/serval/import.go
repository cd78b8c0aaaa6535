package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/importer"
)

func importCommand() *cobra.Command {
	var zone string
	cmd := &cobra.Command{
		Use:   "import mycat|kingshard|gaea DIR",
		Short: "Turn the configuration of another proxy into Serval's",
		Long: `Reads the configuration of Mycat 1.x (schema.xml, rule.xml, server.xml and their map files), dble 2
(the same files) and 3 (sharding.xml, db.xml, user.xml), kingshard (ks.yaml) or Gaea (its namespaces, *.json) in a folder, and prints Serval's. Shards
stay where they stand, and functions place rows bit for bit as before, so no row moves.
What could not be carried over is said in comments.

Then:
  serval check -c serval.yaml                is it right?
  serval check -c serval.yaml --placement    is every row where its rule says?`,
		Example:   "  serval import mycat /usr/local/mycat/conf > serval.yaml\n  serval import kingshard /etc/kingshard --time-zone Asia/Shanghai",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"mycat", "kingshard", "gaea"},
		RunE: func(cmd *cobra.Command, args []string) error {
			read, ok := map[string]func(fs.FS, string) (string, error){
				"mycat": importer.Mycat, "kingshard": importer.Kingshard, "gaea": importer.Gaea,
			}[args[0]]
			if !ok {
				return fmt.Errorf("cannot import %s: mycat, kingshard or gaea", args[0])
			}
			text, err := read(os.DirFS(args[1]), zone)
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			fmt.Fprint(cmd.OutOrStdout(), text)
			var findings config.Findings
			if _, err := config.Parse("serval.yaml", []byte(text)); errors.As(err, &findings) {
				return importFindings(cmd.ErrOrStderr(), findings)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&zone, "time-zone", "", "the time zone the other proxy ran in, like Asia/Shanghai")
	return cmd
}

// importFindings prints what is wrong with an imported configuration but for
// the passwords that the environment is to have.
func importFindings(w io.Writer, findings config.Findings) error {
	wrong := false
	for _, f := range findings {
		if !strings.Contains(f.What, "SERVAL_PASSWORD_") {
			fmt.Fprintln(w, f)
			wrong = true
		}
	}
	if wrong {
		return errFindings
	}
	return nil
}
