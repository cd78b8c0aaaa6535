package reshard

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"golang.org/x/sync/errgroup"
)

// A primary that dies may take rows with it that its replica never got. What was written
// to it by a job is then missing on the new one, though the journal says that it is there;
// what was read from it is in the new tables, though it never was, for the applications; and
// the journal itself may be one of some seconds before. So the journal knows which servers
// were read and written; where another one has become the primary, or changes are gone from
// a binlog before they were read, every row is compared, and taken over again where it
// differs, before anything else is done with what was copied.

// ErrPrimaries: another server than the one that was read or written has become the primary
// of a cluster, or changes of one cannot be read; the worker is to begin anew, and compares.
var ErrPrimaries = errors.New("what was copied has to be compared")

// PrimariesOf are the servers that a job reads and writes for a layout, by cluster: their
// @@server_id. Servers that replicate from each other have different ones (MySQL 9.7
// manual, 19.1.2.2).
func PrimariesOf(ctx context.Context, servers Asker, layout *Layout) (map[string]string, error) {
	clusters := layout.clusters()
	found := make([]string, len(clusters))
	g, ctx := errgroup.WithContext(ctx)
	for i, cluster := range clusters {
		g.Go(func() error {
			rows, err := servers.Select(ctx, cluster, "SELECT @@server_id")
			if err != nil {
				return fmt.Errorf("cluster %s: %w", cluster, err)
			}
			found[i] = string(rows[0][0])
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for i, cluster := range clusters {
		ids[cluster] = found[i]
	}
	return ids, nil
}

// clusters are those that are read and those that are written to.
func (l *Layout) clusters() []string {
	names := map[string]bool{}
	for _, t := range l.Tables {
		for _, s := range t.Sources {
			names[s.Cluster] = true
		}
		for _, x := range t.Targets {
			names[x.Shard.Cluster] = true
		}
	}
	return sortedKeys(names)
}

// SamePrimaries is ErrPrimaries where another server has become a primary since the job's
// rows were last known to be whole.
func SamePrimaries(ctx context.Context, servers Asker, log *JobLog, j *Job, layout *Layout) error {
	known, err := log.primaries(ctx, j)
	if err != nil {
		return err
	}
	now, err := PrimariesOf(ctx, servers, layout)
	if err != nil {
		return err
	}
	if why := mayDiffer(known, now); why != "" {
		return fmt.Errorf("%w: %s", ErrPrimaries, why)
	}
	return nil
}

// doubted stands for a cluster's name with a reason to compare instead of a server.
const doubted = ""

// mayDiffer is why what was copied may not be what there is, empty where the servers
// are those that are known.
func mayDiffer(known, now map[string]string) string {
	if why := known[doubted]; why != "" {
		return why
	}
	for _, cluster := range sortedKeys(now) {
		if was := known[cluster]; was != "" && was != now[cluster] {
			return "another server has become the primary of cluster " + cluster
		}
	}
	return ""
}

// meetPrimaries notes which servers the worker uses, and whether what it has copied may
// not be what there is.
func (w *Worker) meetPrimaries(ctx context.Context, fresh bool) error {
	known, err := w.Log.primaries(ctx, w.Job)
	if err != nil {
		return err
	}
	if w.known, err = w.reachPrimaries(ctx); err != nil {
		return err
	}
	w.suspect = mayDiffer(known, w.known)
	switch {
	case w.suspect != "":
	case len(known) == 0 && !fresh:
		w.suspect = "which servers were written to is not known"
	default:
		maps.Copy(known, w.known) // a period may have brought a cluster
		return w.Log.savePrimaries(ctx, w.Job, known)
	}
	return w.Log.doubt(ctx, w.Job)
}

// reachPrimaries asks them, again while one is away.
func (w *Worker) reachPrimaries(ctx context.Context) (map[string]string, error) {
	within, cancel := context.WithTimeout(ctx, giveUpAfter)
	defer cancel()
	for {
		ids, err := PrimariesOf(within, w.Servers, w.Layout)
		if err == nil || !Passing(err) {
			return ids, err
		}
		if late := sleep(within, beatEvery); late != nil {
			return nil, errors.Join(late, err)
		}
	}
}

// watchPrimaries ends the work when another server becomes the primary of a cluster.
func (w *Worker) watchPrimaries(ctx context.Context, end context.CancelCauseFunc) {
	every(ctx, beatEvery, func() bool {
		now, err := PrimariesOf(ctx, w.Servers, w.Layout)
		same := err != nil || mayDiffer(w.known, now) == ""
		if !same {
			end(ErrPrimaries)
		}
		return same
	})
}

// mend compares every row, and takes over again what differs.
func (w *Worker) mend(ctx context.Context, m *Mover) error {
	if w.Said != nil {
		w.Said(w.suspect + ": all rows are compared, and taken over again where they differ")
	}
	v, err := m.Verify(ctx, VerifyOptions{Repair: true})
	if err != nil {
		return err
	}
	if len(v.Differing) > 0 {
		return errors.New(w.suspect + "; " + v.Text())
	}
	if w.Said != nil {
		w.Said(v.Text())
	}
	whole := maps.Clone(w.known)
	whole[doubted] = ""
	return w.Log.savePrimaries(ctx, w.Job, whole)
}
