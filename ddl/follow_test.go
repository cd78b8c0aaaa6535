package ddl

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
)

// jobRows are the jobs' rows as follow asks for them, nil for no table.
type jobRows struct {
	fakeServers
	rows [][]string // id, table, state, owner
}

func (f *jobRows) Select(_ context.Context, _, sql string) ([][][]byte, error) {
	if f.rows == nil {
		return nil, sqlerr.New(sqlerr.NoSuchTable, "no such table")
	}
	if regexp.MustCompile(`MAX\(id\)`).MatchString(sql) {
		return [][][]byte{{[]byte(f.rows[len(f.rows)-1][0])}}, nil
	}
	after := regexp.MustCompile(`id > (\d)`).FindStringSubmatch(sql)[1]
	var out [][][]byte
	for _, r := range f.rows {
		if r[0] > after || regexp.MustCompile(`id = `+r[0]).MatchString(sql) {
			out = append(out, [][]byte{[]byte(r[0]), []byte("shop"), []byte(r[1]), []byte(r[2]), []byte(r[3])})
		}
	}
	return out, nil
}

func TestOtherServalsJobsAreFollowed(t *testing.T) {
	var told []string
	var fail error
	servers := &jobRows{}
	q := New(servers, slog.New(slog.DiscardHandler))
	q.Changed = func(_ context.Context, schema, table string) error {
		told = append(told, schema+"."+table)
		return fail
	}
	look := func(want ...string) {
		t.Helper()
		told = nil
		q.follow(t.Context(), "c0")
		require.Equal(t, want, told)
	}
	look() // there is no such table
	servers.rows = [][]string{{"1", "a", running, "other"}, {"2", "mine", done, q.owner}}
	look("shop.a")
	look("shop.a") // it is running still
	servers.rows[0][2] = done
	look("shop.a")
	look()
	servers.rows = append(servers.rows, []string{"3", "b", failed, "other"})
	fail = errors.New("no answer")
	look("shop.b")
	fail = nil
	look("shop.b")
	look()

	later := New(servers, slog.New(slog.DiscardHandler))
	later.Changed = func(context.Context, string, string) error { panic("it has read them") }
	later.follow(t.Context(), "c0") // what was before it began it has read
	later.follow(t.Context(), "c0")
}
