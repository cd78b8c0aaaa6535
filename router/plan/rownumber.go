package plan

import (
	"regexp"
	"strconv"
)

// atRow is the end of a server's message about one row of a statement.
var atRow = regexp.MustCompile(`(?i)\bat row (\d+)$`)

// StatementRow puts the number of the statement's row for that of the row among
// its shard's, in a message about an INSERT over several shards.
func (b *Bound) StatementRow(shard int, message string) string {
	if b == nil || b.RowShards == nil {
		return message
	}
	m := atRow.FindStringSubmatchIndex(message)
	if m == nil {
		return message
	}
	nth, _ := strconv.Atoi(message[m[2]:m[3]]) // digits
	for i, s := range b.RowShards {
		if s != shard {
			continue
		}
		if nth--; nth == 0 {
			return message[:m[2]] + strconv.Itoa(i+1)
		}
	}
	return message
}
