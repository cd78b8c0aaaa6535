package reshard

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/servaldb/serval/internal/sqlval"
)

// valueKind is how a column's values are read and written so that they stay what
// they are.
type valueKind uint8

const (
	// plainNumber: the server's text is a literal.
	plainNumber valueKind = iota
	// doubleNumber: text with an exponent, so that it is not taken for a decimal.
	doubleNumber
	// quotedText: in quotes (times, UUIDs, addresses).
	quotedText
	// characters: bytes of a character set.
	characters
	// rawBytes: bytes of none.
	rawBytes
)

// column is one column as a server defines it.
type column struct {
	name, dataType, sqlType string
	charset, collation      string
	generated, unsigned     bool
	nullable                bool
	kind                    valueKind
}

// exactKinds says for each data type how its values stay what they are.
var exactKinds = map[string]valueKind{
	"tinyint": plainNumber, "smallint": plainNumber, "mediumint": plainNumber, "int": plainNumber, "bigint": plainNumber,
	"decimal": plainNumber, "bit": plainNumber, "enum": plainNumber, "set": plainNumber, "year": plainNumber,
	"float": doubleNumber, "double": doubleNumber,
	"date": quotedText, "datetime": quotedText, "timestamp": quotedText, "time": quotedText,
	"uuid": quotedText, "inet4": quotedText, "inet6": quotedText,
	"char": characters, "varchar": characters, "tinytext": characters, "text": characters, "mediumtext": characters, "longtext": characters,
	"json":   characters,
	"binary": rawBytes, "varbinary": rawBytes, "tinyblob": rawBytes, "blob": rawBytes, "mediumblob": rawBytes, "longblob": rawBytes,
	"geometry": rawBytes, "point": rawBytes, "linestring": rawBytes, "polygon": rawBytes, "multipoint": rawBytes,
	"multilinestring": rawBytes, "multipolygon": rawBytes, "geometrycollection": rawBytes, "geomcollection": rawBytes, "vector": rawBytes,
}

// classify finds the column's kind by its type; the error names a type that is
// not known.
func (c *column) classify() error {
	kind, ok := exactKinds[c.dataType]
	if !ok {
		return fmt.Errorf("column %s is of type %s, which Serval does not know how to copy exactly", c.name, c.sqlType)
	}
	if strings.HasSuffix(c.sqlType, " compressed*/") { // text /*m!100301 compressed*/
		return fmt.Errorf("column %s is COMPRESSED, and rows with such columns cannot be read from a binlog", c.name)
	}
	c.kind = kind
	switch {
	case c.dataType == "json":
		c.charset = "utf8mb4"
	case kind == characters && (c.charset == "" || c.charset == "binary"):
		c.kind = rawBytes
	}
	c.unsigned = strings.Contains(c.sqlType, "unsigned")
	return nil
}

// readExpr is what is selected to have the value whole. Of a FLOAT the text has
// not all digits, and adding 0 would lose the sign of a negative zero.
func (c *column) readExpr() string {
	name := sqlval.QuoteName(c.name)
	switch c.dataType {
	case "float":
		return name + " * 1e0"
	case "bit", "enum", "set":
		return "CAST(" + name + " AS UNSIGNED)"
	case "json":
		return jsonRead(name)
	}
	return name
}

// appendLiteral appends a value that readExpr gave as SQL; nil is NULL. It is read
// with character_set_client utf8mb4 and backslash escapes.
func (c *column) appendLiteral(dst, v []byte) []byte {
	if v == nil {
		return append(dst, "NULL"...)
	}
	switch c.kind {
	case plainNumber:
		return append(dst, v...)
	case doubleNumber:
		dst = append(dst, v...)
		if !bytes.ContainsAny(v, "eE") {
			dst = append(dst, "e0"...)
		}
		return dst
	case quotedText:
		return sqlval.Value{Kind: sqlval.String, Text: v}.AppendSQL(dst, false)
	case characters:
		return c.appendCharacters(dst, v)
	case rawBytes:
	}
	return appendBytes(dst, v)
}

func (c *column) appendCharacters(dst, v []byte) []byte {
	dst = append(append(dst, '_'), c.charset...)
	switch c.charset {
	case "utf8mb4", "utf8mb3", "utf8":
		if utf8.Valid(v) {
			return sqlval.Value{Kind: sqlval.String, Text: v}.AppendSQL(dst, false)
		}
	case "ucs2", "utf16", "utf16le", "utf32":
	default:
		if isASCII(v) {
			return sqlval.Value{Kind: sqlval.String, Text: v}.AppendSQL(dst, false)
		}
	}
	return appendHex(append(dst, ' '), v)
}

// appendBytes appends a binary string: as text where it is half as long.
func appendBytes(dst, v []byte) []byte {
	if len(v) > 0 && isASCII(v) {
		return sqlval.Value{Kind: sqlval.String, Text: v}.AppendSQL(append(dst, "_binary"...), false)
	}
	return appendHex(dst, v)
}

func appendHex(dst, v []byte) []byte {
	return sqlval.Value{Kind: sqlval.Binary, Text: v}.AppendSQL(dst, false)
}

// appendKey appends a key column's value as SQL in which there is no comma but
// between values, so that a key of several columns can be taken apart again.
func (c *column) appendKey(dst, v []byte) []byte {
	switch c.kind {
	case characters:
		return appendHex(append(append(append(dst, '_'), c.charset...), ' '), v)
	case rawBytes:
		return appendHex(dst, v)
	case plainNumber, doubleNumber, quotedText:
	}
	return c.appendLiteral(dst, v)
}

// followable: values of the column can be read from a binlog and looked for again.
func (c *column) followable() error {
	switch c.dataType {
	case "float", "double":
		return fmt.Errorf("its primary key has the column %s of type %s, whose values are not found again by value", c.name, c.sqlType)
	case "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob":
		return fmt.Errorf("its primary key has only the beginning of the column %s of type %s", c.name, c.sqlType)
	case "uuid", "inet4", "inet6", "json", "vector":
		return fmt.Errorf("its primary key has the column %s of type %s, whose values Serval cannot read from the binlog", c.name, c.sqlType)
	}
	return nil
}

// checksumExpr is text that is the same for the same value, and for no other, on
// every server; NULL for NULL. Long values are a checksum of their own.
func (c *column) checksumExpr() string {
	name := sqlval.QuoteName(c.name)
	switch c.dataType {
	case "float", "double":
		return name + " * 1e0"
	case "bit", "enum", "set":
		return "CAST(" + name + " AS UNSIGNED)"
	case "json":
		return sha2(jsonRead(name))
	}
	switch {
	case strings.HasSuffix(c.dataType, "text"), strings.HasSuffix(c.dataType, "blob"):
		return sha2(name)
	case c.kind == rawBytes && !strings.HasSuffix(c.dataType, "binary"):
		return sha2("HEX(" + name + ")")
	case c.kind == characters, c.kind == rawBytes:
		return "HEX(" + name + ")"
	}
	return name
}

// sha2 is what MySQL 9 (which has no MD5 any more) and MariaDB compute alike. CRC32
// would not do: of exchanged values its sum is the same.
func sha2(expr string) string { return "SHA2(" + expr + ", 256)" }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func parseInt(b []byte) int64 {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func parseUint(b []byte) uint64 {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
