package config

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader fills a Config from the file's nodes. What needs the whole file to be
// judged is kept with its line for validate.
type reader struct {
	*source
	cfg *Config
	// listen, admin and home with their lines; 0 where not given.
	listenLines              []int
	adminLine, homeLine      int
	finisherLine             int
	backendLine, clusterLine int
	usersLine                int
	schemas                  []*rawSchema
	// own are clusters' own accounts by the cluster's number: they add to
	// backend:, which may stand below them.
	own map[int]*yaml.Node
}

func (r *reader) read(root *yaml.Node) {
	c := r.cfg
	r.keys(root, "the file", map[string]func(*yaml.Node){
		"listen": func(n *yaml.Node) {
			c.Listen = nil
			for _, item := range r.items(n) {
				c.Listen = append(c.Listen, r.text(item, "listen"))
				r.listenLines = append(r.listenLines, item.Line)
			}
		},
		"admin":        func(n *yaml.Node) { c.Admin, r.adminLine = r.text(n, "admin"), n.Line },
		"tls":          r.tls,
		"users":        r.users,
		"backend":      func(n *yaml.Node) { r.backendLine = n.Line; r.account(n, "backend", &c.Backend) },
		"home":         func(n *yaml.Node) { c.Home, r.homeLine = r.text(n, "home"), n.Line },
		"clusters":     r.clusters,
		"schemas":      r.readSchemas,
		"log":          r.log,
		"limits":       r.limits,
		"pool":         r.pool,
		"replicas":     r.replicas,
		"hold_writes":  r.holdWrites,
		"finisher":     r.finisher,
		"local_infile": func(n *yaml.Node) { c.LocalInfile = r.yes(n, "local_infile") },
		"store":        r.store,
		"name":         func(n *yaml.Node) { c.Name = r.text(n, "name") },
		"features":     r.features,
	})
}

// store is a URL; what etcd makes of it rulestore says.
func (r *reader) store(n *yaml.Node) {
	r.cfg.Store = r.text(n, "store")
	if scheme, _, _ := strings.Cut(r.cfg.Store, "://"); scheme != "etcd" && scheme != "etcds" {
		r.add(n.Line, "write etcd://host:2379,host:2379/path, or remove it to keep versions in a folder beside the file", "store cannot be %s", r.cfg.Store)
	}
}

// features are on unless they are said to be off.
func (r *reader) features(n *yaml.Node) {
	off := &r.cfg.Off
	known := map[string]func(*yaml.Node){}
	for name, to := range map[string]*bool{
		"scatter": &off.Scatter, "finisher": &off.Finisher, "staged_writes": &off.StagedWrites, "ddl": &off.DDL,
		"replica_reads": &off.ReplicaReads, "periods": &off.Periods, "deadlock_detection": &off.DeadlockDetection,
	} {
		known[name] = func(n *yaml.Node) { *to = !r.isOn(n, "features."+name) }
	}
	r.keys(n, "features", known)
}

// isOn is on or off.
func (r *reader) isOn(n *yaml.Node, where string) bool {
	switch v := r.text(n, where); v {
	case "on", "true":
		return true
	case "off", "false":
		return false
	default:
		r.add(n.Line, "it is on or off", "%s cannot be %s", where, v)
	}
	return true
}

func (r *reader) tls(n *yaml.Node) {
	t := &TLS{}
	r.keys(n, "tls", map[string]func(*yaml.Node){
		"cert":      func(n *yaml.Node) { t.Cert = r.path(n, "tls.cert") },
		"key":       func(n *yaml.Node) { t.Key = r.path(n, "tls.key") },
		"client_ca": func(n *yaml.Node) { t.ClientCA = r.path(n, "tls.client_ca") },
		"required":  func(n *yaml.Node) { t.Required = r.yes(n, "tls.required") },
	})
	if t.Cert == "" || t.Key == "" {
		r.add(n.Line, "give both, as PEM files", "tls needs cert and key")
	}
	r.cfg.TLS = t
}

func (r *reader) users(n *yaml.Node) {
	r.usersLine = n.Line
	for _, item := range r.items(n) {
		u := User{Line: item.Line}
		given := 0
		r.keys(item, "a user", map[string]func(*yaml.Node){
			"name":          func(n *yaml.Node) { u.Name = r.text(n, "name") },
			"password":      func(n *yaml.Node) { u.Password = r.text(n, "password"); given++ },
			"password_file": func(n *yaml.Node) { u.Password = r.secret(n, "password_file"); given++ },
			"schemas":       func(n *yaml.Node) { u.Schemas = r.texts(n, "schemas") },
			"access": func(n *yaml.Node) {
				u.ReadOnly = r.oneOf(n, "access", "read_write", "read_only") == "read_only"
			},
		})
		r.onePassword(item.Line, given, "user "+u.Name)
		r.cfg.Users = append(r.cfg.Users, u)
	}
}

