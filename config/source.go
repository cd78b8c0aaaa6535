package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// source reads values off YAML nodes and keeps what is wrong with them, so
// that one run reports everything. After a finding a reader returns a zero
// value and the reading goes on.
type source struct {
	file string
	// dir is what relative paths are relative to.
	dir      string
	findings Findings
	// own is the file that lines above ownLines are of.
	own string
}

func (s *source) add(line int, do, what string, args ...any) {
	file := s.file
	if line > ownLines {
		file, line = s.own, line-ownLines
	}
	s.findings = append(s.findings, Finding{File: file, Line: line, What: fmt.Sprintf(what, args...), Do: do})
}

// entry is one key of a mapping.
type entry struct {
	key  string
	line int
	node *yaml.Node
}

// entries are the keys of a mapping; where names it in messages.
func (s *source) entries(n *yaml.Node, where string) []entry {
	n = followAlias(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		s.add(n.Line, "write it as key: value lines or {key: value}", "%s is not a mapping", where)
		return nil
	}
	var out []entry
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if first, twice := seen[k.Value]; twice {
			s.add(k.Line, "keep one of them", "%s is given twice, first on line %d", k.Value, first)
			continue
		}
		seen[k.Value] = k.Line
		out = append(out, entry{key: k.Value, line: k.Line, node: n.Content[i+1]})
	}
	return out
}

func followAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias // yaml.v3 refuses aliases that contain themselves
	}
	return n
}

// keys hands each key of a mapping to its reader; unknown ones are findings.
func (s *source) keys(n *yaml.Node, where string, known map[string]func(*yaml.Node)) {
	for _, e := range s.entries(n, where) {
		if read, ok := known[e.key]; ok {
			read(e.node)
			continue
		}
		if why, ok := notYet[e.key]; ok {
			s.add(e.line, why, "%s is not supported yet", e.key)
			continue
		}
		names := make([]string, 0, len(known))
		for k := range known {
			names = append(names, k)
		}
		s.add(e.line, didYouMean(e.key, names), "unknown key %s in %s", e.key, where)
	}
}

// notYet are keys of the finished product that this version refuses.
var notYet = map[string]string{
	"finisher": "remove it",
}

// text is a scalar with ${NAME} replaced from the environment; $${ stands for
// ${ itself.
func (s *source) text(n *yaml.Node, where string) string {
	n = followAlias(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		s.add(n.Line, "write a text", "%s is not a text", where)
		return ""
	}
	return s.expand(n.Value, n.Line)
}

func (s *source) expand(v string, line int) string {
	var b strings.Builder
	for {
		at := strings.Index(v, "${")
		if at < 0 {
			return b.String() + v
		}
		if at > 0 && v[at-1] == '$' {
			b.WriteString(v[:at-1] + "${")
			v = v[at+2:]
			continue
		}
		b.WriteString(v[:at])
		name, rest, closed := strings.Cut(v[at+2:], "}")
		if !closed {
			s.add(line, "write ${NAME}, or $${ for the characters themselves", "${ without }")
			return ""
		}
		value, set := os.LookupEnv(name)
		if !set {
			s.add(line, "set it before Serval starts", "environment variable %s is not set", name)
		}
		b.WriteString(value)
		v = rest
	}
}

// oneOf is a text out of a list.
func (s *source) oneOf(n *yaml.Node, where string, choices ...string) string {
	v := s.text(n, where)
	if slices.Contains(choices, v) {
		return v
	}
	if v != "" {
		s.add(n.Line, "it is one of "+strings.Join(choices, ", "), "%s cannot be %s", where, v)
	}
	return choices[0]
}

// texts is a list of texts; a single one is a list of one.
func (s *source) texts(n *yaml.Node, where string) []string {
	var out []string
	for _, item := range s.items(n) {
		if t := s.text(item, where); t != "" {
			out = append(out, t)
		}
	}
	return out
}

func (s *source) items(n *yaml.Node) []*yaml.Node {
	n = followAlias(n)
	switch {
	case n.Kind == yaml.SequenceNode:
		return n.Content
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil
	}
	return []*yaml.Node{n}
}

// number is a whole number within bounds.
func (s *source) number(n *yaml.Node, where string, least, most int) int {
	v := s.text(n, where)
	i, err := strconv.Atoi(v)
	if err != nil || i < least || i > most {
		s.add(n.Line, fmt.Sprintf("give a whole number from %d to %d", least, most), "%s cannot be %s", where, v)
		return least
	}
	return i
}

func (s *source) yes(n *yaml.Node, where string) bool {
	switch v := s.text(n, where); v {
	case "true":
		return true
	case "false", "":
	default:
		s.add(n.Line, "it is true or false", "%s cannot be %s", where, v)
	}
	return false
}

// duration is like 500ms, 10s, 5m, 1h; 0 stands for no limit where it may.
func (s *source) duration(n *yaml.Node, where string, least time.Duration) time.Duration {
	v := s.text(n, where)
	if v == "0" {
		v = "0s"
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil || d < 0:
		s.add(n.Line, "write it like 500ms, 10s, 5m or 1h", "%s cannot be %s", where, v)
	case d < least:
		s.add(n.Line, "give at least "+least.String(), "%s cannot be %s", where, v)
	}
	return d
}

// size is a number of bytes: 65536, 64KB, 64MB, 1GB (of 1024).
func (s *source) size(n *yaml.Node, where string, least, most int64) int64 {
	v := s.text(n, where)
	unit := int64(1)
	digits := v
	for i, suffix := range []string{"KB", "MB", "GB"} {
		if rest, ok := strings.CutSuffix(strings.ToUpper(v), suffix); ok {
			digits, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	b, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || b < 0 || b > most/unit || b*unit < least {
		s.add(n.Line, fmt.Sprintf("write it like 512KB, 64MB or 1GB, from %d to %d bytes", least, most), "%s cannot be %s", where, v)
		return least
	}
	return b * unit
}

// path is a file that must be there to read, relative to the configuration's.
func (s *source) path(n *yaml.Node, where string) string {
	p := s.resolve(s.text(n, where))
	if p == "" {
		return ""
	}
	f, err := os.Open(p)
	if err != nil {
		s.add(n.Line, "check the path and who may read it", "%s: cannot read %s", where, p)
		return p
	}
	_ = f.Close() // it was only read
	return p
}

func (s *source) resolve(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.dir, p)
}

// maxSecret bounds a secret's file, in bytes.
const maxSecret = 64 << 10

// secret is the text of a file, without the line's end.
func (s *source) secret(n *yaml.Node, where string) string {
	p := s.path(n, where)
	if p == "" {
		return ""
	}
	f, err := os.Open(p)
	if err != nil {
		return "" // path has said so
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil || len(b) > maxSecret {
		s.add(n.Line, "put the secret alone into it, under 64 KB", "%s: %s holds no secret", where, p)
		return ""
	}
	return strings.TrimRight(string(b), "\r\n")
}
