package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/servaldb/serval/admin"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/rulestore"
)

// ruleSource is where a running Serval's rules come from, at first and anew.
type ruleSource interface {
	// start gives the configuration to begin with.
	start(ctx context.Context, log *slog.Logger) (*config.Config, error)
	// follow applies what comes anew, until ctx ends.
	follow(ctx context.Context, p *process)
	// floors are those of the version that start gave.
	floors() map[string]string
	// leave is called when nobody is served any more.
	leave(ctx context.Context, log *slog.Logger)
}

// fixedRules never change.
type fixedRules struct{ cfg *config.Config }

func (f fixedRules) start(context.Context, *slog.Logger) (*config.Config, error) { return f.cfg, nil }
func (f fixedRules) follow(ctx context.Context, _ *process)                      { <-ctx.Done() }
func (f fixedRules) floors() map[string]string                                   { return nil }
func (f fixedRules) leave(context.Context, *slog.Logger)                         {}

// fileRules are a file's, read again at a signal or when serval rules apply
// stored a new version.
type fileRules struct {
	file    string
	signals <-chan os.Signal
	folder  *rulestore.Folder
	served  rulestore.Version
	// member is this Serval's part in cut overs; nil where the folder may not be
	// written.
	member *rulestore.FolderMember
}

func newFileRules(file string, signals <-chan os.Signal) *fileRules {
	return &fileRules{file: file, signals: signals, folder: rulestore.NewFolder(file)}
}

