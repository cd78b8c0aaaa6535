package mysqlproc

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// startTimeout bounds a start, the first answer included, where the
	// caller's context has no earlier deadline.
	startTimeout = 60 * time.Second
	// stopTimeout is how long SIGTERM may take before SIGKILL.
	stopTimeout = 20 * time.Second
	// startAttempts: a free port may be taken by somebody else before the
	// server listens on it.
	startAttempts = 3
)

// Server is one running (or stopped) server. Its methods may be called from
// one goroutine at a time; Addr, Port, Dir and DB from any.
type Server struct {
	Programs *Programs
	opt      Options
	dir      string
	temp     *TempDir // nil where the caller gave Dir
	port     int
	db       *sql.DB
	proc     *process // nil while stopped
}

// process is one life of a server.
type process struct {
	pid int
	// done is closed when the process has ended; err is why, set before.
	done chan struct{}
	err  error
}

// Start finds the engine, makes a data directory and starts a server on it;
// it returns when the server answers. On error nothing is left running.
func Start(ctx context.Context, opt Options) (*Server, error) {
	programs, err := Find(ctx, opt.Engine)
	if err != nil {
		return nil, err
	}
	s := &Server{Programs: programs, opt: opt, dir: opt.Dir}
	if s.dir == "" {
		if s.temp, err = NewTempDir(); err != nil {
			return nil, err
		}
		s.dir = s.temp.Path
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for attempt := 1; ; attempt++ {
		if s.port, err = FreePort(); err != nil {
			break
		}
		err = s.launch(ctx)
		if err == nil || attempt == startAttempts || ctx.Err() != nil || !portTaken(logFile(s.dir)) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s %s: %w", programs.Engine, programs.Version, err), tail(logFile(s.dir)), s.Close())
	}
	return s, nil
}

// prepare lays out the folder and opens the root account's handle.
func (s *Server) prepare(ctx context.Context) error {
	abs, err := filepath.Abs(s.dir)
	if err != nil {
		return fmt.Errorf("folder of a server: %w", err)
	}
	s.dir = abs
	if err := checkSocketPath(s.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "tmp"), 0o700); err != nil {
		return fmt.Errorf("folder of a server: %w", err)
	}
	s.db, err = open("root", "", "unix", socketFile(s.dir))
	if err != nil {
		return err
	}
	if exists(dataDir(s.dir)) {
		return nil
	}
	from, err := template(ctx, s.Programs)
	if err != nil {
		return err
	}
	if err := copyTree(from, dataDir(s.dir)); err != nil {
		return fmt.Errorf("copy the data directory's template: %w", err)
	}
	return nil
}

// launch starts the process and waits for its first answer.
func (s *Server) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.Command(s.Programs.Server, s.opt.arguments(s.Programs, s.dir, s.port)...)
	cmd.Dir = s.dir
	tie(cmd)
	p, err := spawn(cmd)
	if err != nil {
		return err
	}
	s.proc = p
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.db.PingContext(ctx) == nil {
			return nil
		}
		select {
		case <-p.done:
			s.proc = nil
			return fmt.Errorf("it ended at once: %w", p.err)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("no answer: %w", ctx.Err()), s.Kill9())
		case <-tick.C:
		}
	}
}

// spawn starts cmd on a thread of its own that lives as long as the child:
// the kernel's parent-death signal follows the thread, not the process.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- fmt.Errorf("start %s: %w", cmd.Path, err)
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = errors.New("exit status 0")
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Addr is host:port, the same over restarts.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port is the TCP port on 127.0.0.1, the same over restarts.
func (s *Server) Port() int { return s.port }

// Dir is the server's folder.
func (s *Server) Dir() string { return s.dir }

// Socket is the path of the unix socket.
func (s *Server) Socket() string { return socketFile(s.dir) }

// Engine is the server's kind.
func (s *Server) Engine() Engine { return s.Programs.Engine }

// PID is the process id, 0 while stopped.
func (s *Server) PID() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.pid
}

// DB is root's handle over the unix socket. It survives restarts and is closed
// by Close.
func (s *Server) DB() *sql.DB { return s.db }

// Open connects over TCP as an account; AppUser may do everything. The caller
// closes it.
func (s *Server) Open(user, password, database string) (*sql.DB, error) {
	return openDatabase(user, password, "tcp", s.Addr(), database)
}

// Stop ends the server in an orderly way, by SIGKILL if that takes too long,
// and waits for it. Stopping a stopped server does nothing.
func (s *Server) Stop() error {
	if s.proc == nil {
		return nil
	}
	if err := syscall.Kill(s.proc.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s (pid %d): %w", s.Engine(), s.proc.pid, err)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.proc.done:
		s.proc = nil
		return nil
	case <-timer.C:
		return s.Kill9()
	}
}

// Kill9 ends the server as a crash does and waits for it.
func (s *Server) Kill9() error {
	if s.proc == nil {
		return nil
	}
	if err := syscall.Kill(s.proc.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s (pid %d): %w", s.Engine(), s.proc.pid, err)
	}
	<-s.proc.done
	s.proc = nil
	return nil
}

// Freeze stops the process without ending it, so that it accepts connections
// and never answers; Thaw lets it go on.
func (s *Server) Freeze() error { return s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	if s.proc == nil {
		return errors.New("the server is stopped")
	}
	if err := syscall.Kill(s.proc.pid, sig); err != nil {
		return fmt.Errorf("signal %s (pid %d): %w", s.Engine(), s.proc.pid, err)
	}
	return nil
}

// Restart stops the server if it runs and starts it on the same data and port.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return errors.Join(fmt.Errorf("restart %s: %w", s.Engine(), err), tail(logFile(s.dir)))
	}
	return nil
}

// Close ends the server and removes what Start made. Data is thrown away, so
// it does not wait for an orderly end.
func (s *Server) Close() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	errs = append(errs, s.Kill9())
	if s.temp != nil {
		errs = append(errs, s.temp.Remove())
		s.temp = nil
	}
	return errors.Join(errs...)
}

// Exec runs statements as root, one after the other.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%s %s: %w", s.Engine(), s.Addr(), err)
	}
	defer func() { _ = conn.Close() }() // back to the pool; never fails on an open handle
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s %s: %s: %w", s.Engine(), s.Addr(), statement, err)
		}
	}
	return nil
}

func open(user, password, network, addr string) (*sql.DB, error) {
	return openDatabase(user, password, network, addr, "")
}

func openDatabase(user, password, network, addr, database string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = user, password, network, addr, database
	cfg.Timeout = 5 * time.Second
	cfg.Logger = new(mysql.NopLogger) // a server that goes away is no news here
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(2)
	return db, nil
}

// portTaken: the server's log says that somebody listened there. By now it may
// be free again: connections of others have ports for moments.
func portTaken(log string) bool {
	b, err := os.ReadFile(log)
	return err == nil && bytes.Contains(lastLines(b), []byte("Address already in use"))
}

// each runs f for 0..n-1 at once and joins the errors.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
