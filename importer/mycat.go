package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mycat is one import of Mycat 1.x's schema.xml, rule.xml and server.xml.
type mycat struct {
	draft
	dir   fs.FS
	nodes map[string]place // dataNodes by name; their table is empty
	rules map[string]mycatRule
	funcs map[string]*element
	zone  string
	// autos are tables Mycat numbers.
	autos []string
}

// mycatRule is a tableRule: its column and its function's name.
type mycatRule struct{ column, function string }

// Mycat reads the configuration of Mycat 1.3 to 1.6, or of dble, in a folder and
// gives ours as text. zone is the time zone its JVM ran in, empty where not known.
func Mycat(dir fs.FS, zone string) (string, error) {
	m := &mycat{dir: dir, nodes: map[string]place{}, rules: map[string]mycatRule{}, funcs: map[string]*element{}, zone: zone}
	m.title = "Imported from Mycat by `serval import mycat`. Lines that begin with # say what was not carried over."
	m.listen = "0.0.0.0:8066"
	root, err := m.read()
	if err != nil {
		return "", err
	}
	m.readHosts(root)
	if err := m.readNodes(root); err != nil {
		return "", err
	}
	for _, e := range root.direct("schema") {
		m.readSchema(e)
	}
	if len(m.schemas) == 0 || len(m.clusters) == 0 {
		return "", errors.New("schema.xml has no schema, or no dataHost for MySQL")
	}
	m.sequences()
	m.home = m.clusters[0].name
	m.note("Once Serval runs: CREATE DATABASE IF NOT EXISTS through it for each schema; Mycat's schemas need no database of their name.")
	return m.String(), nil
}

// read reads the files: schema.xml as it is, rules and users into m.
func (m *mycat) read() (*element, error) {
	root, err := readXML(m.dir, "schema.xml")
	if errors.Is(err, fs.ErrNotExist) {
		if root, other := m.dble(); !errors.Is(other, fs.ErrNotExist) {
			return root, other
		}
	}
	if err != nil {
		return nil, err
	}
	if err := m.readRules(); err != nil {
		return nil, err
	}
	return root, m.readServer()
}

// noUsers puts one in the place of a file that is not there.
func (m *mycat) noUsers(file string) {
	m.note("There is no %s: add the users.", file)
	m.users = []user{{name: "app", password: "${SERVAL_PASSWORD_APP}"}}
}

