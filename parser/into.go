package parser

import "strings"

// read is the text as TiDB's parser has read it; its offsets are those of Text.
func (s *Statement) read() string {
	if s.hidden != "" {
		return s.hidden
	}
	return s.Text
}

// hideInto finds the one INTO @x, @y of a query. Its place does not matter to
// what else the query means.
func (s *Statement) hideInto() bool {
	s.hidden, s.into = "", nil
	switch s.Verb {
	case "SELECT", "WITH", "(":
	default:
		return false
	}
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
	s.hidden = s.Text[:from] + strings.Repeat(" ", to-from) + s.Text[to:]
	return true
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
