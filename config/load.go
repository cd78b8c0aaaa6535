package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
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
func Parse(path string, data []byte) (*Config, error) {
	s := &source{file: path, dir: filepath.Dir(path)}
	root := s.document(data)
	if root == nil {
		return nil, s.findings
	}
	cfg := Defaults()
	cfg.Path = path
	r := &reader{source: s, cfg: &cfg, own: map[int]*yaml.Node{}}
	r.read(root)
	r.validate()
	if len(s.findings) > 0 {
		return nil, s.findings.sorted()
	}
	return &cfg, nil
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
		s.syntax(err)
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
func (s *source) syntax(err error) {
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
	s.add(line, "check the indentation and the quotes around there", "not YAML: %s", text)
}