// onePassword: exactly one of password and password_file.
func (r *reader) onePassword(line, given int, who string) {
	switch {
	case given > 1:
		r.add(line, "keep one of them", "%s has password and password_file", who)
	case given == 0:
		r.add(line, "give password or password_file; an empty one is ''", "%s has no password", who)
	}
}

// account reads a backend account over what *a holds already.
func (r *reader) account(n *yaml.Node, where string, a *Account) {
	given := 0
	r.keys(n, where, map[string]func(*yaml.Node){
		"user":          func(n *yaml.Node) { a.User = r.text(n, where+".user") },
		"password":      func(n *yaml.Node) { a.Password = r.text(n, where+".password"); given++ },
		"password_file": func(n *yaml.Node) { a.Password = r.secret(n, where+".password_file"); given++ },
		"tls":           func(n *yaml.Node) { r.backendTLS(n, where+".tls", &a.TLS) },
	})
	if a.User == "" {
		r.add(n.Line, "give the account Serval uses on the servers", "%s has no user", where)
	}
	if given == 0 && where != "backend" {
		return // a cluster's own account may keep the general password
	}
	r.onePassword(n.Line, given, where)
}

// backendTLS is a mode, or a mapping with one.
func (r *reader) backendTLS(n *yaml.Node, where string, t *BackendTLS) {
	modes := []string{TLSDisabled, TLSRequired, TLSVerify}
	if followAlias(n).Kind == yaml.ScalarNode {
		t.Mode = r.oneOf(n, where, modes...)
		return
	}
	r.keys(n, where, map[string]func(*yaml.Node){
		"mode": func(n *yaml.Node) { t.Mode = r.oneOf(n, where+".mode", modes...) },
		"ca":   func(n *yaml.Node) { t.CA = r.path(n, where+".ca") },
		"cert": func(n *yaml.Node) { t.Cert = r.path(n, where+".cert") },
		"key":  func(n *yaml.Node) { t.Key = r.path(n, where+".key") },
	})
	if (t.Cert == "") != (t.Key == "") {
		r.add(n.Line, "give both or none", "%s needs cert and key together", where)
	}
}

func (r *reader) clusters(n *yaml.Node) {
	r.clusterLine = n.Line
	for _, e := range r.entries(n, "clusters") {
		c := Cluster{Name: e.key, Line: e.line}
		where := "cluster " + e.key
		var own *yaml.Node
		var replicas, servers []Instance
		r.keys(e.node, where, map[string]func(*yaml.Node){
			"primary": func(n *yaml.Node) {
				p := r.instance(n, where, 0)
				c.Primary, c.Instances = p.Addr, []Instance{p}
			},
			"replicas": func(n *yaml.Node) { replicas = r.instances(n, where) },
			"servers":  func(n *yaml.Node) { servers = r.instances(n, where) },
			"backend":  func(n *yaml.Node) { own = n },
		})
		switch {
		case c.Primary != "" && servers != nil:
			r.add(e.line, "use primary: and replicas:, or servers: to have the primary found", "%s has both primary and servers", where)
		case replicas != nil && servers != nil:
			r.add(e.line, "use primary: and replicas:, or servers: to have the primary found", "%s has both replicas and servers", where)
		case c.Primary == "" && servers == nil:
			r.add(e.line, "give primary: host:port, or servers: [host:port, …]", "%s has no primary and no servers", where)
		}
		c.Instances = append(append(c.Instances, replicas...), servers...)
		r.cfg.Clusters = append(r.cfg.Clusters, c)
		if own != nil {
			r.own[len(r.cfg.Clusters)-1] = own
		}
	}
}

func (r *reader) instances(n *yaml.Node, where string) []Instance {
	out := []Instance{}
	for _, item := range r.items(n) {
		out = append(out, r.instance(item, where, 1))
	}
	return out
}

// instance is an address, or a mapping with one.
func (r *reader) instance(n *yaml.Node, where string, weight int) Instance {
	in := Instance{Weight: weight}
	if followAlias(n).Kind == yaml.ScalarNode {
		in.Addr = r.text(n, where)
	} else {
		r.keys(n, "a server of "+where, map[string]func(*yaml.Node){
			"addr":   func(n *yaml.Node) { in.Addr = r.text(n, "addr") },
			"weight": func(n *yaml.Node) { in.Weight = r.number(n, "weight", 0, 1000) },
			"zone":   func(n *yaml.Node) { in.Zone = r.text(n, "zone") },
		})
		if in.Addr == "" {
			r.add(n.Line, "give addr: host:port", "a server of %s has no addr", where)
		}
	}
	r.address(n.Line, in.Addr, 1)
	return in
}

