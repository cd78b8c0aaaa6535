// Package advise reads what an application asked (a log, or the digests Serval
// counts) and judges rules by it: which sharding keys keep statements on one
// shard, and which statements would be slow, different or refused. It plans
// with the router itself and asks no server.
package advise

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Event is one statement of a log.
type Event struct {
	// Thread is the connection it came on, 0 where the log does not say.
	Thread uint64
	// DB is the current database as far as the log tells.
	DB  string
	SQL string
	// Seconds is how long it took, 0 where the log does not say.
	Seconds float64
}

// maxStatement bounds one statement of a log, in bytes; the rest of a longer
// one is not read.
const maxStatement = 1 << 20

var (
	// generalLine is a general log's: MySQL's begins with the time, MariaDB's
	// with it or with two tabs where it is the line before's.
	generalLine = regexp.MustCompile(`^(?:\d{4}-\d\d-\d\dT\S+|\d{6} +\d{1,2}:\d\d:\d\d|)\t+ *(\d+) ([A-Z][A-Za-z]*(?: [A-Z][A-Za-z]*)*)\t(.*)$`)
	slowUser    = regexp.MustCompile(`^# User@Host: .*\bId: +(\d+)`)
	slowThread  = regexp.MustCompile(`^# Thread_id: (\d+) +Schema: (\S*)`)
	slowTime    = regexp.MustCompile(`^# Query_time: ([0-9.]+)`)
	useLine     = regexp.MustCompile("(?i)^use `?([^`;]+)`?;$")
	banner      = regexp.MustCompile(`^(?:.*, Version: .* started with:|Tcp port: .*|Time\s+Id\s+Command\s+Argument)$`)
)

// ReadLog gives each statement of a slow log, a general log (MySQL's or
// MariaDB's) or a file of statements that end with ; at a line's end. It tells
// which it is by the first lines that say. The error is r's, each's, or that
// nothing of that kind was found.
func ReadLog(r io.Reader, each func(Event) error) error {
	l := &logReader{each: each, dbs: map[uint64]string{}}
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(in)
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		if err := l.line(line); err != nil {
			return err
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	if l.events == 0 {
		return errors.New("no statement was found: give a slow log, a general log, or a file of statements that end with ;")
	}
	return nil
}

// readLine is one line without its end; what is longer than a statement may be
// is cut off.
func readLine(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := in.ReadSlice('\n')
		if b.Len() < maxStatement {
			b.Write(part)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return strings.TrimRight(b.String(), "\r\n"), err
	}
}

type logKind uint8

const (
	logUnknown logKind = iota
	logSlow
	logGeneral
	logPlain
)

// logReader is one log being read.
type logReader struct {
	each   func(Event) error
	kind   logKind
	events int
	// next is the statement that is being read, text its lines; open: there
	// is one.
	next Event
	text strings.Builder
	open bool
	// dbs are the threads' current databases.
	dbs map[uint64]string
}

// maxThreads bounds what is remembered of threads.
const maxThreads = 100_000

func (l *logReader) line(line string) error {
	if l.kind == logUnknown {
		switch {
		case strings.HasPrefix(line, "# Time: "), strings.HasPrefix(line, "# User@Host: "):
			l.kind = logSlow
		case generalLine.MatchString(line):
			l.kind = logGeneral
		case banner.MatchString(line) || strings.TrimSpace(line) == "" || strings.HasPrefix(line, "--") || strings.HasPrefix(line, "#"):
			return nil
		default:
			l.kind = logPlain
		}
	}
	switch l.kind {
	case logSlow:
		return l.slow(line)
	case logGeneral:
		return l.general(line)
	default:
		return l.plain(line)
	}
}

func (l *logReader) slow(line string) error {
	if strings.HasPrefix(line, "# ") {
		if err := l.flush(); err != nil {
			return err
		}
		if m := slowUser.FindStringSubmatch(line); m != nil {
			l.next.Thread = number(m[1])
		}
		if m := slowThread.FindStringSubmatch(line); m != nil {
			l.next.Thread = number(m[1])
			l.use(l.next.Thread, m[2])
		}
		if m := slowTime.FindStringSubmatch(line); m != nil {
			l.next.Seconds, _ = strconv.ParseFloat(m[1], 64) // the pattern is a number's
		}
		return nil
	}
	switch m := useLine.FindStringSubmatch(line); {
	case banner.MatchString(line) || strings.HasPrefix(line, "SET timestamp=") || strings.HasPrefix(line, "# administrator"):
		return nil
	case m != nil && !l.open:
		l.use(l.next.Thread, m[1])
		return nil
	}
	l.add(line)
	return nil
}

func (l *logReader) general(line string) error {
	m := generalLine.FindStringSubmatch(line)
	if m == nil {
		if l.open && !banner.MatchString(line) {
			l.add(line)
		}
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	thread := number(m[1])
	switch m[2] {
	case "Query", "Execute":
		l.next.Thread = thread
		l.add(m[3])
	case "Init DB":
		l.use(thread, m[3])
	case "Connect":
		if _, db, ok := strings.Cut(m[3], " on "); ok {
			db, _, _ = strings.Cut(db, " using ")
			l.use(thread, strings.TrimSpace(db))
		}
	case "Quit":
		delete(l.dbs, thread)
	}
	return nil
}

func (l *logReader) plain(line string) error {
	if m := useLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil && !l.open {
		l.use(0, m[1])
		return nil
	}
	if !l.open && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, "--")) {
		return nil
	}
	l.add(line)
	if strings.HasSuffix(strings.TrimSpace(line), ";") {
		return l.flush()
	}
	return nil
}

func (l *logReader) use(thread uint64, db string) {
	if _, known := l.dbs[thread]; known || len(l.dbs) < maxThreads {
		l.dbs[thread] = db
	}
}

func (l *logReader) add(line string) {
	if l.open {
		l.text.WriteByte('\n')
	}
	l.open = true
	if l.text.Len() < maxStatement {
		l.text.WriteString(line)
	}
}

// flush gives the statement that was read.
func (l *logReader) flush() error {
	if !l.open {
		return nil
	}
	e := l.next
	e.SQL = strings.TrimSuffix(strings.TrimSpace(l.text.String()), ";")
	e.DB = l.dbs[e.Thread]
	if db, ok := strings.CutPrefix(strings.ToLower(e.SQL), "use "); ok {
		l.use(e.Thread, strings.Trim(e.SQL[len(e.SQL)-len(db):], "` "))
	}
	l.next, l.open = Event{}, false
	l.text.Reset()
	if e.SQL == "" {
		return nil
	}
	l.events++
	if err := l.each(e); err != nil {
		return fmt.Errorf("statement %d of the log: %w", l.events, err)
	}
	return nil
}

func number(digits string) uint64 {
	n, _ := strconv.ParseUint(digits, 10, 64) // the pattern is a number's
	return n
}
