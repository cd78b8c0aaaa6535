package main

import (
	"time"

	"github.com/servaldb/serval/admin"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/proxy/session"
)

var commandOfVerb = map[string]admin.Command{
	"SELECT": admin.CommandSelect, "WITH": admin.CommandSelect, "(": admin.CommandSelect,
	"INSERT": admin.CommandInsert, "REPLACE": admin.CommandInsert,
	"UPDATE": admin.CommandUpdate, "DELETE": admin.CommandDelete,
	"CREATE": admin.CommandDDL, "ALTER": admin.CommandDDL, "DROP": admin.CommandDDL, "TRUNCATE": admin.CommandDDL,
	"BEGIN": admin.CommandBegin, "START": admin.CommandBegin, "COMMIT": admin.CommandCommit,
	"ROLLBACK": admin.CommandRollback, "SET": admin.CommandSet, "SHOW": admin.CommandShow,
}

// finished counts a statement and logs it if it was slow.
func (p *process) finished(f *session.Finished) {
	var code uint16
	if f.Err != nil {
		code = sqlerr.From(f.Err).Code
	}
	p.metrics.Statement(commandOfVerb[f.Verb], f.Duration, f.Shards, code)
	p.metrics.PlanCache(f.CacheHit)
	p.digests.Observe(f.Schema, f.Key, f.Duration, f.Rows, f.Shards, f.Err != nil, time.Now())
	if slow := p.cfg.Log.Slow; slow > 0 && f.Duration >= slow {
		p.metrics.Slow()
		p.log.Warn("slow query", "session", f.Session, "user", f.User, "db", f.Schema, "seconds", f.Duration.Seconds(),
			"tasks", f.Shards, "rows", f.Rows, "digest", string(f.Key))
	}
}
