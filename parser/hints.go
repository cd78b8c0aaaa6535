package parser

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Hints are what comments ask of Serval. The zero value asks nothing.
type Hints struct {
	// Target is "primary", "replica" or empty.
	Target string
	// Shard is the shard's number, -1 where none is named; HasShard tells.
	Shard    int
	HasShard bool
	// Cluster is a cluster's name, or empty.
	Cluster string
	// Timeout of the statement, 0 for none.
	Timeout time.Duration
	// NoScatter refuses the statement if it would go to several shards.
	NoScatter bool
	// Consistency is "eventual", "session", "global" or empty.
	Consistency string
	// MycatSQL is the statement of a Mycat sql= hint, by whose route this one
	// is to go; or empty.
	MycatSQL string
}

// servalHint finds SERVAL(…) in an optimizer hint comment and gives its bounds
// within text.
func servalHint(text string) (start, end int, ok bool) {
	upper := strings.ToUpper(text)
	for at := 0; ; {
		i := strings.Index(upper[at:], "SERVAL")
		if i < 0 {
			return 0, 0, false
		}
		i += at
		j := i + len("SERVAL")
		for j < len(text) && text[j] == ' ' {
			j++
		}
		before := i == 0 || charClass[text[i-1]]&charWord == 0
		if before && j < len(text) && text[j] == '(' {
			if n := strings.IndexByte(text[j:], ')'); n >= 0 {
				return i, j + n + 1, true
			}
			return i, len(text) - 2, true
		}
		at = j
	}
}

// stripServal takes SERVAL(…) out of a /*+ comment; nil if nothing is left.
func stripServal(text []byte) []byte {
	start, end, ok := servalHint(string(text))
	if !ok {
		return text
	}
	rest := string(text[:start]) + string(text[end:])
	if strings.TrimSpace(rest[3:len(rest)-2]) == "" {
		return nil
	}
	return []byte(rest)
}

// parseHint reads one hint comment into h.
func (h *Hints) parseHint(text string) error {
	body := strings.TrimSpace(text[2 : len(text)-2])
	switch lower := strings.ToLower(body); {
	case strings.HasPrefix(body, "+"):
		start, end, ok := servalHint(text)
		if !ok {
			return nil // the server's business
		}
		if text[end-1] != ')' {
			return badHint("SERVAL( is never closed")
		}
		inner := text[strings.IndexByte(text[start:], '(')+start+1 : end]
		return h.parseWords(strings.TrimSuffix(inner, ")"))
	case lower == "master":
		return h.target("primary")
	case lower == "slave":
		return h.target("replica")
	default:
		i := strings.Index(lower, "mycat:")
		return h.parseMycat(strings.TrimSpace(body[i+len("mycat:"):]))
	}
}

const hintWords = "primary, replica, shard=N, cluster=NAME, timeout=2s, no_scatter, consistency=eventual|session|global"

func badHint(format string, args ...any) error {
	return sqlerr.New(sqlerr.WrongArguments, "Serval hint: %s", fmt.Sprintf(format, args...))
}

// parseWords reads what stands within SERVAL(…).
func (h *Hints) parseWords(inner string) error {
	words := strings.FieldsFunc(inner, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	if len(words) == 0 {
		return badHint("SERVAL() is empty; it takes %s", hintWords)
	}
	for _, word := range words {
		name, value, has := strings.Cut(word, "=")
		if err := h.parseWord(strings.ToLower(name), value, has); err != nil {
			return err
		}
	}
	return nil
}

func (h *Hints) parseWord(name, value string, has bool) error {
	flag := name == "primary" || name == "replica" || name == "no_scatter"
	valued := name == "shard" || name == "cluster" || name == "timeout" || name == "consistency"
	switch {
	case !flag && !valued:
		return badHint("unknown word %q; known are %s", name, hintWords)
	case flag && has:
		return badHint("%s takes no value", name)
	case valued && value == "":
		return badHint("%s needs a value, as in %s=…", name, name)
	}
	switch name {
	case "primary", "replica":
		return h.target(name)
	case "no_scatter":
		h.NoScatter = true
	case "cluster":
		h.Cluster = value
	case "shard":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return badHint("shard=%s is not a shard's number", value)
		}
		h.Shard, h.HasShard = n, true
	case "timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return badHint("timeout=%s is not a duration such as 2s or 500ms", value)
		}
		h.Timeout = d
	case "consistency":
		switch value = strings.ToLower(value); value {
		case "eventual", "session", "global":
			h.Consistency = value
		default:
			return badHint("consistency=%s; it is eventual, session or global", value)
		}
	}
	return nil
}

func (h *Hints) target(name string) error {
	if h.Target != "" && h.Target != name {
		return badHint("both primary and replica are asked for")
	}
	h.Target = name
	return nil
}

// parseMycat reads what follows mycat:.
func (h *Hints) parseMycat(body string) error {
	name, value, has := strings.Cut(body, "=")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	switch {
	case name == "db_type" && strings.EqualFold(value, "master"):
		return h.target("primary")
	case name == "db_type" && strings.EqualFold(value, "slave"):
		return h.target("replica")
	case name == "db_type":
		return badHint("mycat: db_type=%s; it is master or slave", value)
	case name == "sql" && has && value != "":
		h.MycatSQL = value
		return nil
	case name == "datanode" || name == "schema" || name == "catlet":
		return sqlerr.Refuse("the hint mycat:"+name, "Serval has no such notion", "use /*+ SERVAL(shard=N) */")
	}
	return badHint("unknown mycat hint %q; known are db_type=master|slave and sql=…", body)
}
