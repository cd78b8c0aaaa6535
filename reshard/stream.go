package reshard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/topology"
)

// stream follows one cluster's binlog and collects the keys of changed rows. One
// goroutine reads the binlog; the settler takes what it has collected.
type stream struct {
	m       *Mover
	cluster string
	flavor  topology.Flavor
	// foldNames: the server compares table names without their case.
	foldNames bool
	tables    []*followed
	resume    string

	// Of the reading goroutine alone.
	tx   transaction
	rows map[*replication.RowsEvent][]byte // images, before their event is handled
	// again are prepared transactions whose keys were too many to keep: they are
	// known to be committed, and their PREPARE is being read a second time.
	again map[string]bool

	mu struct {
		sync.Mutex
		read *gtidSet // all transactions read to their end
		// dirty keys are to be settled.
		dirty      map[dirtyKey]struct{}
		parked     map[string]*parked // by xid
		parkedKeys int
		parkings   int64  // how many there have been
		settled    string // all up to here is settled
		saved      string // and the journal has it
		savedAt    time.Time
		news       chan struct{} // closed, and replaced, when settled grows
		room       chan struct{} // the same when dirty is taken
		behind     time.Duration
		why        string
	}
}

// followed is a source table in its stream.
type followed struct {
	source *source
	images *imageReader
}

// dirtyKey is a key whose row may have changed, as SQL: a value for each column of
// the primary key, with commas.
type dirtyKey struct {
	source *source
	key    string
}

// transaction is the one being read.
type transaction struct {
	gtid replication.Event
	// open: it ends by an event of its own, not with its first statement.
	open bool
	// xa: it will be prepared, not committed; keys wait in it.
	xa   bool
	keys map[dirtyKey]struct{}
	// tooMany: they were not kept.
	tooMany bool
}

// parked is a prepared XA transaction whose end has not been read.
type parked struct {
	keys    map[dirtyKey]struct{}
	tooMany bool
	// before is the position before its PREPARE, order its place among the others.
	before string
	order  int64
}

// streamOf is the cluster's stream, made when first asked for.
func (m *Mover) streamOf(cluster string) *stream {
	s := m.streams[cluster]
	if s == nil {
		s = &stream{m: m, cluster: cluster, rows: map[*replication.RowsEvent][]byte{}, again: map[string]bool{}}
		s.mu.dirty, s.mu.parked = map[dirtyKey]struct{}{}, map[string]*parked{}
		s.mu.news, s.mu.room = make(chan struct{}), make(chan struct{})
		m.streams[cluster] = s
	}
	return s
}

func (s *stream) add(src *source) {
	s.tables = append(s.tables, &followed{source: src, images: newImageReader(src.stored, src.mv.Definition.PrimaryKey)})
}

func (s *stream) progress() StreamProgress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return StreamProgress{Cluster: s.cluster, Settled: s.mu.settled, Dirty: len(s.mu.dirty), Parked: len(s.mu.parked), Behind: s.mu.behind, Why: s.mu.why}
}

// has reports whether all of wanted is settled; news is closed when there may be
// more.
func (s *stream) has(wanted string) (news <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.news, topology.HasGTIDs(s.mu.settled, wanted)
}

// waitingFor is what keeps it, for an error.
func (s *stream) waitingFor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var why []string
	if len(s.mu.parked) > 0 {
		why = append(why, fmt.Sprintf("%d prepared XA transactions have not ended", len(s.mu.parked)))
	}
	if len(s.mu.dirty) > 0 {
		why = append(why, fmt.Sprintf("%d changed rows are not taken over yet", len(s.mu.dirty)))
	}
	if s.mu.why != "" {
		why = append(why, s.mu.why)
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}

// begin finds the position to begin at. Without one in the journal it is the
// primary's present one; transactions that are prepared at that time are waited
// for, because their rows are in the binlog before it and not visible yet.
func (s *stream) begin(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return fmt.Errorf("cluster %s: %w", s.cluster, err)
	}
	if s.resume == "" {
		position, err := s.visible(ctx)
		if err != nil {
			return err
		}
		if err := s.prepared(ctx); err != nil {
			return fmt.Errorf("cluster %s: %w", s.cluster, err)
		}
		if err := s.m.cfg.Journal.SavePosition(ctx, s.cluster, position); err != nil {
			return err
		}
		s.resume = position
	}
	set, err := parseGTIDs(s.flavor, s.resume)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", s.cluster, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.read, s.mu.settled, s.mu.saved = set, s.resume, s.resume
	return nil
}

