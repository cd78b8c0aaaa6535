package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// WithSlots is the text of a configuration in which the tables, by schema.table,
// have those slots:, one list a shard. All else stays as it is written, comments
// too. What it cannot write is an error that says why.
func WithSlots(text string, lists map[string][]string) (string, error) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return "", err
	}
	w := &slotsWriter{text: text, lines: strings.SplitAfter(text, "\n")}
	if len(root.Content) == 1 {
		w.file(root.Content[0], lists)
	}
	if w.err == nil && w.found < len(lists) {
		w.err = fmt.Errorf("%d of the %d tables are not written out in the file", len(lists)-w.found, len(lists))
	}
	if w.err != nil {
		return "", w.err
	}
	slices.SortFunc(w.edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range w.edits {
		text = text[:e.from] + e.text + text[e.to:]
	}
	return text, nil
}

// edit replaces the bytes from up to to.
type edit struct {
	from, to int
	text     string
}

type slotsWriter struct {
	text  string
	lines []string
	edits []edit
	found int
	err   error
}

func (w *slotsWriter) file(root *yaml.Node, lists map[string][]string) {
	eachEntry(valueOf(root, "schemas"), func(schema, s *yaml.Node) {
		eachEntry(valueOf(s, "tables"), func(name, t *yaml.Node) {
			if list := lists[schema.Value+"."+name.Value]; list != nil && w.err == nil {
				w.found++
				w.table(schema.Value+"."+name.Value, t, list)
			}
		})
	})
}

func eachEntry(n *yaml.Node, f func(key, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], n.Content[i+1])
	}
}

// valueOf is a mapping's value, nil where it has none.
func valueOf(n *yaml.Node, key string) (value *yaml.Node) {
	eachEntry(n, func(k, v *yaml.Node) {
		if k.Value == key {
			value = v
		}
	})
	return value
}

// table writes one table's slots.
func (w *slotsWriter) table(name string, t *yaml.Node, list []string) {
	if t.Kind != yaml.MappingNode || len(t.Content) == 0 {
		w.err = fmt.Errorf("table %s is an alias of another one's rule; write it out", name)
		return
	}
	quoted := make([]string, len(list))
	for i, l := range list {
		quoted[i] = l
		if strings.Contains(l, ",") {
			quoted[i] = "'" + l + "'" // within [ ] a comma ends a value
		}
	}
	value := "[" + strings.Join(quoted, ", ") + "]"
	if old := valueOf(t, "slots"); old != nil {
		from, to, ok := w.extent(old)
		if !ok {
			w.err = fmt.Errorf("slots: of table %s is on lines of its own; write it as [ … ] first", name)
			return
		}
		w.edits = append(w.edits, edit{from, to, value})
		return
	}
	first := w.offset(t.Content[0])
	if t.Style&yaml.FlowStyle != 0 {
		w.edits = append(w.edits, edit{first, first, "slots: " + value + ", "})
		return
	}
	indent := strings.Repeat(" ", t.Content[0].Column-1)
	w.edits = append(w.edits, edit{first, first, "slots: " + value + "\n" + indent})
}

// offset is where a node begins.
func (w *slotsWriter) offset(n *yaml.Node) int {
	at := 0
	for _, line := range w.lines[:n.Line-1] {
		at += len(line)
	}
	column := 1
	for i := range w.lines[n.Line-1] { // columns are characters
		if column == n.Column {
			return at + i
		}
		column++
	}
	return at + len(w.lines[n.Line-1])
}

// extent is where a list or mapping in brackets, or a text, begins and ends.
func (w *slotsWriter) extent(n *yaml.Node) (from, to int, ok bool) {
	from = w.offset(n)
	if n.Kind == yaml.ScalarNode && n.Style == 0 {
		return from, from + len(n.Value), true
	}
	if n.Style&yaml.FlowStyle == 0 {
		return 0, 0, false
	}
	depth, quote := 0, byte(0)
	for i := from; i < len(w.text); i++ {
		switch b := w.text[i]; {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '\'' || b == '"':
			quote = b
		case b == '[' || b == '{':
			depth++
		case b == ']' || b == '}':
			if depth--; depth == 0 {
				return from, i + 1, true
			}
		}
	}
	return 0, 0, false
}
