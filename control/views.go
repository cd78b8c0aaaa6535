package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/internal/sqlerr"
)

// Logical views stand in serval_meta.views on their schema's home cluster; the
// session that creates one writes its row. A change of that table is told to
// Refresh by its name.
const (
	metaSchema = "serval_meta"
	viewsTable = "views"
)

// homes are the clusters that may have logical views.
func homes(cfg *config.Config) []string {
	out := []string{cfg.Home}
	for i := range cfg.Schemas {
		if h := cfg.Schemas[i].Home; h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// views reads the logical views of each home cluster. Those of a cluster that
// does not answer stay as they were.
func (r *factReader) views(ctx context.Context) map[string][]*catalog.View {
	var out map[string][]*catalog.View
	for _, cluster := range homes(r.cfg) {
		views, known := r.viewsOf(ctx, cluster)
		if !known {
			views = r.old.Views[cluster]
		}
		if len(views) == 0 {
			continue
		}
		if out == nil {
			out = map[string][]*catalog.View{}
		}
		out[cluster] = views
	}
	return out
}

func (r *factReader) viewsOf(ctx context.Context, cluster string) ([]*catalog.View, bool) {
	if _, ok := r.ask(ctx, cluster); !ok {
		return nil, false
	}
	views, err := readViews(ctx, r.servers, cluster)
	if err != nil {
		r.fail(cluster, err)
		return nil, false
	}
	return views, true
}

func readViews(ctx context.Context, s Servers, cluster string) ([]*catalog.View, error) {
	rows, err := s.Select(ctx, cluster, "SELECT schema_name, view_name, definition, properties FROM serval_meta.views ORDER BY 1, 2")
	if noTable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*catalog.View
	for _, row := range rows {
		if len(row) != 4 {
			return nil, fmt.Errorf("cluster %s: unexpected answer about serval_meta.views", cluster)
		}
		v := &catalog.View{}
		if json.Unmarshal(row[3], v) != nil {
			row[2] = nil // a view without definition is invalid, which its use says
		}
		v.Schema, v.Name, v.Definition = string(row[0]), string(row[1]), string(row[2])
		out = append(out, v)
	}
	return out, nil
}

// noTable: the table or its database is not there.
func noTable(err error) bool {
	var e *sqlerr.Error
	return errors.As(err, &e) && (e.Code == sqlerr.NoSuchTable || e.Code == sqlerr.BadDB)
}

// viewsIn are the views by name; one that is not at its schema's home any more
// is not seen.
func (f *Facts) viewsIn(c *catalog.Catalog) map[catalog.ViewName]*catalog.View {
	var out map[catalog.ViewName]*catalog.View
	for cluster, views := range f.Views {
		for _, v := range views {
			if c.HomeOf(v.Schema) != cluster {
				continue
			}
			if out == nil {
				out = map[catalog.ViewName]*catalog.View{}
			}
			out[catalog.ViewName{Schema: f.fold(v.Schema), Name: f.fold(v.Name)}] = v
		}
	}
	return out
}

// refreshViewsLocked reads the views again and publishes them.
func (c *Controller) refreshViewsLocked(ctx context.Context) error {
	r := c.reader(c.mu.cfg)
	facts := c.mu.facts
	facts.Now, facts.Views = c.now(), r.views(ctx)
	if err := errors.Join(r.errs...); err != nil {
		return err
	}
	return c.publishLocked(c.mu.cfg, facts)
}
