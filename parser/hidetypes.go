package parser

import "strings"

// standIn is the type that stands in the tree for one TiDB's parser does not
// know: of the same or fewer letters as all of them, and no key for a rule.
const standIn = "JSON"

// unknownType reports MySQL's and MariaDB's types that TiDB's parser does not
// know (MySQL manual, "Spatial Data Types"; MariaDB: "UUID", "INET4", "INET6").
func unknownType(word string) bool {
	switch strings.ToUpper(word) {
	case "GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON",
		"GEOMETRYCOLLECTION", "GEOMCOLLECTION", "UUID", "INET4", "INET6":
		return true
	}
	return false
}

// hideTypes puts standIn in the place of types of columns that TiDB's parser
// does not know, and takes out what belongs to them alone: SRID, REF_SYSTEM_ID
// and the SPATIAL of an index. Offsets stay.
func (s *Statement) hideTypes() bool {
	o, err := newOutline(s.Text, s.Mode)
	if err != nil {
		return false
	}
	hidden := []byte(s.Text)
	put := func(from, to int, word string) {
		copy(hidden[from:to], word+strings.Repeat(" ", to-from-len(word)))
	}
	found := false
	for i := range o.tokens {
		t := o.tokens[i]
		if t.kind != tokenWord {
			continue
		}
		switch word := o.text[t.start:t.end]; {
		case unknownType(word) && i > 0 && o.isName(i-1) && !o.isPunct(i+1, '('):
			put(t.start, t.end, standIn)
		case strings.EqualFold(word, "SPATIAL") && o.isName(i+1):
			put(t.start, t.end, "")
		case strings.EqualFold(word, "SRID") && i+1 < len(o.tokens) && !o.isName(i+1) && !o.isPunct(i+1, ',') && !o.isPunct(i+1, ')'):
			put(t.start, o.tokens[i+1].end, "")
		case strings.EqualFold(word, "REF_SYSTEM_ID") && o.isPunct(i+1, '=') && i+2 < len(o.tokens):
			put(t.start, o.tokens[i+2].end, "")
		default:
			continue
		}
		found = true
	}
	if found {
		s.hidden = string(hidden)
	}
	return found
}
