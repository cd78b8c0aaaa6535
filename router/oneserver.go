package router

import (
	"strings"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// oneServer refuses what is done to one server as such: through Serval it would
// hit the home's primary and no other, and Serval relies on what it changes.
func oneServer(p *planning) (*plan.Plan, error) {
	words := strings.Fields(strings.ToUpper(p.st.Text))
	if len(words) == 0 || words[0] != p.st.Verb {
		return nil, nil
	}
	second := ""
	if len(words) > 1 {
		second = strings.TrimRight(words[1], ";")
	}
	what := ""
	switch p.st.Verb {
	case "SHUTDOWN", "RESTART", "BINLOG", "CLONE":
		what = p.st.Verb
	case "RESET", "PURGE", "CHANGE", "STOP", "INSTALL", "UNINSTALL":
		what = p.st.Verb + " " + second
	case "FLUSH":
		if locksTables(words) {
			what = "FLUSH TABLES with a lock"
		}
	case "BACKUP":
		what = "BACKUP"
	case "START", "ALTER":
		switch second {
		case "REPLICA", "SLAVE", "ALL", "GROUP_REPLICATION", "INSTANCE":
			what = p.st.Verb + " " + second
		}
	}
	if what == "" {
		return nil, nil
	}
	return nil, sqlerr.Refuse(what, "it is for one server and would hit the primary of the home alone", pick(p.st.Verb == "FLUSH", "use LOCK TABLES … READ", "connect to the server itself"))
}

// locksTables: a FLUSH leaves a lock on its connection, which others would use.
func locksTables(words []string) bool {
	for i, w := range words {
		if i > 0 && (words[i-1] == "WITH" && w == "READ" || words[i-1] == "FOR" && strings.HasPrefix(w, "EXPORT")) {
			return true
		}
	}
	return false
}
