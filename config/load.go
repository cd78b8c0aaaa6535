package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration, in bytes.
const maxFile = 16 << 20

// Load reads and validates a file. An error is Findings, or that of reading.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse is Load of bytes already read; path is for messages, and relative
// paths in the file are relative to its folder. An error is Findings.
func Parse(path string, data []byte) (*Config, error) { return parse(path, data, "", nil) }

// ParseShared is the configuration of one Serval of several: what local (the
// file at path) says for itself alone (Local), and all else from the rules they
// share, which where names in messages. An error is Findings.
func ParseShared(path string, local []byte, where string, rules []byte) (*Config, error) {
	return parse(path, local, where, rules)
}

// ParseOwn reads the keys of Local alone: what a Serval must know before it can
// ask its store for the rest. An error is Findings.
func ParseOwn(path string, data []byte) (*Config, error) {
	s := &source{file: path, dir: filepath.Dir(path)}
	root := s.document(data)
	if root == nil {
		return nil, s.findings
	}
	cfg := Defaults()
	cfg.Path = path
	r := &reader{source: s, cfg: &cfg, own: map[int]*yaml.Node{}}
	r.read(overlay(&yaml.Node{Kind: yaml.MappingNode, Line: root.Line}, root))
	return &cfg, s.findings.OrNil()
}

// Local are the top-level keys that each Serval of a store has for itself; its
// file's other keys give way to the store's.
func Local() []string {
	return []string{"listen", "admin", "tls", "log", "limits", "pool", "replicas", "local_infile", "store", "name"}
}

// ownLines is added to the line numbers of the file's own keys where the rules
// come from elsewhere.
const ownLines = 1 << 24

func parse(path string, data []byte, where string, rules []byte) (*Config, error) {
	s := &source{file: path, dir: filepath.Dir(path)}
	root := s.document(data)
	if root == nil {
		return nil, s.findings
	}
	if where != "" {
		s.own, s.file = path, where
		shared := s.document(rules)
		if shared == nil {
			return nil, s.findings
		}
		root = overlay(shared, root)
	}
	cfg := Defaults()
	cfg.Path = s.file
	r := &reader{source: s, cfg: &cfg, own: map[int]*yaml.Node{}}
	r.read(root)
	r.validate()
	if len(s.findings) > 0 {
		return nil, s.findings.sorted()
	}
	cfg.sections = s.sections(root)
	return &cfg, nil
}

// overlay is the shared rules with this Serval's own keys.
func overlay(shared, own *yaml.Node) *yaml.Node {
	out := *shared
	out.Content = nil
	local := Local()
	each := func(n *yaml.Node, take func(key string) bool, also func(*yaml.Node)) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if take(n.Content[i].Value) {
				also(n.Content[i])
				also(n.Content[i+1])
				out.Content = append(out.Content, n.Content[i], n.Content[i+1])
			}
		}
	}
	each(shared, func(k string) bool { return !slices.Contains(local, k) }, func(*yaml.Node) {})
	each(own, func(k string) bool { return slices.Contains(local, k) }, shiftLines)
	return &out
}

func shiftLines(n *yaml.Node) {
	n.Line += ownLines
	for _, c := range n.Content {
		shiftLines(c)
	}
}

// document is the file's one YAML document, nil after a finding.
func (s *source) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		s.add(0, "it must be under 16 MB", "the file is too large")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		s.add(0, "begin with clusters:, users: and backend:", "the file is empty")
		return nil
	case err != nil:
		s.syntax(err, data)
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		s.add(second.Line, "keep one document; remove the --- line", "the file has a second document")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		s.add(0, "begin with clusters:, users: and backend:", "the file is empty")
		return nil
	}
	return doc.Content[0]
}

// syntax turns yaml's "yaml: line 3: …" into a finding of that line.
func (s *source) syntax(err error, data []byte) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, what, ok := strings.Cut(rest, ": "); ok {
			for _, c := range number {
				line = line*10 + int(c-'0')
			}
			text = what
		}
	}
	do := "check the indentation and the quotes around there"
	if strings.Contains(text, "',' or '") && bytes.Contains(data, []byte("${")) {
		do += `; within { } and [ ] a variable needs quotes: "${NAME}"`
	}
	s.add(line, do, "not YAML: %s", text)
}