func (f *fileRules) start(ctx context.Context, log *slog.Logger) (*config.Config, error) {
	cfg, _, err := f.read()
	if err == nil {
		err = f.folder.EndOrphan(ctx, endOrphan(log, f.config, func(context.Context) (*config.Config, error) { return cfg, nil }))
	}
	if err != nil {
		return nil, err
	}
	cfg, text, err := f.read() // an orphan's rules may be in effect now
	if err != nil {
		return nil, err
	}
	f.record(ctx, log, text, "found at start")
	if f.served.Number > 0 {
		if f.member, err = f.folder.Attend(fmt.Sprintf("%s.%d", nameOf(cfg), os.Getpid()), f.served.Number, log); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

func (f *fileRules) read() (*config.Config, string, error) {
	data, err := os.ReadFile(f.file)
	if err != nil {
		return nil, "", err
	}
	cfg, err := config.Parse(f.file, data)
	return cfg, string(data), err
}

// record keeps the version that is served. Where the folder may not be written
// there is no history, and that is all.
func (f *fileRules) record(ctx context.Context, log *slog.Logger, text, note string) {
	within, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, err := f.folder.Record(within, rulestore.Version{Text: text, By: whoami(), Note: note})
	if err != nil {
		log.Info("the rules' history is not kept", "why", err)
		v = rulestore.Version{Sum: rulestore.SumOf(text), Text: text}
	}
	f.served = v
}

func (f *fileRules) follow(ctx context.Context, p *process) {
	p.rulesServed(f.served)
	if f.member != nil {
		f.attend(ctx, p)
		return
	}
	for {
		changed := make(chan int64, 1)
		waiting, stop := context.WithCancel(ctx)
		go func() {
			n, _ := f.folder.Changed(waiting, f.served.Number) // the error is waiting's end
			changed <- n
		}()
		number := int64(0)
		select {
		case <-f.signals:
		case number = <-changed:
		case <-ctx.Done():
		}
		stop()
		if number == 0 {
			<-changed
		}
		if ctx.Err() != nil {
			return
		}
		f.again(ctx, p, number)
	}
}

// attend follows a folder in which tables may be cut over.
func (f *fileRules) attend(ctx context.Context, p *process) {
	follower := follower{p, f.config}
	for {
		took, pause := f.member.Step(ctx, follower)
		if took != nil {
			f.served = *took
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.signals:
			f.again(ctx, p, 0)
		case <-timer.C:
			if n := f.folder.Newer(f.served.Number); n > 0 && !f.member.Busy() {
				f.again(ctx, p, n)
			}
		}
		timer.Stop()
		f.member.Serves(f.served.Number)
	}
}

// again takes the version of that number, or what the file holds.
func (f *fileRules) again(ctx context.Context, p *process, number int64) {
	var cfg *config.Config
	var text string
	v, err := rulestore.Version{}, error(nil)
	if number > 0 {
		f.served.Number = number // taken or not, it is looked at once
		if v, err = f.folder.Version(ctx, number); err == nil {
			cfg, err = config.Parse(f.file, []byte(v.Text))
		}
	} else {
		if cfg, text, err = f.read(); err == nil {
			err = p.strands(ctx, cfg)
		}
	}
	if err == nil {
		err = p.apply(ctx, cfg)
	}
	if err != nil {
		p.log.Error("the configuration was not reloaded; the old one stays", "why", fmt.Sprint(err))
		p.rulesRefused(err)
		return
	}
	if f.served = v; number == 0 {
		f.record(ctx, p.log, text, "read again at SIGHUP")
	}
	p.rulesServed(f.served)
	p.log.Info("configuration reloaded", "file", cfg.Path, "version", f.served.Number)
}

func (f *fileRules) floors() map[string]string { return f.served.Floors }

func (f *fileRules) leave(context.Context, *slog.Logger) {
	if f.member != nil {
		f.member.Leave()
	}
}

// config is a version as a configuration.
func (f *fileRules) config(v rulestore.Version) (*config.Config, error) {
	return config.Parse(f.file, []byte(v.Text))
}

// etcdRules are those that several Servals share.
type etcdRules struct {
	file    string
	signals <-chan os.Signal
	etcd    *rulestore.Etcd
	member  *rulestore.Membership
	served  rulestore.Version
}

func (e *etcdRules) start(ctx context.Context, log *slog.Logger) (*config.Config, error) {
	data, err := os.ReadFile(e.file)
	if err != nil {
		return nil, err
	}
	own, err := config.ParseOwn(e.file, data)
	if err != nil {
		return nil, err
	}
	first := rulestore.Version{By: whoami(), Note: "from " + e.file}
	if _, err := config.Parse(e.file, data); err == nil {
		first.Text = string(data)
	}
	if e.etcd, err = rulestore.OpenEtcd(own.Store); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = e.etcd.EndOrphan(within, endOrphan(log, e.config, func(ctx context.Context) (*config.Config, error) {
		head, err := e.etcd.Head(ctx)
		if err != nil {
			return nil, err
		}
		return e.config(head)
	}))
	if err != nil {
		return nil, errors.Join(err, e.etcd.Close())
	}
	self := rulestore.Member{Name: nameOf(own), Listen: strings.Join(own.Listen, ", ")}
	if e.member, e.served, err = e.etcd.Join(within, self, first, log); err != nil {
		return nil, errors.Join(err, e.etcd.Close())
	}
	cfg, err := e.config(e.served)
	if err != nil {
		e.leave(ctx, log)
	}
	return cfg, err
}

// config is a version with what this Serval's file says for itself.
func (e *etcdRules) config(v rulestore.Version) (*config.Config, error) {
	data, err := os.ReadFile(e.file)
	if err != nil {
		return nil, err
	}
	return sharedConfig(e.file, data, v)
}

func sharedConfig(file string, own []byte, v rulestore.Version) (*config.Config, error) {
	return config.ParseShared(file, own, fmt.Sprintf("version %d", v.Number), []byte(v.Text))
}

func (e *etcdRules) follow(ctx context.Context, p *process) {
	p.rulesServed(e.served)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-e.signals:
			}
			e.again(ctx, p)
		}
	}()
	e.member.Run(ctx, follower{p, e.config})
	stop()
	<-done
}

// again takes this Serval's own keys anew.
func (e *etcdRules) again(ctx context.Context, p *process) {
	v := *p.rules.Load()
	cfg, err := e.config(rulestore.Version{Number: v.Version, Text: v.Text})
	if err == nil {
		err = p.apply(ctx, cfg)
	}
	if err != nil {
		p.log.Error("the configuration was not reloaded; the old one stays", "why", fmt.Sprint(err))
		return
	}
	p.log.Info("configuration reloaded", "file", e.file, "version", v.Version)
}

