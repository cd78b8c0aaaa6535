package parser

// Edit replaces a range of a statement's text.
type Edit struct {
	Span
	With string
}

// Rewritten is the statement with the edits made, read anew; they must not
// overlap nor hold a marker. Values keep their numbers, so it is run with the
// same ones. An error is that of reading the result.
func (s *Statement) Rewritten(edits []Edit) (*Statement, error) {
	own := make([]edit, len(edits))
	for i, e := range edits {
		own[i] = edit{e.Span, e.With}
	}
	out := *s
	out.Text = applyEdits(s.Text, own) // sorts them
	out.Markers = nil
	next, moved := 0, 0
	for _, m := range s.Markers {
		for ; next < len(own) && own[next].End <= m.Offset; next++ {
			moved += len(own[next].text) - (own[next].End - own[next].Start)
		}
		out.Markers = append(out.Markers, Marker{Offset: m.Offset + moved, Value: m.Value})
	}
	return out.again()
}

// Part is what stands in a range of the text, as a statement of its own.
// Values keep their numbers. An error is that of reading it.
func (s *Statement) Part(span Span) (*Statement, error) {
	out := *s
	out.Text, out.Markers = s.Text[span.Start:span.End], nil
	for _, m := range s.Markers {
		if m.Offset >= span.Start && m.Offset < span.End {
			out.Markers = append(out.Markers, Marker{Offset: m.Offset - span.Start, Value: m.Value})
		}
	}
	return out.again()
}

// again reads the statement's text.
func (s *Statement) again() (*Statement, error) {
	s.Node = nil
	if !s.parse(Options{Mode: s.Mode, Charset: s.charset, Collation: s.collation}) {
		return nil, s.Why
	}
	if d := s.doubt(); d != "" {
		return nil, cannot("%s", d)
	}
	return s, nil
}

// ParseLiterally is Parse, but the literals stay in the text where it can be read
// so: for what depends on the text itself.
func ParseLiterally(sql []byte, opt Options) *Statement {
	lx, fp := &Lexer{stripHints: true}, &Fingerprint{}
	if err := lx.run(sql, opt.Mode, fp); err == nil && len(fp.Literals) > 0 {
		if s := lx.literally(sql, fp, opt); s != nil && s.doubt() == "" {
			return s
		}
	}
	return Parse(sql, opt)
}

// ParseText parses a text whose literals stay in it, as one of Serval's own:
// it has no hints and no values. An error is that of reading it.
func ParseText(text string, opt Options) (*Statement, error) {
	s := &Statement{Text: text, Mode: opt.Mode, charset: opt.Charset, collation: opt.Collation}
	return s.again()
}