func (m *mycat) readRules() error {
	root, err := readXML(m.dir, "rule.xml")
	if errors.Is(err, fs.ErrNotExist) {
		m.note("There is no rule.xml: no table is sharded.")
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range root.direct("function") {
		m.funcs[e.attr("name")] = e
	}
	for _, e := range root.direct("tableRule") {
		m.rules[e.attr("name")] = mycatRule{column: e.child("columns"), function: e.child("algorithm")}
	}
	return nil
}

func (m *mycat) readServer() error {
	root, err := readXML(m.dir, "server.xml")
	if errors.Is(err, fs.ErrNotExist) {
		m.noUsers("server.xml")
		return nil
	}
	if err != nil {
		return err
	}
	for _, system := range root.direct("system") {
		p, _ := system.properties()
		ip := "0.0.0.0"
		if p["bindIp"] != "" {
			ip = p["bindIp"]
		}
		if p["serverPort"] != "" {
			m.listen = ip + ":" + p["serverPort"]
		}
	}
	for _, e := range root.direct("user") {
		m.users = append(m.users, mycatUser(e))
	}
	for _, what := range []string{"firewall", "quarantine", "cluster"} {
		if len(root.direct(what)) > 0 {
			m.note("server.xml: <%s> is not carried over.", what)
		}
	}
	m.note("Mycat's manager port is not there; see admin: in docs/config.md.")
	return nil
}

func mycatUser(e *element) user {
	p, _ := e.properties()
	u := user{name: e.attr("name"), password: p["password"], schemas: split(p["schemas"]), readOnly: strings.EqualFold(p["readOnly"], "true")}
	return u.checked(e, p["usingDecrypt"] == "1")
}

// checked is the user with what must be said of it.
func (u user) checked(e *element, encrypted bool) user {
	if encrypted {
		u.password = "${SERVAL_PASSWORD_" + envName(u.name) + "}"
		u.notes = append(u.notes, "Its password was encrypted: set this variable to the password itself.")
	}
	if len(e.direct("privileges")) > 0 {
		u.notes = append(u.notes, "<privileges> of user "+u.name+" are not carried over: grant by access: read_only, or on the servers.")
	}
	return u
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

func envName(name string) string { return strings.ToUpper(notInNames.ReplaceAllString(name, "_")) }

// readHosts makes a cluster of each dataHost.
func (m *mycat) readHosts(root *element) {
	for _, e := range root.direct("dataHost") {
		name := e.attr("name")
		writers := e.direct("writeHost")
		if t := e.attr("dbType"); !strings.EqualFold(t, "mysql") && !strings.EqualFold(t, "mariadb") || len(writers) == 0 {
			m.note("dataHost %s is of type %s and not carried over, nor are its tables.", name, t)
			continue
		}
		c := cluster{name: name}
		c.user, c.password = hostAccount(&c, writers[0])
		standby, primary := 0, 0 // weights for reads
		switch e.attr("balance") {
		case "1":
			standby = 1
		case "2":
			standby, primary = 1, 1
		}
		c.primary = server{addr: hostAddr(writers[0].attr("url")), weight: primary}
		for i, w := range writers {
			if i > 0 {
				c.add(w, standby)
			}
			for _, r := range w.direct("readHost") {
				weight := 1
				if n, err := strconv.Atoi(r.attr("weight")); err == nil && n > 0 {
					weight = n
				}
				if e.attr("balance") == "0" {
					weight = 0 // Mycat sends it no reads
				}
				c.add(r, weight)
			}
		}
		if e.attr("switchType") == "-1" {
			c.note("switchType=-1 (never another primary) is not carried over.")
		}
		if len(e.direct("connectionInitSql")) > 0 && e.child("connectionInitSql") != "" {
			c.note("connectionInitSql is not carried over: %s", e.child("connectionInitSql"))
		}
		m.clusters = append(m.clusters, c)
	}
}

// add is one more server of the cluster.
func (c *cluster) add(e *element, weight int) {
	addr := hostAddr(e.attr("url"))
	known := func(s server) bool { return s.addr == addr }
	if known(c.primary) || slices.ContainsFunc(c.replicas, known) {
		c.note("server %s (%s) is named twice; once is enough.", addr, e.attr("host"))
		return
	}
	if e.attr("user") != c.user || e.attr("password") != c.password && e.attr("usingDecrypt") != "1" {
		c.note("server %s has another account (%s) in Mycat; Serval uses one account a cluster.", addr, e.attr("user"))
	}
	c.replicas = append(c.replicas, server{addr: addr, weight: weight})
}

func hostAccount(c *cluster, e *element) (name, password string) {
	if e.attr("usingDecrypt") == "1" {
		c.note("The password was encrypted in schema.xml: set this variable to the password itself.")
		return e.attr("user"), "${SERVAL_PASSWORD_" + envName(c.name) + "}"
	}
	return e.attr("user"), e.attr("password")
}

// hostAddr is host:port of an url, jdbc:mysql://host:port/db among them.
func hostAddr(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	url, _, _ = strings.Cut(url, "/")
	url, _, _ = strings.Cut(url, "?")
	if !strings.Contains(url, ":") {
		url += ":3306"
	}
	return url
}

// readNodes reads dataNodes: lists and ranges of names stand for each host's
// databases in turn.
func (m *mycat) readNodes(root *element) error {
	for _, e := range root.direct("dataNode") {
		names, hosts, databases := expand(e.attr("name")), expand(e.attr("dataHost")), expand(e.attr("database"))
		if len(names) != len(hosts)*len(databases) {
			return fmt.Errorf("dataNode %s: %d names for %d hosts and %d databases", e.attr("name"), len(names), len(hosts), len(databases))
		}
		for i, name := range names {
			m.nodes[name] = place{cluster: hosts[i/len(databases)], database: databases[i%len(databases)]}
		}
	}
	return nil
}

var dollarRange = regexp.MustCompile(`^([^$]*)\$(\d+)-(\d+)$`)

// expand is a list with ranges: dn$1-3,dn7.
func expand(text string) []string {
	var out []string
	for _, part := range split(text) {
		m := dollarRange.FindStringSubmatch(part)
		if m == nil {
			out = append(out, part)
			continue
		}
		from, err1 := strconv.Atoi(m[2])
		to, err2 := strconv.Atoi(m[3])
		for i := from; err1 == nil && err2 == nil && i <= to && i-from < 100000; i++ {
			out = append(out, m[1]+strconv.Itoa(i))
		}
	}
	return out
}

func (m *mycat) cluster(name string) *cluster {
	for i := range m.clusters {
		if m.clusters[i].name == name {
			return &m.clusters[i]
		}
	}
	return nil
}
