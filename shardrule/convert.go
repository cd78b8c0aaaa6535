package shardrule

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/sqlval"
)

// Codes of servers' own errors for values that do not fit.
const (
	codeOutOfRange = 1264 // ER_WARN_DATA_OUT_OF_RANGE
	codeTruncated  = 1265 // WARN_DATA_TRUNCATED
	codeWrongTime  = 1292 // ER_TRUNCATED_WRONG_VALUE
	codeTooLong    = 1406 // ER_DATA_TOO_LONG
)

// KeyToCompare converts v as MySQL does to evaluate "column = v". It never
// guesses: what is not certain is MatchUnknown. The error is *WeightNeeded or
// nil. Text in v is in the connection's character set, which the Weigher knows;
// here only ASCII and UTF-8 are told apart from the rest.
func (c Column) KeyToCompare(v sqlval.Value, w Weigher) (Key, Match, error) {
	if v.Kind == sqlval.Null {
		return Key{}, MatchNone, nil
	}
	switch c.Type {
	case TypeInt:
		k, m := c.compareInt(v)
		return k, m, nil
	case TypeDecimal:
		k, m := c.compareDecimal(v)
		return k, m, nil
	case TypeText:
		return c.compareText(v, w)
	case TypeBinary:
		k, m := c.compareBinary(v)
		return k, m, nil
	case TypeDate, TypeDatetime:
		k, m := c.compareTime(v)
		return k, m, nil
	case TypeTimestamp:
		k, m := c.compareTimestamp(v, w)
		return k, m, nil
	case TypeOther:
	}
	return Key{}, MatchUnknown, nil
}

// KeyToStore converts v as MySQL does to store it into the column (strict
// mode). A value that does not fit is an *sqlerr.Error with MySQL's own code;
// one whose stored form depends on the server's version or sql_mode is
// refused, or has a Key.Alt; *WeightNeeded as for KeyToCompare.
func (c Column) KeyToStore(v sqlval.Value, w Weigher) (Key, error) {
	if v.Kind == sqlval.Null {
		if !c.Nullable {
			return Key{}, sqlerr.New(sqlerr.BadNull, "Column '%s' cannot be null", c.Name)
		}
		return Key{Null: true}, nil
	}
	switch c.Type {
	case TypeInt:
		return c.storeInt(v)
	case TypeDecimal:
		return c.storeDecimal(v)
	case TypeText:
		return c.storeText(v, w)
	case TypeBinary:
		return c.storeBinary(v)
	case TypeDate, TypeDatetime:
		return c.storeTime(v)
	case TypeTimestamp:
		return c.storeTimestamp(v, w)
	case TypeOther:
	}
	if c.SQLType == "" {
		return Key{}, sqlerr.Refuse("a value for the sharding column "+c.Name,
			"the column's type is not known: no server has the table, or none could be asked", "try again, or create the table")
	}
	return Key{}, sqlerr.Refuse("a value for the sharding column "+c.Name,
		"a column of type "+c.SQLType+" cannot be one", "shard by another column")
}

// refuseValue is for a value whose stored form is not certain.
func (c Column) refuseValue(v sqlval.Value, why, instead string) error {
	const most = 64
	text := v.Text
	if len(text) > most {
		text = text[:most]
	}
	return sqlerr.Refuse(fmt.Sprintf("the value %q for the sharding column %s", text, c.Name), why, instead)
}

func (c Column) outOfRange() error {
	return withState(codeOutOfRange, "22003", "Out of range value for column '%s' at row 1", c.Name)
}

func (c Column) tooLong() error {
	return withState(codeTooLong, "22001", "Data too long for column '%s' at row 1", c.Name)
}

func (c Column) incorrect(kind string, text []byte) error {
	return sqlerr.New(sqlerr.TruncatedWrongValue, "Incorrect %s value: '%s' for column '%s' at row 1", kind, text, c.Name)
}

func withState(code uint16, state, format string, args ...any) error {
	e := sqlerr.New(code, format, args...)
	e.State = state
	return e
}

// compareText: the comparison is in the column's collation when the text can
// be written in its character set; else MySQL compares in another one, in
// which other rows may be equal.
func (c Column) compareText(v sqlval.Value, w Weigher) (Key, Match, error) {
	if v.Kind != sqlval.String || !c.holds(v.Text) {
		return Key{}, MatchUnknown, nil
	}
	if c.TextKey != ByWeight {
		k, m := c.compareCharacters(v.Text, w)
		return k, m, nil
	}
	k, err := c.weigh(v.Text, w)
	return k, MatchKey, err
}

