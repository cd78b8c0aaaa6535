package config

import (
	"net"
	"strconv"
	"strings"
)

// validate judges what needs the whole file, and fills in what follows from
// it.
func (r *reader) validate() {
	r.validateListen()
	r.validateUsers()
	r.validateClusters()
	r.validateHomes()
	r.rules()
	r.validateUserSchemas()
}

// address checks host:port and unix:/path; least is the smallest port.
func (r *reader) address(line int, addr string, least int) {
	if addr == "" {
		return // the reader has said so
	}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			r.add(line, "write unix:/full/path", "address %s has no full path", addr)
		}
		return
	}
	host, port, err := net.SplitHostPort(addr)
	n, notNumber := strconv.Atoi(port)
	switch {
	case err != nil:
		r.add(line, "write host:port, [IPv6]:port or unix:/path", "%s is not an address", addr)
	case notNumber != nil || n < least || n > 65535:
		r.add(line, "give a port from "+strconv.Itoa(max(least, 1))+" to 65535", "address %s has no valid port", addr)
	case host == "" && least > 0:
		r.add(line, "write host:port", "address %s has no host", addr)
	}
}

func (r *reader) validateListen() {
	all := append([]string(nil), r.cfg.Listen...)
	lines := append([]int(nil), r.listenLines...)
	if len(lines) == 0 {
		lines = make([]int, len(all)) // the default
	}
	if len(all) == 0 {
		r.add(0, "write listen: 127.0.0.1:3307", "listen names no address")
	}
	if r.cfg.Admin != "" {
		all, lines = append(all, r.cfg.Admin), append(lines, r.adminLine)
		if strings.HasPrefix(r.cfg.Admin, "unix:") {
			r.add(r.adminLine, "write admin: 127.0.0.1:9307", "admin cannot be a unix socket")
		}
	}
	for i, a := range all {
		r.address(lines[i], a, 0)
		for _, b := range all[:i] {
			if sameSocket(a, b) {
				r.add(lines[i], "give each its own port", "%s and %s cannot both be listened on", b, a)
			}
		}
		for _, c := range r.cfg.Clusters {
			for _, in := range c.Instances {
				if in.Addr == a && !strings.HasSuffix(a, ":0") {
					r.add(lines[i], "give the servers' addresses under clusters:, another one here", "%s is also a server of cluster %s", a, c.Name)
				}
			}
		}
	}
}

// sameSocket: the addresses cannot both be listened on.
func sameSocket(a, b string) bool {
	if a == b {
		return !strings.HasSuffix(a, ":0")
	}
	ha, pa, err1 := net.SplitHostPort(a)
	hb, pb, err2 := net.SplitHostPort(b)
	if err1 != nil || err2 != nil || pa != pb || pa == "0" {
		return false
	}
	return anyHost(ha) || anyHost(hb)
}

func anyHost(h string) bool { return h == "" || h == "0.0.0.0" || h == "::" }

func (r *reader) validateUsers() {
	if len(r.cfg.Users) == 0 {
		r.add(r.usersLine, "add users: [{name: app, password: …, schemas: [shop]}]", "there are no users, so nobody could log in")
	}
	seen := map[string]int{}
	for _, u := range r.cfg.Users {
		if u.Name == "" {
			r.add(u.Line, "give name:", "a user has no name")
			continue
		}
		if first := seen[u.Name]; first != 0 {
			r.add(u.Line, "keep one of them", "user %s is given twice, first on line %d", u.Name, first)
		}
		seen[u.Name] = u.Line
	}
}

// validateUserSchemas: without a home, only the schemas listed exist.
func (r *reader) validateUserSchemas() {
	if r.cfg.Home != "" {
		return
	}
	names := make([]string, len(r.cfg.Schemas))
	known := map[string]bool{}
	for i := range names {
		names[i] = r.cfg.Schemas[i].Name
		known[names[i]] = true
	}
	for _, u := range r.cfg.Users {
		for _, s := range u.Schemas {
			if !known[s] {
				r.add(u.Line, didYouMean(s, names), "user %s may use schema %s, which is not under schemas: and there is no home: for others", u.Name, s)
			}
		}
	}
}

func (r *reader) validateClusters() {
	c := r.cfg
	if len(c.Clusters) == 0 {
		r.add(r.clusterLine, "add clusters: {c0: {primary: host:port}}", "there are no clusters")
	}
	if r.backendLine == 0 && len(r.own) < len(c.Clusters) {
		r.add(0, "add backend: {user: …, password: …}", "there is no backend: the account Serval uses on the servers")
	}
	at := map[string]string{}
	for i := range c.Clusters {
		cl := &c.Clusters[i]
		r.name(cl.Line, "cluster", cl.Name)
		for _, in := range cl.Instances {
			if other := at[in.Addr]; other != "" && in.Addr != "" {
				r.add(cl.Line, "a server belongs to one cluster, once", "server %s is in cluster %s and again in cluster %s", in.Addr, other, cl.Name)
			}
			at[in.Addr] = cl.Name
		}
		cl.Account = c.Backend
		if n := r.own[i]; n != nil {
			r.account(n, "backend of cluster "+cl.Name, &cl.Account)
		}
		if cl.Account.TLS.Mode == "" {
			cl.Account.TLS.Mode = TLSDisabled
		}
	}
	if c.Backend.TLS.Mode == "" {
		c.Backend.TLS.Mode = TLSDisabled
	}
}

// validateHomes fills in homes: a schema's is its own, else the file's, else
// the only cluster.
func (r *reader) validateHomes() {
	c := r.cfg
	only := ""
	if len(c.Clusters) == 1 {
		only = c.Clusters[0].Name
	}
	if c.Home == "" {
		c.Home = only
	} else {
		r.knownCluster(r.homeLine, "home", c.Home)
	}
	if c.Finisher.Cluster != "" {
		r.knownCluster(r.finisherLine, "finisher.cluster", c.Finisher.Cluster)
	}
	for _, s := range r.schemas {
		switch {
		case s.Home != "":
			r.knownCluster(s.homeLine, "home of schema "+s.Name, s.Home)
		case c.Home != "":
			s.Home = c.Home
		default:
			r.add(s.Line, "add home: with the cluster of the tables that have no rule", "schema %s has no home", s.Name)
		}
	}
}
