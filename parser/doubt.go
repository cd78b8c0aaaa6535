package parser

import (
	"bytes"
	"strings"
)

// harmlessVersioned are the words a /*! comment may hold without anything of
// what the router decides depending on them.
var harmlessVersioned = map[string]bool{
	"SQL_NO_CACHE": true, "SQL_CACHE": true, "HIGH_PRIORITY": true, "LOW_PRIORITY": true, "DELAYED": true,
	"CONCURRENT": true, "STRAIGHT_JOIN": true, "SQL_BUFFER_RESULT": true, "SQL_BIG_RESULT": true,
	"SQL_SMALL_RESULT": true, "IGNORE": true,
}

// doubt says why servers may read a query otherwise than TiDB's parser did:
// what a /*! comment holds is code to TiDB's parser always, to a server only
// from some version on, and /*M! comments are code to MariaDB alone.
func (s *Statement) doubt() string {
	if s.Flags&HasVersioned == 0 || !isQuery(s.Kind) && s.Kind != KindExplain {
		return ""
	}
	sc := scanner{sql: []byte(s.Text), mode: s.Mode, body: true}
	for {
		t, err := sc.next()
		if err != nil || t.kind == tokenEnd {
			return ""
		}
		if t.kind == tokenVersioned && !harmless(sc.sql[t.start:t.end]) {
			return "servers read the comment " + string(sc.sql[t.start:t.end]) + " each in their own way"
		}
	}
}

func harmless(comment []byte) bool {
	if !bytes.HasPrefix(comment, []byte("/*!")) {
		return false
	}
	body := bytes.TrimLeft(comment[3:len(comment)-2], "0123456789")
	if digits := len(comment) - 5 - len(body); digits != 0 && digits != 5 {
		return false
	}
	for _, word := range strings.Fields(string(body)) {
		if !harmlessVersioned[strings.ToUpper(word)] {
			return false
		}
	}
	return true
}
