package ddl

import (
	"context"
	"fmt"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
)

// mostOpen bounds the jobs that are asked for again.
const mostOpen = 1000

// followed is what is known of one cluster's jobs.
type followed struct {
	last uint64          // the newest
	open map[uint64]bool // those that were running, or could not be told of
}

// follow has the tables looked at again that another Serval's job has changed
// since the last call, or is changing.
func (q *Jobs) follow(ctx context.Context, cluster string) {
	if q.Changed == nil {
		return
	}
	within, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	f := q.followed[cluster]
	if f == nil {
		rows, err := q.servers.Select(within, cluster, "SELECT COALESCE(MAX(id), 0) FROM "+jobsTable)
		if err != nil {
			if code := sqlerr.From(err).Code; code == sqlerr.NoSuchTable || code == sqlerr.BadDB {
				q.followed[cluster] = &followed{open: map[uint64]bool{}} // whatever comes is new
			}
			return
		}
		f = &followed{open: map[uint64]bool{}}
		f.last, _ = strconv.ParseUint(string(rows[0][0]), 10, 64) // a server's own number
		q.followed[cluster] = f
		return
	}
	if len(f.open) > mostOpen {
		clear(f.open) // all definitions are read again now and then
	}
	where := "id > " + strconv.FormatUint(f.last, 10)
	for id := range f.open {
		where += fmt.Sprintf(" OR id = %d", id)
	}
	rows, err := q.servers.Select(within, cluster, "SELECT id, schema_name, table_name, state, owner FROM "+jobsTable+" WHERE "+where+" ORDER BY id LIMIT 1000")
	if err != nil {
		return // there is no such table yet, or no such server now
	}
	for _, row := range rows {
		id, _ := strconv.ParseUint(string(row[0]), 10, 64) // as above
		f.last = max(f.last, id)
		delete(f.open, id)
		if string(row[4]) == q.owner {
			continue // its session does it
		}
		if err := q.Changed(within, string(row[1]), string(row[2])); err != nil || string(row[3]) == running {
			f.open[id] = true
		}
	}
}
