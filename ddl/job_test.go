package ddl

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
)

// fakeServers have the definitions of one table's shards, by database.
type fakeServers struct {
	tables map[string]string
	ran    []string
	fail   error
	// meanwhile, if not empty, is what a shard is like once its statement has failed.
	meanwhile string
}

func (f *fakeServers) Clusters() []string { return []string{"c0"} }

func (f *fakeServers) Select(_ context.Context, _, sql string) ([][][]byte, error) {
	for database, definition := range f.tables {
		if strings.Contains(sql, "`"+database+"`") {
			return [][][]byte{{[]byte("t"), []byte(definition)}}, nil
		}
	}
	return nil, sqlerr.New(sqlerr.NoSuchTable, "no such table")
}

func (f *fakeServers) ExecIn(_ context.Context, _ string, _ Settings, sql string) error {
	f.ran = append(f.ran, sql)
	if f.meanwhile != "" {
		f.tables["d"+sql[1:]] = f.meanwhile
	}
	return f.fail
}

func (f *fakeServers) Lock(context.Context, string, string, time.Duration) (Holder, error) {
	return holder{f}, nil
}

func (f *fakeServers) Exec(context.Context, string) error { return nil }
func (f *fakeServers) Close()                             {}

// holder makes of the servers a connection.
type holder struct{ *fakeServers }

func (holder) Select(context.Context, string) ([][][]byte, error) { return nil, nil }

const (
	before = "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB"
	after  = "CREATE TABLE `t` (\n  `id` int,\n  `n` int\n) ENGINE=InnoDB AUTO_INCREMENT=9"
	other  = "CREATE TABLE `t` (\n  `x` int\n) ENGINE=InnoDB"
)

func TestAJobTakenUpBelievesTheServers(t *testing.T) {
	for name, c := range map[string]struct {
		now  []string // of each shard; the first is written down as done
		verb Verb
		ran  string
		err  string
	}{
		"a shard that is as before lacks it":                    {[]string{after, before}, Change, "s1", ""},
		"a shard that is as the done one has it":                {[]string{after, after}, Change, "", ""},
		"a shard that is as neither is left alone":              {[]string{after, other}, Change, "", "neither as it was before"},
		"one that was done and taken back by hand is done anew": {[]string{before, before}, Change, "s0 s1", ""},
		"a table that is gone was dropped":                      {[]string{"", ""}, Drop, "", ""},
		"a table that stands is dropped":                        {[]string{"", before}, Drop, "s1", ""},
		"one made anew since is not dropped":                    {[]string{"", other}, Drop, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			servers := &fakeServers{tables: map[string]string{}}
			j := &Job{Home: "c0", Schema: "s", Table: "t", Verb: c.verb}
			for i, definition := range c.now {
				database := "d" + string(rune('0'+i))
				if definition != "" {
					servers.tables[database] = definition
				}
				j.Steps = append(j.Steps, Step{Shard: i, Cluster: "c0", Database: database, Table: "t", SQL: []byte("s" + database[1:]),
					Before: fingerprint(before, "t", "t"), Done: i == 0})
			}
			r := &Running{Job: j, jobs: New(servers, slog.New(slog.DiscardHandler)), held: holder{servers}}
			err := r.resume(t.Context())
			require.Equal(t, c.ran, strings.Join(servers.ran, " "))
			if c.err == "" {
				require.NoError(t, err)
				require.Equal(t, "2 of 2", j.progress())
				return
			}
			require.ErrorContains(t, err, c.err)
		})
	}
}

// The Serval before was killed, and its statements ended later on the servers.
func TestAJobTakenUpTooSoonGoesOn(t *testing.T) {
	servers := &fakeServers{tables: map[string]string{}, fail: sqlerr.New(1060, "Duplicate column name 'n'"), meanwhile: after}
	j := &Job{Home: "c0", Schema: "s", Table: "t", Verb: Change}
	for i, database := range []string{"d0", "d1", "d2"} {
		servers.tables[database] = before
		j.Steps = append(j.Steps, Step{Shard: i, Cluster: "c0", Database: database, Table: "t", SQL: []byte("s" + database[1:]), Before: fingerprint(before, "t", "t")})
	}
	r := &Running{Job: j, jobs: New(servers, slog.New(slog.DiscardHandler)), held: holder{servers}}
	require.NoError(t, r.resume(t.Context()))
	require.Equal(t, "3 of 3", j.progress())
}

func TestFingerprintsOfEqualShardsAreEqual(t *testing.T) {
	of := func(table string) string {
		return fingerprint("CREATE TABLE `"+table+"` (\n  `id` int,\n  CONSTRAINT `"+table+"_chk_1` CHECK (`id` > 0)\n) AUTO_INCREMENT=7 COMMENT='x'", table, "t")
	}
	require.Equal(t, of("t_1"), of("t_202611"))
	require.NotEqual(t, of("t_1"), fingerprint(before, "t", "t"))
}
