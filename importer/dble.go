package importer

import (
	"errors"
	"io/fs"
	"maps"
)

// dble reads dble 3's sharding.xml, db.xml and user.xml and gives the schema.xml
// that says the same; rules and users are taken in.
func (m *mycat) dble() (*element, error) {
	sharding, err := readXML(m.dir, "sharding.xml")
	if err != nil {
		return nil, err
	}
	db, err := readXML(m.dir, "db.xml")
	if err != nil {
		return nil, err
	}
	m.title = "Imported from dble by `serval import mycat`. Lines that begin with # say what was not carried over."
	for _, e := range sharding.direct("function") {
		m.funcs[e.attr("name")] = e
	}
	root := &element{}
	for _, e := range sharding.direct("schema") {
		root.children = append(root.children, m.dbleSchema(e))
	}
	for _, e := range sharding.direct("shardingNode") {
		root.children = append(root.children, made("dataNode", "name", e.attr("name"), "dataHost", e.attr("dbGroup"), "database", e.attr("database")))
	}
	for _, e := range db.direct("dbGroup") {
		root.children = append(root.children, dbleGroup(e))
	}
	return root, m.dbleUsers()
}

// made is an element with attributes.
func made(name string, attrs ...string) *element {
	e := &element{name: name, attrs: map[string]string{}}
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			e.attrs[attrs[i]] = attrs[i+1]
		}
	}
	return e
}

func (m *mycat) dbleSchema(e *element) *element {
	s := made("schema", "name", e.attr("name"), "dataNode", e.attr("shardingNode"), "sqlMaxLimit", e.attr("sqlMaxLimit"))
	if e.attr("function") != "" {
		m.note("Schema %s shards all its tables by %s: name each of them.", e.attr("name"), e.attr("function"))
		delete(s.attrs, "dataNode")
	}
	for _, t := range e.children {
		out := made("table", "name", t.attr("name"), "dataNode", t.attr("shardingNode"))
		switch t.name {
		case "shardingTable":
			rule := t.attr("shardingColumn") + " " + t.attr("function")
			m.rules[rule] = mycatRule{column: t.attr("shardingColumn"), function: t.attr("function")}
			out.attrs["rule"] = rule
		case "globalTable":
			out.attrs["type"] = "global"
		case "singleTable":
		default:
			continue
		}
		dbleNumbers(out, t)
		out.children = dbleChildren(t)
		s.children = append(s.children, out)
	}
	return s
}

// dbleNumbers carries incrementColumn over.
func dbleNumbers(to, from *element) {
	if c := from.attr("incrementColumn"); c != "" {
		to.attrs["autoIncrement"], to.attrs["primaryKey"] = "true", c
	}
}

func dbleChildren(e *element) []*element {
	var out []*element
	for _, c := range e.direct("childTable") {
		child := &element{name: c.name, attrs: maps.Clone(c.attrs), children: dbleChildren(c)}
		dbleNumbers(child, c)
		out = append(out, child)
	}
	return out
}

// dbleGroup is a dbGroup as a dataHost: one writer, the rest its readers.
func dbleGroup(e *element) *element {
	balance := e.attr("rwSplitMode") // 1 and 3 read from replicas, 2 from all
	host := made("dataHost", "name", e.attr("name"), "balance", balance, "dbType", "mysql")
	var writer *element
	var readers []*element
	for _, i := range e.direct("dbInstance") {
		if t := i.attr("databaseType"); t != "" && t != "mysql" {
			host.attrs["dbType"] = t
		}
		if i.attr("disabled") == "true" {
			continue
		}
		decrypt := ""
		if i.attr("usingDecrypt") == "true" {
			decrypt = "1"
		}
		name := "readHost"
		if i.attr("primary") == "true" {
			name = "writeHost"
		}
		out := made(name, "host", i.attr("name"), "url", i.attr("url"), "user", i.attr("user"), "password", i.attr("password"), "weight", i.attr("readWeight"), "usingDecrypt", decrypt)
		if name == "writeHost" {
			writer = out
			continue
		}
		readers = append(readers, out)
	}
	if writer != nil {
		writer.children = readers
		host.children = []*element{writer}
	}
	return host
}

func (m *mycat) dbleUsers() error {
	root, err := readXML(m.dir, "user.xml")
	if errors.Is(err, fs.ErrNotExist) {
		m.noUsers("user.xml")
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range root.direct("shardingUser") {
		u := user{name: e.attr("name"), password: e.attr("password"), schemas: split(e.attr("schemas")), readOnly: e.attr("readOnly") == "true"}
		m.users = append(m.users, u.checked(e, e.attr("usingDecrypt") == "true"))
	}
	for _, what := range []string{"rwSplitUser", "hybridTAUser", "analysisUser"} {
		for _, e := range root.direct(what) {
			m.note("user.xml: %s %s is not carried over.", what, e.attr("name"))
		}
	}
	return nil
}
