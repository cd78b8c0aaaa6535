package parser

import "strings"

// read is the text as TiDB's parser has read it; its offsets are those of Text.
func (s *Statement) read() string {
	if s.hidden != "" {
		return s.hidden
	}
	return s.Text
}

// hide takes out of the text what TiDB's parser does not read and what does not
// matter to what the rest means; false where there is nothing of the kind.
func (s *Statement) hide(opt Options) bool {
	s.hidden, s.into, s.rowAlias, s.returning = "", nil, nil, nil
	switch s.Verb {
	case "SELECT", "WITH", "(":
		return s.hideInto()
	case "INSERT", "REPLACE", "DELETE":
		return s.hideEnd(opt)
	case "CREATE", "ALTER":
		return s.hideTypes()
	}
	return false
}

// hideInto finds the one INTO @x, @y of a query.
func (s *Statement) hideInto() bool {
	tokens, err := collectTokens([]byte(s.Text), s.Mode, nil)
	if err != nil || s.Flags&HasUserVar == 0 {
		return false
	}
	from, to := -1, 0
	for i := 0; i < len(tokens); i++ {
		if tokens[i].kw != kwInto {
			continue
		}
		end := s.intoVars(tokens[i+1:])
		if from >= 0 || end == 0 {
			return false // a second one, or INTO something else
		}
		from, to = tokens[i].start, end
	}
	if from < 0 {
		return false
	}
	s.blank(Span{from, to})
	return true
}

// blank makes spaces of a part of the text.
func (s *Statement) blank(sp Span) {
	s.hidden = s.Text[:sp.Start] + strings.Repeat(" ", sp.End-sp.Start) + s.Text[sp.End:]
}

// intoVars reads the variables behind INTO and returns where they end, 0 if
// there is none.
func (s *Statement) intoVars(tokens []outlineToken) (end int) {
	for i := 0; i < len(tokens); i += 2 {
		name, ok := userVar(s.Text[tokens[i].start:tokens[i].end])
		if tokens[i].kind != tokenVar || !ok {
			return 0
		}
		s.into = append(s.into, name)
		end = tokens[i].end
		if i+1 == len(tokens) || s.Text[tokens[i+1].start] != ',' {
			return end
		}
	}
	return 0
}

// userVar is the name of @x, @'x' or @`x`; not ok for others and for names with
// quotes to undo.
func userVar(text string) (name string, ok bool) {
	name = strings.TrimPrefix(text, "@")
	if len(name) > 1 && strings.ContainsRune("'\"`", rune(name[0])) {
		name = name[1 : len(name)-1]
	}
	return strings.ToLower(name), name != "" && !strings.ContainsAny(name, "@'\"`\\")
}