// visible is a position all of whose transactions any later read sees. MySQL's
// gtid_executed is one; what MariaDB has in its binlog may not be committed in the
// engine yet, but a consistent snapshot tells its place in the binlog.
func (s *stream) visible(ctx context.Context) (set string, err error) {
	if s.flavor != topology.FlavorMariaDB {
		return s.m.primaryGTIDs(ctx, s.cluster)
	}
	err = s.m.with(ctx, s.cluster, func(c *backend.Conn) error {
		if err := exec(c, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
			return err
		}
		at := map[string]string{}
		err := query(c, "SHOW STATUS LIKE 'binlog_snapshot_%'", func(row [][]byte) error {
			at[strings.ToLower(string(row[0]))] = string(row[1])
			return nil
		})
		if err != nil {
			return err
		}
		file, pos := at["binlog_snapshot_file"], at["binlog_snapshot_position"]
		if file == "" || pos == "" {
			return errors.New("its primary does not tell the place of a snapshot in its binlog")
		}
		return errors.Join(query(c, "SELECT BINLOG_GTID_POS("+quote(file)+", "+pos+")", func(row [][]byte) error {
			if set = string(row[0]); row[0] == nil {
				return errors.New("its primary does not know the GTIDs of a snapshot")
			}
			return nil
		}), exec(c, "ROLLBACK"))
	})
	return set, err
}

// look reads what the server is, and refuses one whose binlog does not have the rows.
func (s *stream) look(ctx context.Context) error {
	return s.m.with(ctx, s.cluster, func(c *backend.Conn) error {
		s.flavor = c.Flavor()
		gtid := "@@GLOBAL.gtid_mode"
		if s.flavor == topology.FlavorMariaDB {
			gtid = "'ON'"
		}
		return query(c, "SELECT @@GLOBAL.log_bin, @@GLOBAL.binlog_format, "+gtid+", @@GLOBAL.lower_case_table_names", func(row [][]byte) error {
			if on := string(row[0]); on != "1" && !strings.EqualFold(on, "ON") {
				return errors.New("its primary writes no binlog (log_bin), from which changes could be followed")
			}
			if format := string(row[1]); !strings.EqualFold(format, "ROW") {
				return fmt.Errorf("its primary's binlog_format is %s; it has to be ROW for changes to be followed", format)
			}
			if mode := string(row[2]); !strings.EqualFold(mode, "ON") {
				return fmt.Errorf("its primary's gtid_mode is %s; it has to be ON for changes to be followed", mode)
			}
			s.foldNames = string(row[3]) != "0"
			return nil
		})
	})
}

// preparedLimit is how long transactions that were prepared before the start may
// take to end.
const preparedLimit = time.Minute

// prepared waits until what is prepared now has ended.
func (s *stream) prepared(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, preparedLimit)
	defer cancel()
	var first map[string]bool
	for {
		now, err := s.recover(ctx)
		if err != nil {
			return err
		}
		if first == nil {
			first = now
		}
		left := ""
		for xid := range first {
			if now[xid] {
				left = xid
			} else {
				delete(first, xid)
			}
		}
		if left == "" {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: the transaction %s was prepared (XA) before the copy began and has not ended; commit it or roll it back", ctx.Err(), left)
		}
	}
}

// recover lists the prepared transactions.
func (s *stream) recover(ctx context.Context) (map[string]bool, error) {
	var out map[string]bool
	err := s.m.with(ctx, s.cluster, func(c *backend.Conn) error {
		out = map[string]bool{}
		return query(c, "XA RECOVER", func(row [][]byte) error {
			out[fmt.Sprintf("%q (format %s)", row[3], row[0])] = true
			return nil
		})
	})
	return out, err
}