func (r *reader) log(n *yaml.Node) {
	l := &r.cfg.Log
	r.keys(n, "log", map[string]func(*yaml.Node){
		"level":  func(n *yaml.Node) { l.Level = r.oneOf(n, "log.level", "info", "debug", "warn", "error") },
		"format": func(n *yaml.Node) { l.Format = r.oneOf(n, "log.format", "text", "json") },
		"slow":   func(n *yaml.Node) { l.Slow = r.duration(n, "log.slow", 0) },
	})
}

func (r *reader) limits(n *yaml.Node) {
	l := &r.cfg.Limits
	r.keys(n, "limits", map[string]func(*yaml.Node){
		"max_connections":      func(n *yaml.Node) { l.MaxConnections = r.number(n, "max_connections", 1, 1e6) },
		"max_packet":           func(n *yaml.Node) { l.MaxPacket = int(r.size(n, "max_packet", 64<<10, 1<<30)) },
		"statement_timeout":    func(n *yaml.Node) { l.StatementTimeout = r.duration(n, "statement_timeout", 0) },
		"memory_per_statement": func(n *yaml.Node) { l.MemoryPerStatement = r.size(n, "memory_per_statement", 1<<20, 1<<40) },
		"login_timeout":        func(n *yaml.Node) { l.LoginTimeout = r.duration(n, "login_timeout", time.Second) },
		"idle_timeout":         func(n *yaml.Node) { l.IdleTimeout = r.duration(n, "idle_timeout", time.Second) },
		"drain_timeout":        func(n *yaml.Node) { l.DrainTimeout = r.duration(n, "drain_timeout", 0) },
		"plan_cache":           func(n *yaml.Node) { l.PlanCache = r.number(n, "plan_cache", 1, 1e7) },
		"prepared_statements":  func(n *yaml.Node) { l.PreparedStatements = r.number(n, "prepared_statements", 1, 1e6) },
	})
}

func (r *reader) pool(n *yaml.Node) {
	p := &r.cfg.Pool
	r.keys(n, "pool", map[string]func(*yaml.Node){
		"max":             func(n *yaml.Node) { p.Max = r.number(n, "pool.max", 1, 1e5) },
		"connect_timeout": func(n *yaml.Node) { p.ConnectTimeout = r.duration(n, "connect_timeout", 10*time.Millisecond) },
		"acquire_timeout": func(n *yaml.Node) { p.AcquireTimeout = r.duration(n, "acquire_timeout", 10*time.Millisecond) },
		"idle_timeout":    func(n *yaml.Node) { p.IdleTimeout = r.duration(n, "pool.idle_timeout", time.Second) },
		"max_lifetime":    func(n *yaml.Node) { p.MaxLifetime = r.duration(n, "max_lifetime", time.Second) },
		"statements":      func(n *yaml.Node) { p.Statements = r.number(n, "pool.statements", 1, 16382) },
	})
}

func (r *reader) replicas(n *yaml.Node) {
	p := &r.cfg.Replicas
	r.keys(n, "replicas", map[string]func(*yaml.Node){
		"max_lag":       func(n *yaml.Node) { p.MaxLag = r.duration(n, "max_lag", 0) },
		"probe":         func(n *yaml.Node) { p.Probe = r.duration(n, "probe", 50*time.Millisecond) },
		"probe_timeout": func(n *yaml.Node) { p.ProbeTimeout = r.duration(n, "probe_timeout", 50*time.Millisecond) },
		"consistency": func(n *yaml.Node) {
			p.Consistency = r.oneOf(n, "consistency", "session", "eventual", "global")
		},
		"wait_for_gtid": func(n *yaml.Node) { p.WaitForGTID = r.duration(n, "wait_for_gtid", 0) },
		"zone":          func(n *yaml.Node) { p.Zone = r.text(n, "zone") },
	})
}

func (r *reader) holdWrites(n *yaml.Node) {
	h := &r.cfg.HoldWrites
	r.keys(n, "hold_writes", map[string]func(*yaml.Node){
		"timeout": func(n *yaml.Node) { h.Timeout = r.duration(n, "hold_writes.timeout", 0) },
		"max":     func(n *yaml.Node) { h.Max = r.number(n, "hold_writes.max", 0, 1e6) },
	})
}

func (r *reader) finisher(n *yaml.Node) {
	f := &r.cfg.Finisher
	r.keys(n, "finisher", map[string]func(*yaml.Node){
		"cluster":   func(n *yaml.Node) { f.Cluster, r.finisherLine = r.text(n, "finisher.cluster"), n.Line },
		"max_rows":  func(n *yaml.Node) { f.MaxRows = int64(r.number(n, "finisher.max_rows", 1, 1e9)) },
		"max_bytes": func(n *yaml.Node) { f.MaxBytes = r.size(n, "finisher.max_bytes", 1<<20, 1<<40) },
	})
}
