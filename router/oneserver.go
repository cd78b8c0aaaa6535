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
	case "START", "ALTER":
		switch second {
		case "REPLICA", "SLAVE", "ALL", "GROUP_REPLICATION", "INSTANCE":
			what = p.st.Verb + " " + second
		}
	}
	if what == "" {
		return nil, nil
	}
	return nil, sqlerr.Refuse(what, "it is for one server and would hit the primary of the home alone", "connect to the server itself")
}
