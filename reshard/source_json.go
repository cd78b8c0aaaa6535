package reshard

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
)

// A JSON value of MySQL has members that its text does not tell apart: a DECIMAL and
// a DOUBLE, an unsigned and a signed number, a DATETIME and a string. So it is
// read with the types of all its members, where one is not what its text would
// become, and written as an expression that gives just these.

// jsonTypes are the types of a value and of all within it as SQL: first its own, then
// those of all arrays' cells, then those of all objects' members, each from the
// outside in. NULL where the text says it all.
func jsonTypes(name string) string {
	return "(SELECT IF(MAX(JSON_TYPE(v) NOT IN ('OBJECT', 'ARRAY', 'STRING', 'INTEGER', 'DOUBLE', 'BOOLEAN', 'NULL')), JSON_ARRAYAGG(JSON_TYPE(v)), NULL)" +
		" FROM JSON_TABLE(JSON_EXTRACT(" + name + ", '$', '$**[*]', '$**.*'), '$[*]' COLUMNS (v JSON PATH '$')) AS serval_json)"
}

// jsonRead is the types, if any, a new line, which is in no JSON text, and the text.
func jsonRead(name string) string {
	return "CONCAT(IFNULL(" + jsonTypes(name) + ", ''), '\\n', " + name + ")"
}

// jsonNode is a value and what is in it.
type jsonNode struct {
	// kind is { [ " 0 t or n, text a string's or number's.
	kind byte
	text string
	typ  string
	keys []string
	kids []*jsonNode
}

var errJSON = errors.New("the server's JSON and the types it tells do not go together")

// appendJSON appends a value that jsonRead gave as SQL.
func appendJSON(dst, v []byte) ([]byte, error) {
	types, text, ok := bytes.Cut(v, []byte("\n"))
	if !ok {
		return dst, errJSON
	}
	if len(types) == 0 {
		return sqlval.Value{Kind: sqlval.String, Text: text}.AppendSQL(append(dst, "_utf8mb4"...), false), nil
	}
	var names []string
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	root, err := readJSON(d)
	if err == nil {
		err = json.Unmarshal(types, &names)
	}
	if err != nil {
		return dst, fmt.Errorf("%w: %w", errJSON, err)
	}
	take := typeTaker{names}
	take.one(root)
	take.within(root, '[')
	take.within(root, '{')
	if len(take.names) != 0 {
		return dst, errJSON
	}
	if len(root.kids) > 0 {
		return root.appendSQL(dst)
	}
	dst, err = root.appendSQL(append(dst, "JSON_EXTRACT(JSON_ARRAY("...))
	return append(dst, "), '$[0]')"...), err
}

func readJSON(d *json.Decoder) (*jsonNode, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		n := &jsonNode{kind: byte(t)}
		for d.More() {
			if n.kind == '{' {
				key, err := d.Token()
				if err != nil {
					return nil, err
				}
				n.keys = append(n.keys, key.(string)) // nothing else is a key
			}
			kid, err := readJSON(d)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, kid)
		}
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	case string:
		return &jsonNode{kind: '"', text: t}, nil
	case json.Number:
		return &jsonNode{kind: '0', text: t.String()}, nil
	case bool:
		return &jsonNode{kind: 't', text: strconv.FormatBool(t)}, nil
	}
	return &jsonNode{kind: 'n', text: "NULL"}, nil
}

// typeTaker gives types to nodes in the order of jsonTypes; one that is left over or
// missing shows at the end.
type typeTaker struct{ names []string }

func (t *typeTaker) one(n *jsonNode) {
	if len(t.names) > 0 {
		n.typ, t.names = t.names[0], t.names[1:]
	}
}

func (t *typeTaker) within(n *jsonNode, of byte) {
	if n.kind == of {
		for _, kid := range n.kids {
			t.one(kid)
		}
	}
	for _, kid := range n.kids {
		t.within(kid, of)
	}
}

// appendSQL appends an expression that gives the value as an argument of JSON_ARRAY.
func (n *jsonNode) appendSQL(dst []byte) ([]byte, error) {
	switch string(n.kind) + n.typ {
	case "{OBJECT", "[ARRAY":
		return n.appendKids(dst)
	case `"STRING`:
		return appendUTF8(dst, n.text), nil
	case "0INTEGER", "tBOOLEAN", "n", "nNULL":
		return append(dst, n.text...), nil
	case "0DOUBLE":
		dst = append(dst, n.text...)
		if !strings.ContainsAny(n.text, "eE") {
			dst = append(dst, "e0"...)
		}
		return dst, nil
	case "0UNSIGNED INTEGER":
		return append(dst, "CAST("+n.text+" AS UNSIGNED)"...), nil
	case "0DECIMAL":
		if !strings.Contains(n.text, ".") {
			return append(dst, "CAST("+n.text+" AS DECIMAL(65,0))"...), nil
		}
		return append(dst, n.text...), nil
	case `"DATE`, `"TIME`, `"DATETIME`:
		as := n.typ
		if as != "DATE" {
			as += "(6)"
		}
		return append(append(append(dst, "CAST("...), quote(n.text)...), " AS "+as+")"...), nil
	case `"TIMESTAMP`: // no CAST gives one
		return append(dst, "(SELECT v FROM JSON_TABLE("+quote(`["`+n.text+`"]`)+", '$[*]' COLUMNS (v TIMESTAMP(6) PATH '$' ERROR ON ERROR)) AS serval_json)"...), nil
	case `"BLOB`:
		return n.appendBytes(dst)
	}
	return dst, fmt.Errorf("a JSON value has a member of type %q (%s), which Serval does not know how to copy exactly", n.typ, clip(n.text, 40))
}

func (n *jsonNode) appendKids(dst []byte) ([]byte, error) {
	dst = append(dst, map[byte]string{'{': "JSON_OBJECT(", '[': "JSON_ARRAY("}[n.kind]...)
	for i, kid := range n.kids {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if n.kind == '{' {
			dst = append(appendUTF8(dst, n.keys[i]), ", "...)
		}
		var err error
		if dst, err = kid.appendSQL(dst); err != nil {
			return dst, err
		}
	}
	return append(dst, ')'), nil
}

func appendUTF8(dst []byte, text string) []byte {
	return sqlval.Value{Kind: sqlval.String, Text: []byte(text)}.AppendSQL(append(dst, "_utf8mb4"...), false)
}

// Types of binary strings, as the text of one says them, and how long one is at least.
const (
	typeVarbinary            = "15"
	typeMediumBlob, fromHere = "250", 1 << 16
	typeLongBlob, fromThere  = "251", 1 << 24
)

// appendBytes: of the types of binary strings an expression has the one of its length.
func (n *jsonNode) appendBytes(dst []byte) ([]byte, error) {
	_, rest, _ := strings.Cut(n.text, "base64:type")
	typ, data, ok := strings.Cut(rest, ":")
	v, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(data, "\n", ""))
	if !ok || err != nil {
		return dst, errJSON
	}
	switch {
	case typ == typeVarbinary && len(v) < fromHere:
		return appendHex(dst, v), nil
	case typ == typeMediumBlob && len(v) >= fromHere && len(v) < fromThere, typ == typeLongBlob && len(v) >= fromThere:
		return append(appendHex(append(dst, "CAST("...), v), " AS BINARY("+strconv.Itoa(len(v))+"))"...), nil
	}
	return dst, fmt.Errorf("a JSON value has a BLOB, BINARY or BIT column's value in it (MySQL's type %s), which Serval does not know how to copy exactly", typ)
}
