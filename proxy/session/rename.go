package session

import (
	"strings"

	"github.com/servaldb/serval/router/plan"
)

// logicalNames undoes physical names in a server's message. A physical name is
// only replaced where it stands as a whole word.
func logicalNames(b *plan.Bound, code uint16, message string) string {
	if b == nil {
		return message
	}
	for _, leaf := range b.Tasks {
		for i := range leaf.Tasks {
			message = renameIn(leaf.Tasks[i].Rename, code, message)
		}
	}
	if b.Finish != nil {
		message = renameIn(b.Finish.Rename, code, message)
	}
	return message
}

func renameIn(r *plan.Rename, code uint16, message string) string {
	if r == nil {
		return message
	}
	if r.Database != "" && r.Database != r.LogicalDatabase {
		message = replaceWord(message, r.Database, r.LogicalDatabase)
	}
	for _, t := range r.Tables {
		if t.Physical != t.Logical {
			message = replaceWord(message, t.Physical, t.Logical)
		}
	}
	return r.Constraints(code, message)
}

func replaceWord(text, from, to string) string {
	if from == "" || !strings.Contains(text, from) {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(text, from)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(from)
		whole := (i == 0 || !wordByte(text[i-1])) && (end == len(text) || !wordByte(text[end]))
		b.WriteString(text[:i])
		if whole {
			b.WriteString(to)
		} else {
			b.WriteString(from)
		}
		text = text[end:]
	}
}
