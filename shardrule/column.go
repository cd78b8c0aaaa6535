package shardrule

import (
	"fmt"
	"strconv"
	"strings"
)

// ColumnInfo is one row of information_schema.COLUMNS, as text; a NULL is
// empty. Collations that pad are filled in by the caller (PadSpace, PadWeight).
type ColumnInfo struct {
	Name              string // COLUMN_NAME
	DataType          string // DATA_TYPE
	ColumnType        string // COLUMN_TYPE
	CharLength        string // CHARACTER_MAXIMUM_LENGTH
	NumericScale      string // NUMERIC_SCALE
	NumericPrecision  string // NUMERIC_PRECISION
	DatetimePrecision string // DATETIME_PRECISION
	Collation         string // COLLATION_NAME
	Nullable          string // IS_NULLABLE
}

var intBits = map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}

// ColumnFrom makes a Column of what the server says about it. A type no
// algorithm takes is TypeOther.
func ColumnFrom(i ColumnInfo) Column {
	c := Column{Name: i.Name, SQLType: i.ColumnType, Nullable: i.Nullable == "YES", Collation: i.Collation}
	c.Unsigned = strings.Contains(i.ColumnType, "unsigned")
	switch t := strings.ToLower(i.DataType); t {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		c.Type, c.Bits = TypeInt, intBits[t]
	case "decimal":
		c.Type, c.Scale, c.Length = TypeDecimal, number(i.NumericScale), number(i.NumericPrecision)
	case "char", "varchar":
		c.Type, c.Length, c.Fixed = TypeText, number(i.CharLength), t == "char"
	case "tinytext", "text", "mediumtext", "longtext":
		c.Type, c.Length, c.Bytes = TypeText, number(i.CharLength), true
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		c.Type, c.Length, c.Fixed = TypeBinary, number(i.CharLength), t == "binary"
	case "date":
		c.Type = TypeDate
	case "datetime":
		c.Type, c.Scale = TypeDatetime, number(i.DatetimePrecision)
	case "timestamp":
		c.Type, c.Scale = TypeTimestamp, number(i.DatetimePrecision)
	}
	if c.Type == TypeText && (c.Collation == "" || c.Collation == "binary") {
		c.Type, c.Collation = TypeBinary, "" // CHAR … CHARACTER SET binary
	}
	return c
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0 // NULL, or LONGTEXT's 4294967295 on 32 bits: no limit known
	}
	return n
}

// Charset is the character set of a collation: what its name begins with.
func Charset(collation string) string {
	cs, _, _ := strings.Cut(collation, "_")
	return cs
}

// WeightExpr is the SQL expression whose value is what Weigher.Weight is to
// answer: the weight string of the text, given as UTF-8, in the collation.
func WeightExpr(collation string, text []byte) string {
	return fmt.Sprintf("WEIGHT_STRING(CONVERT(_utf8mb4 x'%X' USING %s) COLLATE %s)", text, Charset(collation), collation)
}

// KeyExpr is the SQL, over the quoted column, whose bytes are Key.Bytes.
func (c Column) KeyExpr(column string) string {
	switch c.Type {
	case TypeText:
		if c.TextKey != ByWeight {
			return c.charactersExpr(column)
		}
		if !c.PadSpace {
			return "WEIGHT_STRING(" + column + ")"
		}
		weight := "WEIGHT_STRING(RTRIM(" + column + "))"
		if c.PadWeight == "" {
			return weight
		}
		return fmt.Sprintf("TRIM(TRAILING x'%X' FROM %s)", c.PadWeight, weight)
	case TypeInt, TypeDecimal:
		if strings.Contains(strings.ToLower(c.SQLType), "zerofill") {
			return column + " + 0" // else the text has leading zeros
		}
	case TypeBinary, TypeDate, TypeDatetime, TypeTimestamp, TypeOther:
	}
	return column
}

// charactersExpr is KeyExpr of a text that is taken by its characters.
func (c Column) charactersExpr(column string) string {
	if c.PadSpace {
		column = "RTRIM(" + column + ")"
	}
	if c.TextKey == ByCharacters && c.foldsCase() {
		column = "UPPER(" + column + ")"
	}
	return "CAST(CONVERT(" + column + " USING utf8mb4) AS BINARY)"
}

// KeyRead is the key whose KeyExpr a server gave, nil for NULL.
func (c Column) KeyRead(text []byte) Key {
	k := Key{Null: text == nil, Bytes: text}
	if c.Type != TypeInt || k.Null {
		return k
	}
	if d, ok := parseNumber(text); ok {
		if whole, ok := c.intKey(d); ok {
			return whole
		}
	}
	return k
}
