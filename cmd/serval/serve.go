package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // rules name time zones, and not every machine has the files

	"github.com/spf13/cobra"

	"github.com/servaldb/serval/config"
)

func serveCommand() *cobra.Command {
	var file, primary, user, password, listen, adminAddr string
	var replicas []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy",
		Long: `Runs the proxy with a configuration file, or without one for pure read/write splitting:
--primary and --replica name the servers, --user and --password an account on them, which is
also the one to log in to Serval with.

SIGHUP reads the file again: a bad one never takes effect, nor one by which rows would not be
where statements look for them; the log says why. SIGTERM drains: no new clients, /readyz
fails, sessions end after their transaction, at the latest after limits.drain_timeout; a
second SIGTERM ends them now.

Every configuration that was served is kept: beside the file, or for several Servals in etcd
(store:); serval rules shows and changes them.`,
		Example: `  serval serve -c serval.yaml
  serval serve --primary 127.0.0.1:3306 --replica 127.0.0.1:3316 --user app --password s3cret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reload := make(chan os.Signal, 1)
			var source ruleSource
			switch {
			case file != "" && primary != "":
				return errors.New("give either -c FILE or --primary, not both")
			case file != "":
				signal.Notify(reload, syscall.SIGHUP)
				defer signal.Stop(reload)
				var err error
				if source, err = rulesOf(file, reload); err != nil {
					return err
				}
			case primary != "":
				signal.Ignore(syscall.SIGHUP)
				cfg, err := config.Quick(primary, replicas, user, secret(password))
				if err != nil {
					return err
				}
				if cfg.Admin = adminAddr; listen != "" {
					cfg.Listen = []string{listen}
				}
				source = fixedRules{cfg}
			default:
				return errors.New("serve needs -c FILE, or --primary HOST:PORT for read/write splitting without a file")
			}
			relaxGC()
			return serve(cmd.Context(), source, cmd.ErrOrStderr(), func() {})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "configuration file")
	f.StringVar(&primary, "primary", "", "the primary's host:port, for running without a file")
	f.StringArrayVar(&replicas, "replica", nil, "a replica's host:port; may be given several times")
	f.StringVar(&user, "user", "root", "account on the servers, without a file")
	f.StringVar(&password, "password", "", "its password (default: $SERVAL_PASSWORD)")
	f.StringVar(&listen, "listen", "", "address of the proxy, without a file (default 127.0.0.1:3307)")
	f.StringVar(&adminAddr, "admin", "", "address of the admin page, without a file (default: none)")
	return cmd
}

// rulesOf is where a file says its rules are.
func rulesOf(file string, signals <-chan os.Signal) (ruleSource, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	own, err := config.ParseOwn(file, data)
	if err == nil && own.Store != "" {
		return &etcdRules{file: file, signals: signals}, nil
	}
	return newFileRules(file, signals), nil // what is wrong with the file it says with all the rest
}

// relaxGC lets the heap grow to five times what lives: a proxy keeps little,
// and collecting a few megabytes a hundred times a second is a twentieth of its
// time. GOGC in the environment says otherwise.
func relaxGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// secret takes a password from the environment where no flag gives it, so that
// it need not stand in the process list.
func secret(flag string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv("SERVAL_PASSWORD")
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // config has validated it
	}
	opt := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
