package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// section is one part of a file that is compared as a whole: a table's rule, a
// cluster, a user, a top-level key.
type section struct {
	name string
	// text is it in one line of YAML, secrets left out; exact has them.
	text, exact string
	line        int
}

// Change is one section that two configurations differ in.
type Change struct {
	// Name is like table shop.orders, cluster c1, user app, limits.
	Name string `json:"name"`
	// From and To are its YAML in one line, passwords left out; empty where it
	// is not there.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Line is where it is in the new configuration, 0 where it is not.
	Line int `json:"line,omitempty"`
	// Secret: only a password differs.
	Secret bool `json:"secret,omitempty"`
}

// Changes are what turns one configuration into the other, in the order of the
// new one, what is no longer there last.
func Changes(from, to *Config) []Change {
	var out []Change
	before := map[string]section{}
	for _, s := range from.sections {
		before[s.name] = s
	}
	for _, s := range to.sections {
		old := before[s.name]
		delete(before, s.name)
		if old.exact != s.exact {
			out = append(out, Change{Name: s.name, From: old.text, To: s.text, Line: s.line, Secret: old.text == s.text})
		}
	}
	for _, s := range from.sections {
		if _, gone := before[s.name]; gone {
			out = append(out, Change{Name: s.name, From: s.text})
		}
	}
	return out
}

// sections are a valid file's parts, in its order.
func (s *source) sections(root *yaml.Node) []section {
	var out []section
	add := func(name string, line int, n *yaml.Node) {
		shown, exact := plain(n, true), plain(n, false)
		if line > ownLines {
			line -= ownLines
		}
		out = append(out, section{name: name, text: oneLine(shown), exact: oneLine(exact), line: line})
	}
	for _, e := range s.entries(root, "the file") {
		switch e.key {
		case "users":
			for _, item := range s.items(e.node) {
				add("user "+s.keyOf(item, "name"), item.Line, item)
			}
		case "clusters":
			for _, c := range s.entries(e.node, e.key) {
				add("cluster "+c.key, c.line, c.node)
			}
		case "schemas":
			for _, schema := range s.entries(e.node, e.key) {
				for _, k := range s.entries(schema.node, schema.key) {
					if k.key != "tables" {
						add("schema "+schema.key+" "+k.key, k.line, k.node)
						continue
					}
					for _, t := range s.entries(k.node, k.key) {
						add("table "+schema.key+"."+t.key, t.line, t.node)
					}
				}
			}
		default:
			add(e.key, e.line, e.node)
		}
	}
	return out
}

func (s *source) keyOf(n *yaml.Node, key string) string {
	for _, e := range s.entries(n, "") {
		if e.key == key {
			return e.node.Value
		}
	}
	return ""
}

// plain is a copy without comments and aliases, in flow style; hidden has
// passwords left out.
func plain(n *yaml.Node, hide bool) *yaml.Node {
	n = followAlias(n)
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: yaml.FlowStyle}
	if n.Kind == yaml.ScalarNode {
		out.Style = n.Style &^ (yaml.LiteralStyle | yaml.FoldedStyle)
	}
	for i, c := range n.Content {
		kept := plain(c, hide)
		if hide && n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "password" {
			kept = &yaml.Node{Kind: yaml.ScalarNode, Value: "…"}
		}
		out.Content = append(out.Content, kept)
	}
	return out
}

func oneLine(n *yaml.Node) string {
	text, err := yaml.Marshal(n)
	if err != nil {
		return "(not to be shown: " + err.Error() + ")"
	}
	return strings.Join(slices.Collect(strings.FieldsSeq(string(text))), " ")
}
