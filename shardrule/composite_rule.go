package shardrule

import (
	"slices"
	"strconv"
	"strings"
)

// Term is one function of a rule of several: month(paid_at), hash(user_id) x 4,
// or hash(user_id % 64) or hash(order_id % 64).
type Term struct {
	Rule
	// Or: it is another way to say what the term before it says.
	Or bool
}

const (
	// maxTerms bounds the functions of a rule, maxCount the number behind x.
	maxTerms = 8
	maxCount = 1024
)

// Composite reports that the rule is of several functions: its Terms.
func (r Rule) Composite() bool { return len(r.Terms) > 0 }

// Periodic reports that the rule has shards by periods of time.
func (r Rule) Periodic() bool {
	if r.Composite() {
		return r.Terms[0].Periodic()
	}
	return r.Function().Periodic != nil
}

// Inner is how many shards a rule has in each place of its first function: 1
// where it has no other.
func (r Rule) Inner() int {
	n := 1
	for i, t := range r.Terms {
		if i > 0 && !t.Or {
			n *= t.places(r.countOf(i))
		}
	}
	return n
}

// Together is Placement.Together, of the rule's columns.
func (r Rule) Together(has func(column string) bool) bool {
	if !r.Composite() {
		return len(r.Columns) == 1 && has(r.Columns[0])
	}
	found := true
	for _, t := range r.Terms {
		switch {
		case t.Or:
			found = found || has(t.Columns[0])
		case !found:
			return false
		default:
			found = has(t.Columns[0])
		}
	}
	return found
}

// countOf is the number that stands behind the last of the terms that may stand
// for term i.
func (r Rule) countOf(i int) int {
	for i+1 < len(r.Terms) && r.Terms[i+1].Or {
		i++
	}
	return r.Terms[i].Count
}

// places is how many places the term's function has, 0 where its parameters are
// wrong.
func (r Rule) places(count int) int {
	a, err := r.Algorithm(count, Periods{})
	if err != nil {
		return 0
	}
	return a.Shards()
}

// WithCount is the rule with the number of shards: for the one function that
// takes a number and has none. It reports false where that is not one.
func (r Rule) WithCount(n int) (Rule, bool) {
	if !r.Composite() {
		counted := r.Function().Counted != nil && r.Count == 0
		r.Count = n
		return r, counted
	}
	r.Terms = slices.Clone(r.Terms)
	open := 0
	for i := range r.Terms {
		if last := i+1 == len(r.Terms) || !r.Terms[i+1].Or; last && r.Terms[i].Function().Counted != nil && r.Terms[i].Count == 0 {
			r.Terms[i].Count = n
			open++
		}
	}
	return r, open == 1
}

// Parts makes the parts of a rule of several functions, over periods where the
// first is one of time; their columns have a name only. The error is a
// *RuleError.
func (r Rule) Parts(over Periods) ([]Part, error) {
	parts := make([]Part, len(r.Terms))
	stride := 1
	for i := len(r.Terms) - 1; i >= 0; i-- {
		t := r.Terms[i]
		count := r.countOf(i)
		if t.Function().Counted != nil && count == 0 {
			return nil, paramError("", "write how many shards behind it: "+t.Name+"("+t.Columns[0]+") x 4", "%s does not say how many shards", t.Name)
		}
		a, err := t.Algorithm(count, over)
		if err != nil {
			return nil, err
		}
		parts[i] = Part{Column: Column{Name: t.Columns[0]}, Algorithm: a, Stride: stride, Or: t.Or}
		if i+1 < len(r.Terms) && r.Terms[i+1].Or && a.Shards() != parts[i+1].Algorithm.Shards() {
			return nil, paramError("", "what stands on both sides of or must have as many shards", "%s has %d shards and %s %d", t.Name, a.Shards(), r.Terms[i+1].Name, parts[i+1].Algorithm.Shards())
		}
		if !t.Or {
			stride *= a.Shards()
		}
	}
	return parts, nil
}