// holds: the column's character set surely has every character of the text.
func (c Column) holds(text []byte) bool {
	if isASCII(text) {
		return true
	}
	switch Charset(c.Collation) {
	case "utf8mb4":
		return utf8.Valid(text)
	case "utf8mb3", "utf8":
		return utf8.Valid(text) && !hasFourByteRune(text)
	}
	return false
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// asciiBytes: the bytes of ASCII text are the same in the character set.
func asciiBytes(charset string) bool {
	switch charset {
	case "ucs2", "utf16", "utf16le", "utf32":
		return false
	}
	return true
}

func hasFourByteRune(text []byte) bool {
	for _, b := range text {
		if b >= 0xF0 {
			return true
		}
	}
	return false
}

// weigh is the key of text in the column's collation.
func (c Column) weigh(text []byte, w Weigher) (Key, error) {
	if c.PadSpace {
		text = bytes.TrimRight(text, " ")
	}
	var weight []byte
	known := false
	if w != nil {
		weight, known = w.Weight(c.Collation, text)
	}
	if !known {
		return Key{}, &WeightNeeded{Collation: c.Collation, Text: bytes.Clone(text)}
	}
	return Key{Bytes: c.withoutPad(weight)}, nil
}

// withoutPad takes trailing weights of a space off.
func (c Column) withoutPad(weight []byte) []byte {
	n := len(c.PadWeight)
	if !c.PadSpace || n == 0 {
		return weight
	}
	for len(weight) >= n && string(weight[len(weight)-n:]) == c.PadWeight {
		weight = weight[:len(weight)-n]
	}
	return weight
}

// storeText: CHAR and VARCHAR lose spaces that are too much; CHAR loses all
// trailing spaces.
func (c Column) storeText(v sqlval.Value, w Weigher) (Key, error) {
	text, err := c.textOf(v)
	if err != nil {
		return Key{}, err
	}
	if c.Length > 0 && len(text) > c.Length && !utf8Text(text, w) {
		// A server that is not strict cuts it, where depends on its characters.
		return Key{}, c.refuseValue(v, "it is not ASCII, and may be too long in the connection's character set", "SET NAMES utf8mb4")
	}
	if c.Length > 0 && c.length(text) > c.Length {
		cut := bytes.TrimRight(text, " ")
		if c.length(cut) > c.Length {
			return Key{}, c.tooLong()
		}
		text = text[:len(text)-(c.length(text)-c.Length)] // what goes are spaces, one byte each
	}
	if c.Fixed {
		text = bytes.TrimRight(text, " ")
	}
	if c.TextKey != ByWeight {
		return c.storeCharacters(text, w)
	}
	return c.weigh(text, w)
}

// length of the text as Length counts it; rather too short than too long, for
// the server counts again.
func (c Column) length(text []byte) int {
	if cs := Charset(c.Collation); c.Bytes && (cs == "utf8mb4" || cs == "utf8mb3" || cs == "utf8") {
		return len(text)
	}
	return utf8.RuneCount(text)
}

// textOf is the value as text.
func (c Column) textOf(v sqlval.Value) ([]byte, error) {
	const why = "its text form depends on the server"
	switch v.Kind {
	case sqlval.String:
		return v.Text, nil
	case sqlval.Binary:
		if c.Type == TypeBinary || isASCII(v.Text) && asciiBytes(Charset(c.Collation)) {
			return v.Text, nil
		}
	case sqlval.Int, sqlval.Decimal:
		if n, ok := parseNumber(v.Text); ok {
			return n.text(), nil
		}
	case sqlval.Null, sqlval.Float, sqlval.Temporal:
	}
	return nil, c.refuseValue(v, why, "give it as a string")
}

// compareBinary: bytes compare as they are.
func (c Column) compareBinary(v sqlval.Value) (Key, Match) {
	switch v.Kind {
	case sqlval.String, sqlval.Binary:
		if c.Fixed && c.Length > 0 && len(v.Text) != c.Length {
			return Key{}, MatchNone // its values all have Length bytes
		}
		return Key{Bytes: v.Text}, MatchKey
	case sqlval.Null, sqlval.Int, sqlval.Decimal, sqlval.Float, sqlval.Temporal:
	}
	return Key{}, MatchUnknown
}

func (c Column) storeBinary(v sqlval.Value) (Key, error) {
	text, err := c.textOf(v)
	if err != nil {
		return Key{}, err
	}
	if c.Length > 0 && len(text) > c.Length {
		return Key{}, c.tooLong()
	}
	if c.Fixed && len(text) < c.Length {
		text = append(make([]byte, 0, c.Length), text...)[:c.Length]
	}
	return Key{Bytes: text}, nil
}
