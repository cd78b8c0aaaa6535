package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/servaldb/serval/config"
	"github.com/servaldb/serval/proxy/session"
	"github.com/servaldb/serval/reshard"
	"github.com/servaldb/serval/router/plan"
)

// What a Serval does in a cut over of tables that are moved (rulestore/cutover.go).

// pause holds statements, and waits until those under way have ended.
func (p *process) pause(ctx context.Context, tables []string, everything bool) error {
	why := "tables are being moved to their new place: " + strings.Join(tables, ", ")
	if everything {
		p.store.Hold(why)
	} else {
		p.store.HoldWrites(why)
	}
	names := make([]plan.TableName, len(tables))
	for i, t := range tables {
		names[i].Schema, names[i].Table, _ = strings.Cut(t, ".")
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		busy := p.registry.Unsettled(names, everything)
		if len(busy) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return unsettled(busy, everything)
		case <-tick.C:
		}
	}
}

// unsettled names the sessions that did not come to an end in time.
func unsettled(busy []session.Info, everything bool) error {
	var who []string
	for _, s := range busy[:min(len(busy), 3)] {
		what := "runs " + s.Statement
		if s.Statement == "" {
			what = "has a transaction or LOCK TABLES open"
		}
		who = append(who, fmt.Sprintf("session %d of %s@%s %s (for %s)", s.ID, s.User, s.Remote, what, time.Since(s.Since).Round(time.Millisecond)))
	}
	if more := len(busy) - len(who); more > 0 {
		who = append(who, fmt.Sprintf("and %d more", more))
	}
	kind := "transactions and changes"
	if everything {
		kind = "statements that read the tables"
	}
	return errors.New(kind + " did not end in time: " + strings.Join(who, "; "))
}

// finishRenames does the renames of a cut over whose maker is gone. Old rules'
// clusters and new ones' may be needed.
func finishRenames(ctx context.Context, from, to *config.Config, data []byte) (map[string]string, error) {
	renames, err := reshard.DecodeRenames(data)
	if err != nil {
		return nil, err
	}
	srv, err := openServers(ctx, reachable(from, to))
	if err != nil {
		return nil, err
	}
	defer srv.close()
	return renames.Do(ctx, srv.fleet)
}
