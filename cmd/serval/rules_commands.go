package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/servaldb/serval/rulestore"
)

const toUsage = "file with the new rules (default: the configuration file, if it was edited)"

func rulesDiff(o *rulesOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Say what new rules would change, and whether they may",
		Long: `Compares the rules in effect with those of --to, or with the configuration file if that was
edited. Asks the servers whether rows would be stranded. Exit status 1 if the change would be
refused.`,
		Example: "  serval rules diff -c serval.yaml --to new.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, func(ctx context.Context, s *ruleSet) error {
				path, v, err := s.wanted(o.to)
				if err != nil {
					return err
				}
				c, err := s.showChange(ctx, path, v)
				if err != nil {
					return err
				}
				if len(c.Findings) > 0 {
					return errFindings
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "", toUsage)
	return cmd
}

func rulesApply(o *rulesOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Put new rules in effect",
		Long: `Shows what changes, refuses what would strand rows, and puts the rest in effect: on every Serval
of an etcd store at once, or not at all; for a single Serval by replacing its file, which a
running one reads within a second. The rules that were in effect stay in the history.`,
		Example: "  serval rules apply -c serval.yaml --to new.yaml --note 'a third replica'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, func(ctx context.Context, s *ruleSet) error {
				path, v, err := s.wanted(o.to)
				if err != nil {
					return err
				}
				return s.change(ctx, path, v, o.note)
			})
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "", toUsage)
	cmd.Flags().StringVar(&o.note, "note", "", "why, for the history")
	return cmd
}

// showChange is compare, shown.
func (s *ruleSet) showChange(ctx context.Context, path string, v rulestore.Version) (*ruleChange, error) {
	c, err := s.compare(ctx, path, v)
	if err != nil {
		return nil, err
	}
	return c, s.show(c)
}

// change is apply and rollback: shown, checked, in effect.
func (s *ruleSet) change(ctx context.Context, path string, v rulestore.Version, note string) error {
	c, err := s.showChange(ctx, path, v)
	if err != nil {
		return err
	}
	if len(c.Findings) > 0 {
		return errors.New("refused; nothing was changed")
	}
	if len(c.Changes) == 0 && c.base.Number > 0 {
		return nil
	}
	return s.apply(ctx, c, note)
}

func rulesHistory(o *rulesOptions) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "history [VERSION]",
		Short:   "List the versions there were, or print one",
		Long:    "Lists the versions, the newest first: that one is in effect. With a number it prints that version's rules.",
		Example: "  serval rules history -c serval.yaml\n  serval rules history -c serval.yaml 7 > old.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, func(ctx context.Context, s *ruleSet) error {
				if len(args) == 1 {
					v, err := s.version(ctx, args[0])
					if err == nil {
						_, err = fmt.Fprint(s.out, v.Text)
					}
					return err
				}
				versions, err := s.store.History(ctx, limit)
				if err != nil {
					return err
				}
				if s.output == "json" {
					return printJSON(s.out, versions)
				}
				t := newTable(s.out, "version", "at (UTC)", "by", "rules", "note")
				for _, v := range versions {
					t.AppendRow(table.Row{v.Number, v.At.UTC().Format(time.DateTime), v.By, v.Sum[:min(12, len(v.Sum))], v.Note})
				}
				t.Render()
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func (s *ruleSet) version(ctx context.Context, number string) (rulestore.Version, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return rulestore.Version{}, fmt.Errorf("%q is no version; serval rules history lists them", number)
	}
	return s.store.Version(ctx, n)
}

func rulesRollback(o *rulesOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback VERSION",
		Short: "Put an older version's rules in effect again",
		Long: `Applies the rules of an older version, as a new version. It is checked like any other change:
where rows have moved since, it is refused.`,
		Example: "  serval rules rollback -c serval.yaml 7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, func(ctx context.Context, s *ruleSet) error {
				v, err := s.version(ctx, args[0])
				if err != nil {
					return err
				}
				note := o.note
				if note == "" {
					note = fmt.Sprintf("back to version %d", v.Number)
				}
				return s.change(ctx, s.file, rulestore.Version{Text: v.Text}, note)
			})
		},
	}
	cmd.Flags().StringVar(&o.note, "note", "", "why, for the history")
	return cmd
}

func rulesServals(o *rulesOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "servals",
		Short:   "List the Servals of an etcd store and the version each serves",
		Example: "  serval rules servals -c serval.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, func(ctx context.Context, s *ruleSet) error {
				etcd, err := s.etcd()
				if err != nil {
					return err
				}
				members, err := etcd.Members(ctx)
				if err != nil {
					return err
				}
				if s.output == "json" {
					return printJSON(s.out, members)
				}
				t := newTable(s.out, "serval", "listens", "since (UTC)", "version", "alive")
				for _, m := range members {
					t.AppendRow(table.Row{m.Name, m.Listen, m.Since.UTC().Format(time.DateTime), m.Serves, m.Alive})
				}
				t.Render()
				return nil
			})
		},
	}
}

func (s *ruleSet) etcd() (*rulestore.Etcd, error) {
	if e, shared := s.shared(); shared {
		return e, nil
	}
	return nil, fmt.Errorf("%s has no store: etcd://…, so its rules are one Serval's alone", s.file)
}

func rulesGone(o *rulesOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "gone SERVAL",
		Short: "Take a Serval that no longer runs off the list",
		Long: `Changes wait for every Serval on the list, also for one that is not heard of: cut off from the
store it may still serve the old rules. Say that one is gone only when you know that it does
not run. One that ended in order, or starts again under its name, needs no such word.`,
		Example: "  serval rules gone -c serval.yaml proxy-3:3307",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, func(ctx context.Context, s *ruleSet) error {
				etcd, err := s.etcd()
				if err != nil {
					return err
				}
				return etcd.Forget(ctx, args[0])
			})
		},
	}
}
