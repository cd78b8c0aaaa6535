package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTalks lets several sessions use transactions over two clusters beside
// each other, as testdata/talks/*.txt say, and compares every answer with that of
// one plain server. A line is
//
//	a: SQL     session a says it and has its answer
//	a> SQL     session a says it and waits for something
//	a<         the answer to that is there now
//	-          sessions end without a word, and new ones begin
//
// {a} is session a's CONNECTION_ID().
//
// "mysql:" or "mariadb:" ahead of it: on that engine only. A line that begins with # is the
// reason of the talk below it, and its name.
func TestTalks(t *testing.T) {
	files, err := filepath.Glob("testdata/talks/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "talk")
		t.Cleanup(func() { dropSchema(t, clusters, "talk") })
		proxy := startServal(t, s, settings{Schema: "talk", AllSchemas: true, Extra: "replicas: {consistency: global}", Tables: `
t: {shard: hash(id), shards: 4, on: [c0, c1]}
child: {shard: hash(t_id), like: t}
g: {global: true, on: [c0, c1]}
elsewhere: {on: c1}
`})
		sides := map[string]*sql.DB{"plain": openDB(t, s.Plain(t).Addr(), ""), "serval": proxy.open(t, "")}
		for _, db := range sides {
			mustExec(t, db, "DROP DATABASE IF EXISTS talk", "CREATE DATABASE talk")
			for _, table := range talkTables {
				mustExec(t, db, "CREATE TABLE talk."+table+" (id BIGINT PRIMARY KEY, n INT NOT NULL, note VARCHAR(40) NOT NULL DEFAULT '') ENGINE=InnoDB")
			}
			mustExec(t, db, "CREATE TABLE talk.child (id BIGINT NOT NULL, t_id BIGINT NOT NULL, PRIMARY KEY (t_id, id)) ENGINE=InnoDB")
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for name, lines := range talksOf(string(text)) {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+name, func(t *testing.T) {
					talk := talk{t: t, engine: s.engine.String(), dbs: sides, sessions: map[string]*speaker{}}
					talk.run(lines)
				})
			}
		}
	})
}

var talkTables = []string{"t", "h", "g", "elsewhere"}

// talksOf are a file's talks by name.
func talksOf(text string) map[string][]string {
	out := map[string][]string{}
	name, fresh := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch comment, is := strings.CutPrefix(line, "#"); {
		case line == "":
		case is && fresh:
			name += " " + strings.TrimSpace(comment)
		case is:
			name, fresh = strings.TrimSpace(comment), true
		default:
			fresh = false
			out[name] = append(out[name], line)
		}
	}
	return out
}

// talk is one of them while it goes on.
type talk struct {
	t        *testing.T
	engine   string
	dbs      map[string]*sql.DB
	sessions map[string]*speaker // by side and name
}

// speaker is one session on one side.
type speaker struct {
	conn    *sql.Conn
	id      string
	waiting chan outcome // of what it has said by >
	said    string
}

func (k *talk) run(lines []string) {
	defer k.leave()
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	defer cancel()
	for side, db := range k.dbs {
		for _, table := range append(talkTables, "child") {
			_, err := db.ExecContext(ctx, "DELETE FROM talk."+table)
			require.NoError(k.t, err, "%s: the talk before has left something", side)
		}
		for _, table := range talkTables {
			for id := range 12 {
				mustExec(k.t, db, fmt.Sprintf("INSERT INTO talk.%s (id, n) VALUES (%d, %d)", table, id+1, 10*(id+1)))
			}
		}
	}
	for i, line := range lines {
		if engine, rest, ok := strings.Cut(line, ": "); ok && (engine == "mysql" || engine == "mariadb") {
			if line = rest; engine != k.engine {
				continue
			}
		}
		if diff := k.line(line); diff != "" {
			k.t.Errorf("line %d: %s\n%s", i+1, line, diff)
		}
	}
	for name, s := range k.sessions {
		require.Nil(k.t, s.waiting, "%s is left waiting", name)
	}
}

func (k *talk) line(line string) (diff string) {
	if line == "-" {
		k.leave()
		return ""
	}
	name, does := line[:1], line[1]
	sql := strings.TrimSpace(line[2:])
	outcomes := map[string]outcome{}
	for side := range k.dbs {
		s := k.session(side, name)
		sql := sql
		if before, rest, ok := strings.Cut(sql, "{"); ok {
			sql = before + k.session(side, rest[:1]).id
		}
		switch does {
		case ':':
			outcomes[side] = s.observe(k.t, sql)
		case '>':
			s.said, s.waiting = sql, make(chan outcome, 1)
			go func() { s.waiting <- s.observe(k.t, sql) }()
			select {
			case o := <-s.waiting:
				k.t.Errorf("%s: %s does not wait: %+v", side, line, o)
				s.waiting <- o
			case <-time.After(300 * time.Millisecond): // that it waits shows in time only
			}
		case '<':
			sql = s.said
			select {
			case outcomes[side] = <-s.waiting:
			case <-time.After(20 * time.Second):
				k.t.Fatalf("%s: %s has no answer", side, s.said)
			}
			s.waiting = nil
		default:
			k.t.Fatalf("what is %q?", line)
		}
	}
	if does == '>' {
		return ""
	}
	want, got := outcomes["plain"], outcomes["serval"]
	want.warnings, got.warnings = nil, nil // the oracle compares them
	if want.errno != 0 {
		want.rows, got.rows = nil, nil // a server may send some ahead of its error
	}
	const syntaxError = 1064 // in words of Serval's own
	diff = compare(sql, want, got)
	if w, g := want.message, got.message; diff == "" && w != g && want.errno != syntaxError {
		diff = fmt.Sprintf("message:\n  plain  %s\n  serval %s", w, g)
	}
	return diff
}

func (s *speaker) observe(t *testing.T, sql string) outcome {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	return observe(ctx, s.conn, mode{sql: sql})
}

func (k *talk) session(side, name string) *speaker {
	key := side + " " + name
	if k.sessions[key] == nil {
		conn, err := k.dbs[side].Conn(k.t.Context())
		require.NoError(k.t, err)
		_, err = conn.ExecContext(k.t.Context(), "USE talk")
		require.NoError(k.t, err)
		k.sessions[key] = &speaker{conn: conn, id: one(k.t, conn, "SELECT CONNECTION_ID()")}
	}
	return k.sessions[key]
}

// leave ends all sessions: their connections are closed.
func (k *talk) leave() {
	for _, s := range k.sessions {
		_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool drops it
		_ = s.conn.Close()
	}
	clear(k.sessions)
}