// parseTerms reads a rule of several functions.
func parseTerms(texts []termText, near func(string, []string) string) (Rule, error) {
	if len(texts) > maxTerms {
		return Rule{}, paramError("", "name at most "+strconv.Itoa(maxTerms), "shard has %d functions", len(texts))
	}
	var r Rule
	for i, text := range texts {
		one, err := parseOne(text.text, near)
		if err != nil {
			return Rule{}, err
		}
		f := one.Function()
		switch own := slices.Contains(FunctionNames(), f.Name); {
		case !own:
			return Rule{}, paramError("", "use one of "+strings.Join(FunctionNames(), ", "), "%s cannot be one of several functions", f.Name)
		case f.Periodic != nil && i > 0:
			return Rule{}, paramError("", "write it first, and only one of them", "%s is a function of time and stands behind another", f.Name)
		case text.or && r.Terms[i-1].Periodic():
			return Rule{}, paramError("", "give the table one column of time", "%s is a function of time, and nothing may stand for it", r.Terms[i-1].Name)
		case text.count > 0 && i+1 < len(texts) && texts[i+1].or:
			return Rule{}, paramError("", "write it once, behind the last of them", "x %d stands before or", text.count)
		case text.count > 0 && f.Counted == nil:
			return Rule{}, paramError("", "leave x "+strconv.Itoa(text.count)+" out", "%s says itself how many shards it has", f.Name)
		}
		one.Count = text.count
		r.Name += pick(i == 0, "", pick(text.or, " or ", ", ")) + f.Name
		r.Columns = append(r.Columns, one.Columns...)
		r.Terms = append(r.Terms, Term{Rule: one, Or: text.or})
	}
	return r, nil
}

// termText is one function of several as it is written.
type termText struct {
	text  string
	or    bool
	count int
}

// splitTerms cuts the text of shard: at commas and the word or outside of
// parentheses, and takes x 4 off each part.
func splitTerms(text string) ([]termText, error) {
	var out []termText
	from, or := 0, false
	end := func(to, next int, nextOr bool) error {
		t, err := cutCount(strings.TrimSpace(text[from:to]))
		t.or = or
		out = append(out, t)
		from, or = next, nextOr
		return err
	}
	var failed error
	eachTop(text, func(i int, b byte, depth int) bool {
		switch {
		case depth != 0 || i < from:
		case b == ',':
			failed = end(i, i+1, false)
		case isWord(text, i, "or"):
			failed = end(i, i+len("or"), true)
		}
		return failed == nil
	})
	if failed != nil {
		return nil, failed
	}
	return out, end(len(text), len(text), false)
}

// isWord: the word stands at i, with no letters around it.
func isWord(text string, i int, word string) bool {
	end := i + len(word)
	return end <= len(text) && strings.EqualFold(text[i:end], word) && (i == 0 || !isNameByte(text[i-1])) && (end == len(text) || !isNameByte(text[end]))
}

// cutCount takes x 4 off the end.
func cutCount(text string) (termText, error) {
	call, tail, ok := cutLast(text)
	if !ok || tail == "" {
		return termText{text: text}, nil
	}
	word, number, _ := strings.Cut(tail, " ")
	if digits, ok := strings.CutPrefix(strings.ToLower(word), "x"); ok && number == "" {
		word, number = "x", digits // x4
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if !strings.EqualFold(word, "x") {
		return termText{text: text}, nil // what is wrong is said of the whole
	}
	if err != nil || n < 1 || n > maxCount {
		return termText{}, paramError("", "write x and a number from 1 to "+strconv.Itoa(maxCount), "%s is no number of shards", tail)
	}
	return termText{text: call, count: n}, nil
}

// cutLast cuts behind the last parenthesis.
func cutLast(text string) (call, tail string, ok bool) {
	at := strings.LastIndexByte(text, ')')
	if at < 0 {
		return text, "", false
	}
	return text[:at+1], strings.TrimSpace(text[at+1:]), true
}
