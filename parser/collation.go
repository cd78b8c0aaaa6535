package parser

import (
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/charset"
)

// ownCollations is above every collation number of TiDB's.
const ownCollations = 20000

// Prepare does once what must be done before anything else reads the maps of
// TiDB's parser, as the first parser and the client library that connects to
// servers do: a program calls it first.
func Prepare() { knowCollations() }

// knowCollations tells TiDB's parser, which rejects a collation it does not
// know, the names MySQL 9.7 and MariaDB 10.11 have besides. It must have run
// before the first parser does: the parsers read the same maps (see Prepare).
var knowCollations = sync.OnceFunc(func() {
	id := ownCollations
	for _, name := range moreCollations() {
		if _, err := charset.GetCollationByName(name); err == nil {
			continue
		}
		set, _, _ := strings.Cut(name, "_")
		if set == "uca1400" {
			set = charset.CharsetUTF8MB4 // MariaDB's short names are for every Unicode set
		}
		charset.AddCollation(&charset.Collation{ID: id, CharsetName: set, Name: name})
		id++
	}
})

// moreCollations are names from SHOW COLLATION of both servers.
func moreCollations() []string {
	var all []string
	for _, lang := range []string{"bg", "bs", "gl", "mn_cyrl", "nb", "nn", "sr_latn"} {
		all = append(all, "utf8mb4_"+lang+"_0900_ai_ci", "utf8mb4_"+lang+"_0900_as_cs")
	}
	unicode := []string{
		"croatian_ci", "czech_ci", "danish_ci", "esperanto_ci", "estonian_ci", "general_mysql500_ci", "german2_ci", "hungarian_ci", "icelandic_ci",
		"latvian_ci", "lithuanian_ci", "persian_ci", "polish_ci", "romanian_ci", "roman_ci", "sinhala_ci", "slovak_ci", "slovenian_ci", "spanish2_ci",
		"spanish_ci", "swedish_ci", "tolower_ci", "turkish_ci", "unicode_520_ci", "vietnamese_ci",
		// MariaDB's own
		"croatian_mysql561_ci", "general_nopad_ci", "myanmar_ci", "nopad_bin", "thai_520_w2", "unicode_520_nopad_ci", "unicode_nopad_ci",
	}
	for _, set := range []string{"utf8mb3", "utf8mb4", "utf8", "ucs2", "utf16", "utf32"} {
		for _, u := range unicode {
			all = append(all, set+"_"+u)
		}
	}
	for _, set := range []string{"armscii8_general", "ascii_general", "big5_chinese", "cp1250_general", "cp1251_general", "cp1256_general", "cp1257_general",
		"cp850_general", "cp852_general", "cp866_general", "cp932_japanese", "dec8_swedish", "eucjpms_japanese", "euckr_korean", "gb2312_chinese", "gbk_chinese",
		"geostd8_general", "greek_general", "hebrew_general", "hp8_english", "keybcs2_general", "koi8r_general", "koi8u_general", "latin1_swedish",
		"latin2_general", "latin5_turkish", "latin7_general", "macce_general", "macroman_general", "sjis_japanese", "swe7_swedish", "tis620_thai",
		"ujis_japanese", "utf16le_general"} {
		name, _, _ := strings.Cut(set, "_")
		all = append(all, set+"_nopad_ci", name+"_nopad_bin")
	}
	for _, lang := range []string{"", "croatian_", "czech_", "danish_", "esperanto_", "estonian_", "german2_", "hungarian_", "icelandic_", "latvian_", "lithuanian_",
		"persian_", "polish_", "roman_", "romanian_", "sinhala_", "slovak_", "slovenian_", "spanish_", "spanish2_", "swedish_", "turkish_", "vietnamese_"} {
		for _, pad := range []string{"", "nopad_"} {
			for _, kind := range []string{"ai_ci", "ai_cs", "as_ci", "as_cs"} {
				name := "uca1400_" + lang + pad + kind
				all = append(all, name, "utf8mb3_"+name, "utf8mb4_"+name, "ucs2_"+name, "utf16_"+name, "utf32_"+name)
			}
		}
	}
	return all
}
