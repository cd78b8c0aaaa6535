package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// reshardHandOvers are the commands by which rules change over.
func reshardHandOvers(o *reshardOptions) []*cobra.Command {
	later := func(use, short, long string) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Long: long + "\n\nRefused in this version: a job can be planned, copied, followed, compared and cancelled.",
			Example: "  serval reshard " + use + " -c serval.yaml",
			Args:    cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return fmt.Errorf("serval reshard %s is refused: the hand-over of rules is not in this version; the job of %s can go on following, or be cancelled", use, o.file)
			},
		}
	}
	return []*cobra.Command{
		later("cutover", "Hold writes for a moment and put the new rules in effect",
			"Holds writes until the last change has come over, gives the new tables their names, and puts the new\nrules in effect on every Serval; or backs out and leaves all as it was."),
		later("reverse", "Go back to the rules of before, with everything written since",
			"After a cut over changes are followed the other way; reverse is a cut over back."),
		later("finish", "Drop the old tables",
			"Ends the way back: drops the serval_old_… tables and closes the job."),
	}
}
