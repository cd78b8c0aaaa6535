package parser

import (
	"slices"
	"strings"
)

// definitions reads the list behind the one WITH of a text that begins with it.
func (k *sketcher) definitions() {
	if k.c.word(0) != "WITH" || !k.sure {
		return
	}
	for i := range k.c.tokens {
		if i > 0 && k.c.tokens[i].kw == kwWith && k.c.word(i+1) != "ROLLUP" {
			return
		}
	}
	i := 1
	if k.c.word(i) == "RECURSIVE" {
		k.out.Recursive = true
		i++
	}
	var all []Definition
	for {
		if _, ok := k.c.name(i); !ok {
			return
		}
		d := Definition{Name: Span{k.c.tokens[i].start, k.c.tokens[i].end}}
		if i++; k.opens(i) {
			i = k.closes(i) + 1
		}
		if k.c.word(i) != "AS" || !k.opens(i+1) {
			return
		}
		end := k.closes(i + 1)
		if end == len(k.c.tokens) {
			return
		}
		d.Body = Span{k.c.tokens[i+1].start, k.c.tokens[end].end}
		d.Chooses = k.chooses(i+2, end) && !k.ofOneTable(d.Body, i+2, end)
		d.Whole = k.whole(i+2, end)
		d.Span = Span{d.Name.Start, d.Body.End}
		all = append(all, d)
		if i = end + 1; i >= len(k.c.tokens) || k.c.sql[k.c.tokens[i].start] != ',' {
			break
		}
		i++
	}
	k.out.Definitions = all
}

// closes is the parenthesis that closes the one at i; behind the last token
// where there is none.
func (k *sketcher) closes(i int) int {
	depth := 0
	for ; i < len(k.c.tokens); i++ {
		if k.c.tokens[i].kind != tokenPunct {
			continue
		}
		switch k.c.sql[k.c.tokens[i].start] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// bySequence are the window functions that tell apart rows that are equal in the
// window's order.
var bySequence = map[string]bool{
	"ROW_NUMBER": true, "NTILE": true, "LAG": true, "LEAD": true, "FIRST_VALUE": true, "LAST_VALUE": true, "NTH_VALUE": true,
}

// chooses: the tokens have what depends on the order of rows, those of one table
// gone through twice in the same way included.
func (k *sketcher) chooses(from, to int) bool {
	for i := from; i < to; i++ {
		switch word := k.c.word(i); {
		case word == "LIMIT" || word == "FETCH" || word == "ROWS":
			return true
		case bySequence[word] && k.opens(i+1):
			return true
		}
	}
	return false
}

// aggregates are the functions that make one row of many.
var aggregates = map[string]bool{
	"COUNT": true, "SUM": true, "AVG": true, "MIN": true, "MAX": true, "BIT_AND": true, "BIT_OR": true, "BIT_XOR": true, "GROUP_CONCAT": true,
	"JSON_ARRAYAGG": true, "JSON_OBJECTAGG": true, "STD": true, "STDDEV": true, "STDDEV_POP": true, "STDDEV_SAMP": true,
	"VAR_POP": true, "VAR_SAMP": true, "VARIANCE": true,
}

// whole: the tokens are a query's that is not merged into another one. Queries
// within it do not count.
func (k *sketcher) whole(from, to int) bool {
	for i := from; i < to; i++ {
		switch word := k.c.word(i); {
		case k.opens(i) && i+1 < to:
			if next := k.c.word(i + 1); next == "SELECT" || next == "WITH" || next == "TABLE" || next == "VALUES" {
				i = k.closes(i)
			}
		case aggregates[word] && k.opens(i+1):
			return true
		case word == "UNION" || word == "EXCEPT" || word == "INTERSECT" || word == "DISTINCT" || word == "GROUP" || word == "HAVING" ||
			word == "LIMIT" || word == "FETCH" || word == "OVER" || word == "WINDOW":
			return true
		}
	}
	return false
}

// ofOneTable: the rows of the body are those of one table that is no CTE.
func (k *sketcher) ofOneTable(body Span, from, to int) bool {
	n := 0
	for _, r := range k.out.References {
		if r.Start < body.Start || r.End > body.End {
			continue
		}
		if n++; !r.Certain || slices.Contains(k.out.CTEs, strings.ToLower(r.Name.Table)) {
			return false
		}
	}
	for i := from; i < to; i++ {
		switch k.c.word(i) {
		case "JOIN", "STRAIGHT_JOIN", "JSON_TABLE", "VALUES", "LATERAL", "UNION", "EXCEPT", "INTERSECT":
			return false
		}
	}
	return n == 1
}
