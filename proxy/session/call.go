package session

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// A stored procedure runs on its schema's home. What it says of a table with
// shards it says of a table of that name there, which may be left over from the
// time before: so its text, and those of the routines it may call, are read
// before it is called.

// calledFor is how long a session takes a procedure for one that may be called.
const calledFor = 10 * time.Second

// calledDepth bounds the routines that are followed, calledNames those of one
// text.
const (
	calledDepth = 8
	calledNames = 500
)

var programWord = regexp.MustCompile("`(?:[^`]|``)+`|[\\w$\u0080-\U0010ffff]+")

// calledName is the procedure of a CALL.
func calledName(tokens []token) (name plan.TableName) {
	switch {
	case len(tokens) > 3 && tokens[2].op("."):
		return plan.TableName{Schema: tokens[1].name(), Table: tokens[3].name()}
	case len(tokens) > 1:
		return plan.TableName{Table: tokens[1].name()}
	}
	return name
}

// mayCall refuses a procedure that names tables whose rows are on other servers.
func (s *Session) mayCall(ctx context.Context, name plan.TableName) error {
	name.Schema = s.schemaOr(name.Schema)
	cat := s.deps.Catalog.Load()
	if sc := cat.Schema(name.Schema); sc == nil || len(sc.Tables) == 0 {
		return nil
	}
	if at, asked := s.callable[name]; asked && time.Since(at) < calledFor {
		return nil
	}
	seen, next := map[string]bool{}, []string{name.Table}
	for range calledDepth {
		texts, err := s.programs(ctx, name.Schema, next)
		if err != nil {
			return err
		}
		next = nil
		for _, text := range texts {
			if t := cat.NamedBy(name.Schema, text); t != nil {
				return refuseCall(name.Table, t)
			}
			for _, w := range programWord.FindAllString(text, calledNames) {
				if w = strings.ToLower(strings.Trim(w, "`")); !seen[w] {
					seen[w] = true
					next = append(next, w)
				}
			}
		}
		if len(next) == 0 {
			break
		}
	}
	if s.callable == nil || len(s.callable) > 100 {
		s.callable = map[plan.TableName]time.Time{}
	}
	s.callable[name] = time.Now()
	return nil
}

func refuseCall(name string, t *catalog.Table) error {
	return sqlerr.Refuse("CALL of "+name, "it, or a routine it calls, names "+t.Name+", whose rows are on several servers, and it would run on one", "send its statements from the application")
}

// programs are the texts of those of the names that are routines of the schema.
func (s *Session) programs(ctx context.Context, schema string, names []string) ([]string, error) {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = quoteText(n)
	}
	slices.Sort(list)
	conns, err := s.deps.Fleet.Acquire(ctx, s.wantPrimary(s.deps.Catalog.Load().HomeOf(schema), 1))
	if err != nil {
		return nil, err
	}
	conns[0].Want(&backend.State{})
	_, rows, err := conns[0].Select(ctx, "SELECT ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = "+quoteText(schema)+
		" AND ROUTINE_NAME IN ("+strings.Join(list, ", ")+") AND ROUTINE_DEFINITION IS NOT NULL")
	conns[0].Release(err)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = string(r[0])
	}
	return texts, nil
}