func (e *etcdRules) floors() map[string]string { return e.served.Floors }

func (e *etcdRules) leave(ctx context.Context, log *slog.Logger) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := errors.Join(e.member.Leave(within), e.etcd.Close()); err != nil {
		log.Warn("the rules' store could not be told that this Serval ends; serval rules gone does", "err", err)
	}
}

// follower takes part in the hand-over for a process; config is a version as this
// Serval would serve it.
type follower struct {
	p      *process
	config func(rulestore.Version) (*config.Config, error)
}

func (f follower) Check(_ context.Context, v rulestore.Version) error {
	cfg, err := f.config(v)
	if err != nil {
		return err
	}
	return servable(cfg)
}

// servable: this Serval could serve the configuration.
func servable(cfg *config.Config) error {
	if _, err := clusterConfigs(cfg); err != nil {
		return err
	}
	return control.Check(cfg, time.Now()).OrNil()
}

func (f follower) Look(ctx context.Context) error { return f.p.control.Load(ctx) }

// Take asks no server: statements wait for it.
func (f follower) Take(_ context.Context, v rulestore.Version) error {
	cfg, err := f.config(v)
	if err == nil {
		err = f.p.adopt(cfg, v)
	}
	return err
}

// adopt makes a version the rules at once, without asking a server.
func (p *process) adopt(cfg *config.Config, v rulestore.Version) error {
	err := p.servers.update(cfg)
	if err == nil {
		p.servers.fleet.SetFloors(v.Floors)
		p.numbers().Forget()
		err = p.control.Adopt(cfg)
	}
	if err != nil {
		p.rulesRefused(err)
		return err
	}
	p.current.Store(cfg)
	p.rulesServed(v)
	return nil
}

func (f follower) Hold(why string) { f.p.store.Hold(why) }
func (f follower) Release()        { f.p.store.Release() }

// Until implements rulestore.Follower.
func (f follower) Until(at time.Time, why string) { f.p.store.Until(at, why) }

func (f follower) Pause(ctx context.Context, tables []string, everything bool) error {
	return f.p.pause(ctx, tables, everything)
}

func (f follower) Finish(ctx context.Context, text string, finish []byte) (map[string]string, error) {
	to, err := f.config(rulestore.Version{Text: text})
	if err != nil {
		return nil, err
	}
	return finishRenames(ctx, f.p.current.Load(), to, finish)
}

// endOrphan ends the renames of a cut over whose maker is gone, before this Serval
// serves. from gives the rules before it.
func endOrphan(log *slog.Logger, parse func(rulestore.Version) (*config.Config, error), from func(context.Context) (*config.Config, error)) rulestore.Finisher {
	return func(ctx context.Context, text string, finish []byte) (map[string]string, error) {
		log.Warn("a cut over of tables was left in the middle; it is ended")
		old, err := from(ctx)
		if err != nil {
			return nil, err
		}
		to, err := parse(rulestore.Version{Text: text})
		if err != nil {
			return nil, err
		}
		return finishRenames(ctx, old, to, finish)
	}
}

// rulesServed and rulesRefused note what became of a version, for the admin
// side.
func (p *process) rulesServed(v rulestore.Version) {
	p.rules.Store(&admin.RulesStat{Version: v.Number, Sum: v.Sum, By: v.By, At: v.At, Text: v.Text})
	p.metrics.RulesVersion(v.Number)
}

func (p *process) rulesRefused(err error) {
	now := *p.rules.Load()
	now.Refused = err.Error()
	p.rules.Store(&now)
}

// nameOf is this Serval's name among those of a store.
func nameOf(own *config.Config) string {
	if own.Name != "" {
		return own.Name
	}
	host, err := os.Hostname()
	if err != nil {
		host = "serval"
	}
	_, port, err := net.SplitHostPort(own.Listen[0])
	if err != nil {
		port = own.Listen[0]
	}
	return strings.ReplaceAll(host+":"+port, "/", "_")
}

// whoami is user@host.
func whoami() string {
	name := "?"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return name + "@" + host
}
