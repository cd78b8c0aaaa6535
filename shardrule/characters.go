package shardrule

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/servaldb/serval/internal/sqlval"
)

// TextKey is what an algorithm takes as the key of collated text.
type TextKey uint8

const (
	// ByWeight: Key.Bytes is the weight string. Texts that are equal in the
	// collation have the same.
	ByWeight TextKey = iota
	// ByCharacters: Key.Bytes is the text in UTF-8 without trailing spaces
	// where the collation pads, in upper case where it does not tell the
	// cases apart. In collations other than _bin only printable ASCII can be
	// stored, so that equal texts have the same key.
	ByCharacters
	// AsWritten: Key.Bytes is the text in UTF-8, but for trailing spaces where
	// the collation pads. Equal texts may have different keys, so that only a
	// text without letters, or one in a _bin collation, finds its rows on one
	// shard.
	AsWritten
	// AlwaysAlike is AsWritten where the rule says that the application writes
	// equal texts alike, so that each finds its rows on one shard.
	AlwaysAlike
)

// TextKeyer is an Algorithm that does not take text by its weight.
type TextKeyer interface {
	Algorithm
	TextKey() TextKey
}

// exactASCII are the collations, without their character set, in which
// printable ASCII texts are equal only where they differ in case at most. In
// others v may be w (swedish), i may be y (lithuanian).
var exactASCII = map[string]bool{
	"general_ci": true, "general_nopad_ci": true, "general_mysql500_ci": true, "chinese_ci": true, "chinese_nopad_ci": true,
	"unicode_ci": true, "unicode_nopad_ci": true, "unicode_520_ci": true, "unicode_520_nopad_ci": true,
	"0900_ai_ci": true, "0900_as_ci": true, "0900_as_cs": true,
	"uca1400_ai_ci": true, "uca1400_as_ci": true, "uca1400_ai_cs": true, "uca1400_as_cs": true,
	"uca1400_nopad_ai_ci": true, "uca1400_nopad_as_ci": true, "uca1400_nopad_ai_cs": true, "uca1400_nopad_as_cs": true,
}

// charactersKnown: which texts are equal is known from their characters.
func (c Column) charactersKnown() bool { return c.binCollation() || exactASCII[c.collationKind()] }

func (c Column) collationKind() string {
	_, kind, _ := strings.Cut(c.Collation, "_")
	return kind
}

// EqualKeysTogether: values that compare equal have the same key.
func (c Column) EqualKeysTogether() bool {
	return c.Type != TypeText || c.TextKey != AsWritten || c.binCollation()
}

// SeveralSpellings: values that compare equal may have several keys, as they
// are written.
func (c Column) SeveralSpellings() bool {
	return c.Type == TypeText && (c.TextKey == AsWritten || c.TextKey == AlwaysAlike) && !c.binCollation()
}

// FoundAlone: rows equal to this UTF-8 text are looked for on the shard of its
// spelling only.
func (c Column) FoundAlone(text []byte) bool {
	_, match := c.compareCharacters(text, utf8mb4{})
	return match == MatchKey
}

// utf8mb4 is a connection of that character set.
type utf8mb4 struct{}

// Weight implements Weigher.
func (utf8mb4) Weight(string, []byte) ([]byte, bool) { return nil, false }

// Charset implements Charsetter.
func (utf8mb4) Charset() string { return "utf8mb4" }

func (c Column) binCollation() bool { return strings.HasSuffix(c.Collation, "_bin") }

// foldsCase: the collation does not tell upper from lower case.
func (c Column) foldsCase() bool { return strings.HasSuffix(c.Collation, "_ci") }

// Charsetter is a Weigher that knows the character set of the texts it is
// given: that of the connection.
type Charsetter interface{ Charset() string }

// utf8Text: the text surely is UTF-8.
func utf8Text(text []byte, w Weigher) bool {
	if isASCII(text) {
		return true
	}
	cs, ok := w.(Charsetter)
	return ok && strings.HasPrefix(cs.Charset(), "utf8")
}

// compareCharacters is compareText for an algorithm that takes characters; the
// column's character set has the text.
func (c Column) compareCharacters(text []byte, w Weigher) (Key, Match) {
	if !utf8Text(text, w) {
		return Key{}, MatchUnknown
	}
	if c.PadSpace {
		text = bytes.TrimRight(text, " ")
	}
	switch {
	case c.binCollation():
		return Key{Bytes: text}, MatchKey
	case c.TextKey == AlwaysAlike:
		return Key{Bytes: text}, MatchKey
	case !c.charactersKnown() || !printable(text):
		return Key{}, MatchUnknown
	case c.TextKey == ByCharacters:
		return Key{Bytes: c.folded(text)}, MatchKey
	case hasLetter(text):
		return Key{}, MatchUnknown
	}
	return Key{Bytes: text}, MatchKey
}

// storeCharacters is the key of a text to be stored for an algorithm that takes
// characters.
func (c Column) storeCharacters(text []byte, w Weigher) (Key, error) {
	if !utf8Text(text, w) {
		return Key{}, c.refuseValue(sqlval.Value{Text: text}, "it is not ASCII, and the connection's character set is not UTF-8", "SET NAMES utf8mb4")
	}
	if c.PadSpace {
		text = bytes.TrimRight(text, " ")
	}
	v := sqlval.Value{Text: text}
	if !c.surelyHolds(text) {
		return Key{}, c.refuseValue(v, "its column may not have these characters, and a server that is not strict stores other ones", "declare the column CHARACTER SET utf8mb4")
	}
	switch {
	case c.binCollation() || printable(text) || c.TextKey == AlwaysAlike:
	case c.TextKey == ByCharacters:
		return Key{}, c.refuseValue(v, "in collation "+c.Collation+" it may equal other texts, which could be on another shard", "declare the column with a _bin collation")
	case equalsASCII(text):
		return Key{}, c.refuseValue(v, "in collation "+c.Collation+" it has characters that may equal ASCII ones", "write it in ASCII, or declare the column with a _bin collation")
	}
	if c.TextKey == ByCharacters {
		text = c.folded(text)
	}
	return Key{Bytes: text}, nil
}

// surelyHolds: UTF-8 text, every character of which the column's character set
// has.
func (c Column) surelyHolds(text []byte) bool {
	if isASCII(text) || c.holds(text) {
		return true
	}
	charset := Charset(c.Collation)
	for _, r := range string(text) {
		switch {
		case r == utf8.RuneError:
			return false
		case r < utf8.RuneSelf || charset == "gb18030":
		case charset == "latin1" && r >= 0xA0 && r <= 0xFF:
		case (charset == "gbk" || charset == "utf16" || charset == "utf32" || charset == "ucs2") && r >= 0x4E00 && r <= 0x9FA5:
		default:
			return false
		}
	}
	return true
}

func (c Column) folded(text []byte) []byte {
	if !c.foldsCase() {
		return text
	}
	return bytes.ToUpper(text)
}

// printable ASCII.
func printable(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

func hasLetter(text []byte) bool {
	for _, b := range text {
		if b|0x20 >= 'a' && b|0x20 <= 'z' {
			return true
		}
	}
	return false
}

// equalsASCII: the text has characters other than letters that are not
// printable ASCII: some weigh nothing, some as digits or signs do.
func equalsASCII(text []byte) bool {
	for _, r := range string(text) {
		if (r < ' ' || r > '~') && !unicode.IsLetter(r) {
			return true
		}
	}
	return false
}
