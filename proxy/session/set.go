package session

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/topology"
)

// setStatement answers SET. What a server has to judge is run on one, and what
// that server then says the variables are is what the session keeps and gives
// every other connection; Serval's own variables and autocommit never reach a
// server.
func (s *Session) setStatement(ctx context.Context, text string) (bool, error) {
	if variables, statement, ok := s.setFor(text); ok {
		return true, s.runWith(ctx, variables, statement)
	}
	all, err := parseSet(text, s.settings.mode)
	if err != nil {
		return true, err
	}
	if handled, err := s.setQueried(ctx, all); handled {
		return true, err
	}
	own, theirs := divide(all)
	var tracked wire.Tracked
	if len(theirs) > 0 {
		if tracked, err = s.setOnServer(ctx, theirs); err != nil {
			return true, err
		}
	}
	for _, a := range own {
		if err := s.setOwn(ctx, a); err != nil {
			return true, err
		}
	}
	s.ok(wire.OK{Tracked: tracked})
	return true, nil
}

// divide parts what Serval sets itself from what a server has to.
func divide(all []assignment) (own, theirs []assignment) {
	for _, a := range all {
		switch {
		case a.Kind == assignTransaction && a.Next,
			a.Kind == assignSystem && ownVariable(a.Name):
			own = append(own, a)
		default:
			theirs = append(theirs, a)
		}
	}
	return own, theirs
}

// ownVariable reports a variable that is the session's, not a connection's.
func ownVariable(name string) bool {
	switch name {
	case "autocommit", "last_insert_id", "identity":
		return true
	}
	return isOption(name)
}

func (s *Session) setOwn(ctx context.Context, a assignment) error {
	if a.Kind == assignTransaction {
		return s.setTransaction(a)
	}
	value, err := s.setValue(ctx, a)
	if err != nil {
		return err
	}
	switch a.Name {
	case "autocommit":
		on, ok := boolean(value)
		if !ok {
			return wrongValue(a.Name, value, "it is 0 or 1")
		}
		return s.setAutocommit(ctx, on)
	case "last_insert_id", "identity":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return wrongValue(a.Name, value, "it is a number")
		}
		s.lastInsertID = n
		return nil
	}
	return s.options.set(a.Name, value)
}

// setValue is the value of an assignment: a literal's text, or what a server
// computes of the expression.
func (s *Session) setValue(ctx context.Context, a assignment) (string, error) {
	if len(a.tokens) == 1 {
		switch t := a.tokens[0]; t.Kind {
		case tokenWord, tokenString, tokenName:
			return t.name(), nil
		case tokenOther, tokenEnd:
		}
	}
	if err := s.refuseQuery(a); err != nil {
		return "", err
	}
	var value string
	err := s.onHome(ctx, func(c *backend.Conn) error {
		_, rows, err := c.Select(ctx, "SELECT "+s.spliceValue(a))
		if err == nil && len(rows) == 1 && len(rows[0]) == 1 {
			value = string(rows[0][0])
		}
		return err
	})
	return value, err
}

func boolean(value string) (on, ok bool) {
	switch strings.ToUpper(value) {
	case "1", "ON", "TRUE", "DEFAULT":
		return true, true
	case "0", "OFF", "FALSE":
		return false, true
	}
	return false, false
}

// onHome runs do on a connection in the session's state: the transaction's or
// a pinned one on the current schema's home cluster, else any server's.
func (s *Session) onHome(ctx context.Context, do func(*backend.Conn) error) error {
	cluster := s.deps.Catalog.Load().HomeOf(s.settings.db)
	c, owned := s.tx.Conn(cluster)
	if p := s.pinned[cluster]; !owned && p != nil {
		c, owned = p.conn, true
	}
	if !owned {
		var err error
		if c, err = s.anyServer(ctx, cluster); err != nil {
			return err
		}
	}
	disarm := c.Arm(ctx)
	c.Want(s.settings.state(false))
	err := do(c)
	disarm()
	switch {
	case !owned:
		c.Release(err)
	case broken(c, err):
		s.tx.Break(cluster)
		_, _, _ = s.tx.Settle(ctx, err)
		if s.pinned[cluster] != nil {
			s.losePin(cluster)
		}
	}
	return err
}

