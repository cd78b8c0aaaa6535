package reshard

import (
	"fmt"
	"hash/crc32"
	"unicode/utf8"

	"github.com/servaldb/serval/catalog"
)

// maxTableName is the longest name of a table, in characters.
const maxTableName = 64

// NewName is a physical table's name while it is filled, OldName what the table
// it replaces is called after the cut over. A name that would be too long is cut
// and gets a checksum.
func NewName(table string) string { return fitName(catalog.NewPrefix + table) }

// OldName : see NewName.
func OldName(table string) string { return fitName(catalog.OldPrefix + table) }

func fitName(name string) string {
	if utf8.RuneCountInString(name) <= maxTableName {
		return name
	}
	sum := fmt.Sprintf("_%08x", crc32.ChecksumIEEE([]byte(name)))
	return string([]rune(name)[:maxTableName-len(sum)]) + sum
}