// run reads the binlog until ctx ends or it cannot go on.
func (s *stream) run(ctx context.Context) error {
	var failing time.Time
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		began := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || errors.Is(err, errMoved) {
			err = nil
			wait = 50 * time.Millisecond
		} else if fatal := fatalStream(err); fatal != nil {
			return s.stopped(ctx, err, fmt.Errorf("cluster %s: %w", s.cluster, fatal))
		}
		if time.Since(began) > giveUpAfter/20 || failing.IsZero() || err == nil {
			failing, wait = time.Now(), min(wait, 200*time.Millisecond)
		}
		if time.Since(failing) > giveUpAfter {
			return fmt.Errorf("cluster %s: its binlog could not be read for %v: %w", s.cluster, giveUpAfter, err)
		}
		if err != nil {
			s.m.log.Info("the binlog is read again from where it was", "cluster", s.cluster, "why", err)
			s.setWhy("its binlog is not being read: " + err.Error())
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *stream) setWhy(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.why = why
}

// errMoved: another server is the primary now, or the stream went back on purpose.
var errMoved = errors.New("the stream begins again")

// stopError is what no second attempt can mend.
type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

// fatalStream is the error as the job says it, nil where it may pass.
func fatalStream(err error) error {
	var stop stopError
	if errors.As(err, &stop) {
		return stop.error
	}
	var my *mysql.MyError
	if !errors.As(err, &my) {
		return nil
	}
	switch my.Code {
	case mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG:
		if strings.Contains(my.Message, "purged") {
			return fmt.Errorf("the binlogs that are needed have been purged (%s)", my.Message)
		}
		return fmt.Errorf("its primary cannot send the changes since the last position: %s", my.Message)
	case mysql.ER_ACCESS_DENIED_ERROR, mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, mysql.ER_DBACCESS_DENIED_ERROR:
		return fmt.Errorf("the backend account may not read the binlog (%s); GRANT REPLICATION SLAVE ON *.*", my.Message)
	}
	return nil
}

// stopped is why the stream ends. Where the server does not have the changes behind the
// position, it is to begin at the present one, and all rows are to be compared.
func (s *stream) stopped(ctx context.Context, err, why error) error {
	var my *mysql.MyError
	doubter, ok := s.m.cfg.Journal.(Doubter)
	if !ok || !errors.As(err, &my) || my.Code != mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG {
		return why
	}
	position, err := s.visible(ctx)
	if err == nil {
		err = s.prepared(ctx)
	}
	if err == nil {
		err = doubter.Doubt(ctx, why.Error())
	}
	if err == nil {
		err = s.m.cfg.Journal.SavePosition(ctx, s.cluster, position)
	}
	if err != nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("%w: %w", ErrPrimaries, why)
}

// follow reads the binlog over one connection, from the last transaction read.
func (s *stream) follow(ctx context.Context) error {
	addr := s.primary()
	if addr == "" {
		return errors.New("it has no primary at the moment")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	position, err := s.mu.read.position()
	s.mu.Unlock()
	if err != nil {
		return stopError{err}
	}
	s.tx = transaction{}
	clear(s.rows)
	h := &handler{s: s, ctx: ctx}
	syncer := replication.NewBinlogSyncer(s.syncerConfig(addr, h))
	var watching sync.WaitGroup
	// Close waits for the reader, which ends when ctx does.
	defer func() {
		cancel()
		syncer.Close()
		watching.Wait()
	}()
	events, err := syncer.StartSyncGTID(position)
	if err != nil {
		return err
	}
	s.setWhy("")
	watching.Go(func() { s.watch(ctx, cancel, addr) })
	_, err = events.GetEvent(ctx) // all events go to the handler; this is the end
	if h.err != nil {
		return h.err
	}
	if ctx.Err() != nil {
		return errMoved
	}
	return err
}

// primary is the address of the cluster's primary, empty while there is none.
func (s *stream) primary() string {
	if c := s.m.cfg.Servers.View().Cluster(s.cluster); c != nil {
		return c.Primary
	}
	return ""
}

// watch ends a connection to a server that is not the primary any more.
func (s *stream) watch(ctx context.Context, cancel func(), addr string) {
	every(ctx, 200*time.Millisecond, func() bool {
		now := s.primary()
		same := now == "" || now == addr
		if !same {
			cancel()
		}
		return same
	})
}

func (s *stream) syncerConfig(addr string, h *handler) replication.BinlogSyncerConfig {
	login := s.m.cfg.Servers.Login(s.cluster)
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	tlsConfig := login.TLS
	if host, _, err := net.SplitHostPort(addr); err == nil && tlsConfig != nil && tlsConfig.ServerName == "" && !tlsConfig.InsecureSkipVerify {
		tlsConfig = tlsConfig.Clone()
		tlsConfig.ServerName = host
	}
	flavor := mysql.MySQLFlavor
	if s.flavor == topology.FlavorMariaDB {
		flavor = mysql.MariaDBFlavor
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return replication.BinlogSyncerConfig{
		// Two readers with one id push each other out; servers' own ids are small.
		ServerID: 1<<31 + rand.Uint32N(1<<30), Flavor: flavor, Host: address, User: login.User, Password: login.Password,
		TLSConfig: tlsConfig, Localhost: "serval", HeartbeatPeriod: 5 * time.Second, DisableRetrySync: true, DiscardGTIDSet: true,
		PayloadDecoderConcurrency: 1, SynchronousEventHandler: h, RowsEventDecodeFunc: h.images, Logger: slog.New(slog.DiscardHandler),
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		Option: func(c *client.Conn) error {
			// The reader waits while there is much to settle.
			_, err := c.Execute("SET net_write_timeout = 86400")
			return err
		},
	}
}