// anyServer gives a connection to some server, of the home cluster if that can
// be reached: what SET means does not depend on it, and every client begins
// with a SET, so a home that is down must not keep the other clusters' data
// from anybody.
func (s *Session) anyServer(ctx context.Context, home string) (*backend.Conn, error) {
	clusters := slices.Sorted(maps.Keys(s.deps.Catalog.Load().Clusters))
	var first error
	for _, cluster := range append([]string{home}, slices.DeleteFunc(clusters, func(c string) bool { return c == home })...) {
		w := s.wantPrimary(cluster, 1)
		w.Target = topology.TargetReplica
		conns, err := s.deps.Fleet.Acquire(ctx, w)
		if err == nil {
			return conns[0], nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// setOnServer runs the assignments and takes over what came of them.
func (s *Session) setOnServer(ctx context.Context, theirs []assignment) (wire.Tracked, error) {
	var parts, users []string
	var systems []assignment
	for _, a := range theirs {
		if err := s.refuseQuery(a); err != nil {
			return wire.Tracked{}, err
		}
		if err := refuseCharset(a); err != nil {
			return wire.Tracked{}, err
		}
		if err := refuseChain(a); err != nil {
			return wire.Tracked{}, err
		}
		if a.Kind == assignSystem && a.Name == "insert_id" {
			return wire.Tracked{}, sqlerr.Refuse("SET insert_id", "it is the number of one row on one connection, and Serval may number the row itself or use another one", "write the number into the INSERT")
		}
		parts = append(parts, s.spliceAssignment(a))
		if a.Kind == assignUser {
			users = append(users, a.Name)
			continue
		}
		systems = append(systems, a)
	}
	next := s.settings
	var tracked wire.Tracked
	err := s.onHome(ctx, func(c *backend.Conn) error {
		ok, err := c.Exec(ctx, "SET "+strings.Join(parts, ", "))
		if err != nil {
			return err
		}
		tracked = wire.Tracked{Vars: slices.Clone(ok.Tracked.Vars)}
		if err := next.take(ctx, c, systems, ok.Tracked.Vars); err != nil {
			return err
		}
		if len(users) > 0 {
			if err := next.readUsers(ctx, c, users); err != nil {
				return err
			}
		}
		c.Adopt(next.state(false))
		return nil
	})
	if err != nil {
		return wire.Tracked{}, err
	}
	s.settings = next
	tracked.Vars = slices.DeleteFunc(tracked.Vars, func(v wire.TrackedVar) bool { return !clientTracks(v.Name) })
	return tracked, nil
}

// clientTracks are the variables a client is told of: the default of
// session_track_system_variables.
func clientTracks(name string) bool {
	switch name {
	case "autocommit", "time_zone", "character_set_client", "character_set_results", "character_set_connection":
		return true
	}
	return false
}

// charsetVariables go together: one SET NAMES changes them all, and servers do
// not report all that they changed.
var charsetVariables = []string{"character_set_client", "character_set_connection", "character_set_results", "collation_connection"}

// take gives the settings what the server says the variables are now: those it
// reported, and by asking those that were assigned and it did not report.
func (s *settings) take(ctx context.Context, c *backend.Conn, assigned []assignment, reported []wire.TrackedVar) error {
	values := map[string]string{}
	for _, v := range reported {
		if v.Name == "last_gtid" || ownVariable(v.Name) {
			continue
		}
		values[v.Name] = variableSQL(v.Value)
	}
	ask := map[string]bool{}
	for _, a := range assigned {
		if _, told := values[a.Name]; !told && a.Kind == assignSystem {
			ask[a.Name] = true
		}
	}
	if touchesCharset(assigned, values) {
		for _, name := range charsetVariables {
			ask[name] = true
		}
	}
	if err := askVariables(ctx, c, slices.Sorted(maps.Keys(ask)), values); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "character_set_client" && dangerousCharset(unquoteIfString(values[name])) {
			return dangerous(unquoteIfString(values[name]))
		}
		s.set(name, values[name])
	}
	for _, a := range assigned {
		if a.Kind == assignSystem && len(a.tokens) == 1 && a.tokens[0].is("DEFAULT") && !slices.Contains(charsetVariables, a.Name) {
			s.unset(a.Name) // what DEFAULT means is each server's to say
		}
	}
	return nil
}

func touchesCharset(assigned []assignment, values map[string]string) bool {
	for _, a := range assigned {
		if a.Kind == assignNames {
			return true
		}
	}
	for _, name := range charsetVariables {
		if _, ok := values[name]; ok {
			return true
		}
	}
	return false
}

// askVariables reads variables into values, as SQL.
func askVariables(ctx context.Context, c *backend.Conn, names []string, values map[string]string) error {
	if len(names) == 0 {
		return nil
	}
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = "@@session." + sqlval.QuoteName(n)
	}
	_, rows, err := c.Select(ctx, "SELECT "+strings.Join(list, ", "))
	if err != nil || len(rows) != 1 || len(rows[0]) != len(names) {
		return err
	}
	for i, v := range rows[0] {
		values[names[i]] = "NULL"
		if v != nil {
			values[names[i]] = variableSQL(string(v))
		}
	}
	return nil
}

func refuseCharset(a assignment) error {
	var name string
	switch {
	case a.Kind == assignNames:
		rest := a.tokens[1:]
		if a.tokens[0].is("CHARACTER") && len(rest) > 0 {
			rest = rest[1:]
		}
		if len(rest) > 0 {
			name = rest[0].name()
		}
	case a.Kind == assignSystem && a.Name == "character_set_client" && len(a.tokens) == 1:
		name = a.tokens[0].name()
	}
	if dangerousCharset(name) {
		return dangerous(name)
	}
	return nil
}

func dangerous(charset string) error {
	return sqlerr.Refuse("the client character set "+charset,
		"the second byte of its characters can be a quote or a backslash, so that a statement's literals could be misread",
		"use utf8mb4; columns may have any character set")
}

// refuseChain: servers would begin a transaction behind each COMMIT that Serval
// sends them, or end the connection.
func refuseChain(a assignment) error {
	if a.Kind != assignSystem || a.Name != "completion_type" {
		return nil
	}
	if len(a.tokens) == 1 {
		switch strings.ToUpper(a.tokens[0].name()) {
		case "NO_CHAIN", "0", "DEFAULT":
			return nil
		}
	}
	return sqlerr.Refuse("completion_type other than NO_CHAIN", "it would be every server's", "say COMMIT AND CHAIN or COMMIT RELEASE")
}
