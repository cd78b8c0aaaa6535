package plan

// FoundKind is where the number of FOUND_ROWS() comes from.
type FoundKind uint8

const (
	// FoundKept: the statement leaves the number as it was.
	FoundKept FoundKind = iota
	// FoundSent: the rows sent and those that OFFSET has skipped.
	FoundSent
	// FoundAsked: the server that ran the statement tells it (SQL_CALC_FOUND_ROWS).
	FoundAsked
	// FoundUnknown: servers differ in it; who asks is refused.
	FoundUnknown
)

// Found is what FOUND_ROWS() is after a statement.
type Found struct {
	Kind FoundKind
	// Offset of FoundSent.
	Offset Operand
}

// Rows is the number after an answer of sent rows, -1 where it is not known:
// where OFFSET passed the last row, only the server knows how many there are.
func (f Found) Rows(sent int64, args Args) int64 {
	if f.Kind != FoundSent || sent < 0 {
		return -1
	}
	offset, err := limitNumber(f.Offset, args)
	if err != nil || offset > 0 && sent == 0 || offset > 1<<62 {
		return -1
	}
	return sent + int64(offset)
}
