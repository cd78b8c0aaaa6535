package parser

import "strings"

// routineState follows BEGIN … END in the definition of a stored routine, so
// that the semicolons within do not end the statement.
type routineState struct {
	words int
	// found: it defines a routine.
	found bool
	depth int
	// closing: the word that follows belongs to an END.
	closing bool
}

// routineWithin: behind how many words of CREATE the kind of object stands at
// the latest (OR REPLACE DEFINER = u @ h …).
const routineWithin = 16

// routineWord takes a word of a statement that is neither query nor change.
func (l *Lexer) routineWord(t token, kw keyword) {
	r := &l.routine
	if r.words++; !r.found {
		if r.words > routineWithin || l.fp.Verb != "CREATE" && l.fp.Verb != "ALTER" {
			return
		}
		switch strings.ToUpper(string(l.sql[t.start:t.end])) {
		case "FUNCTION", "PROCEDURE", "TRIGGER", "EVENT", "PACKAGE":
			r.found = true
		}
		return
	}
	closing := r.closing
	r.closing = false
	switch {
	case closing || l.isDotted():
	case kw == kwBegin || kw == kwCase && r.depth > 0:
		r.depth++
	case r.depth > 0 && hasFold(l.sql[t.start:t.end], "end") && t.end-t.start == len("end"):
		r.closing = true
		switch word := nextWord(l.sql[t.end:]); word {
		case "IF", "LOOP", "WHILE", "REPEAT", "FOR":
		default:
			r.depth--
			r.closing = word == "CASE"
		}
	}
	l.body = r.depth > 0
}

// nextWord is the word text begins with, in upper case, behind white space.
func nextWord(text []byte) string {
	rest := strings.TrimLeft(string(text[:min(len(text), 64)]), " \t\r\n")
	end := strings.IndexFunc(rest, func(c rune) bool { return c < 'A' || c > 'z' || c > 'Z' && c < 'a' })
	if end < 0 {
		end = len(rest)
	}
	return strings.ToUpper(rest[:end])
}
