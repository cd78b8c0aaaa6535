package merge

import (
	"fmt"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// agree says how the columns of one shard's answer differ from another's, in
// what rows are read and shown by; empty if they don't. same says which types
// are none.
func agree(a, b []wire.Column, same func(x, y *wire.Column) bool) string {
	if len(a) != len(b) {
		return fmt.Sprintf("one has %d columns, another %d", len(a), len(b))
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if !same(x, y) || x.Unsigned() != y.Unsigned() || isBinary(x) != isBinary(y) {
			return fmt.Sprintf("column %s is %s in one, %s in another", x.Name, typeName(x), typeName(y))
		}
		if fixedScale(x.Type) && x.Decimals != y.Decimals {
			return fmt.Sprintf("column %s has %d decimals in one, %d in another", x.Name, x.Decimals, y.Decimals)
		}
	}
	return ""
}

// isBinary: text is only told from bytes. Which collation of the result's
// character set a server names differs between MySQL and MariaDB.
func isBinary(c *wire.Column) bool { return c.Charset == wire.CollationBinary }

func fixedScale(typ byte) bool {
	switch typ {
	case wire.TypeDecimal, wire.TypeNewDecimal, wire.TypeDateTime, wire.TypeTimestamp, wire.TypeTime:
		return true
	}
	return false
}

func shardsAgree(a, b []wire.Column) error {
	if diff := agree(a, b, alike); diff != "" {
		return sqlerr.New(sqlerr.UnknownError, "the shards' answers differ: %s; their tables have drifted apart, "+
			"`serval check --live` shows where", diff)
	}
	return nil
}

func armsAgree(a, b []wire.Column) error {
	if diff := agree(a, b, func(x, y *wire.Column) bool { return x.Type == y.Type }); diff != "" {
		return sqlerr.Refuse("this UNION ALL", "its parts are answered by different shards and their columns differ: "+diff,
			"CAST the columns of both parts to one type")
	}
	return nil
}

var typeNames = map[byte]string{
	wire.TypeDecimal: "DECIMAL", wire.TypeNewDecimal: "DECIMAL", wire.TypeTiny: "TINYINT", wire.TypeShort: "SMALLINT",
	wire.TypeInt24: "MEDIUMINT", wire.TypeLong: "INT", wire.TypeLongLong: "BIGINT", wire.TypeFloat: "FLOAT",
	wire.TypeDouble: "DOUBLE", wire.TypeNull: "NULL", wire.TypeTimestamp: "TIMESTAMP", wire.TypeDate: "DATE",
	wire.TypeTime: "TIME", wire.TypeDateTime: "DATETIME", wire.TypeYear: "YEAR", wire.TypeBit: "BIT",
	wire.TypeJSON: "JSON", wire.TypeEnum: "ENUM", wire.TypeSet: "SET", wire.TypeGeometry: "GEOMETRY",
	wire.TypeVector: "VECTOR", wire.TypeTinyBlob: "TEXT", wire.TypeBlob: "TEXT", wire.TypeMediumBlob: "TEXT",
	wire.TypeLongBlob: "TEXT", wire.TypeVarchar: "VARCHAR", wire.TypeVarString: "VARCHAR", wire.TypeString: "CHAR",
}

func typeName(c *wire.Column) string {
	name, ok := typeNames[c.Type]
	switch {
	case c.Flags&wire.FlagEnum != 0:
		return "ENUM"
	case c.Flags&wire.FlagSet != 0:
		return "SET"
	case !ok:
		return fmt.Sprintf("type %d", c.Type)
	case name == "TEXT" && c.Charset == wire.CollationBinary:
		return "BLOB"
	case name == "CHAR" && c.Charset == wire.CollationBinary:
		return "BINARY"
	case name == "VARCHAR" && c.Charset == wire.CollationBinary:
		return "VARBINARY"
	case c.Unsigned():
		return name + " UNSIGNED"
	}
	return name
}
