package parser

import "strings"

// ExplainRoute recognises EXPLAIN FORMAT='route' <statement>, Serval's own,
// and gives the statement. sql is one statement or more; what follows is the
// rest of it.
func ExplainRoute(sql []byte, mode Mode) (statement []byte, ok bool) {
	sc := scanner{sql: sql, mode: mode}
	for _, want := range [...]string{"EXPLAIN", "FORMAT", "=", "ROUTE"} {
		t, err := sc.next()
		if err != nil || t.kind == tokenEnd {
			return nil, false
		}
		word := strings.Trim(string(sql[t.start:min(t.end, t.start+16)]), "'\"`")
		if !strings.EqualFold(word, want) && !(want == "EXPLAIN" && isDescribe(word)) {
			return nil, false
		}
	}
	return sql[sc.pos:], true
}

func isDescribe(word string) bool {
	return strings.EqualFold(word, "DESC") || strings.EqualFold(word, "DESCRIBE")
}
