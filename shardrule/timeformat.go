package shardrule

import (
	"bytes"
	"fmt"
	"strings"
)

// timeFormat reads moments written in one form of fixed width, with the letters of
// DATE_FORMAT: %Y, %m, %d, %H, %i and %s; other characters stand for themselves.
type timeFormat struct {
	text  string
	parts []timePart
	width int
	// ordered: later moments are greater texts.
	ordered bool
}

// timePart is a field, or a character that stands for itself.
type timePart struct {
	field byte // 0: char
	char  byte
	at    int // where it begins
}

// formatFields are the fields from the greatest to the least.
const formatFields = "YmdHis"

// parseFormat reads format:, which must say all a calendar of the unit needs.
func parseFormat(text string, unit Unit) (*timeFormat, error) {
	const form = "write it with %Y %m %d %H %i %s, like '%Y-%m-%d %H:%i:%s'"
	f := &timeFormat{text: text, ordered: true}
	last := -1
	for i := 0; i < len(text); i++ {
		p := timePart{char: text[i], at: f.width}
		f.width++
		if text[i] == '%' && i+1 < len(text) {
			i++
			rank := strings.IndexByte(formatFields, text[i])
			if rank < 0 || f.has(text[i]) {
				return nil, paramError("format", form, "format cannot be %s", text)
			}
			p = timePart{field: text[i], at: p.at}
			f.width += fieldWidth(text[i]) - 1
			f.ordered = f.ordered && rank == last+1
			last = rank
		}
		if p.field == 0 && (p.char < ' ' || p.char > '~' || p.char == '%') {
			return nil, paramError("format", form, "format cannot be %s", text)
		}
		f.parts = append(f.parts, p)
	}
	need := map[Unit]string{Year: "Y", Month: "Ym", Week: "Ymd", Day: "Ymd", Days: "Ymd", Hour: "YmdH"}[unit]
	for i := range len(need) {
		if !f.has(need[i]) {
			return nil, paramError("format", form, "format %s does not say %%%c", text, need[i])
		}
	}
	return f, nil
}

func fieldWidth(field byte) int {
	if field == 'Y' {
		return 4
	}
	return 2
}

func (f *timeFormat) has(field byte) bool { return f.at(field) >= 0 }

// at is where the field begins, -1 if there is none.
func (f *timeFormat) at(field byte) int {
	for _, p := range f.parts {
		if p.field == field {
			return p.at
		}
	}
	return -1
}

// folded is the format for keys in upper case.
func (f *timeFormat) folded() *timeFormat {
	up := *f
	up.parts = append([]timePart(nil), f.parts...)
	for i, p := range up.parts {
		up.parts[i].char = bytes.ToUpper([]byte{p.char})[0]
	}
	return &up
}

// clock reads a text; false where it is not of the form, or is no moment.
func (f *timeFormat) clock(text []byte) (k clock, ok bool) {
	if len(text) != f.width {
		return k, false
	}
	var n moment
	n.month, n.day = 1, 1
	fields := map[byte]*int{'Y': &n.year, 'm': &n.month, 'd': &n.day, 'H': &n.hour, 'i': &n.minute, 's': &n.second}
	for _, p := range f.parts {
		switch {
		case p.field == 0 && text[p.at] != p.char:
			return k, false
		case p.field != 0 && !digits(text[p.at:p.at+fieldWidth(p.field)], fields[p.field]):
			return k, false
		}
	}
	return clock{n.year, n.month, n.day, n.hour}, n.valid()
}

// dateExpr is the text's date in SQL.
func (f *timeFormat) dateExpr(column string) string {
	part := func(field byte) string {
		if !f.has(field) {
			return "'01'"
		}
		return fmt.Sprintf("SUBSTRING(%s, %d, %d)", column, f.at(field)+1, fieldWidth(field))
	}
	return "CONCAT(" + part('Y') + ", '-', " + part('m') + ", '-', " + part('d') + ")"
}

func (f *timeFormat) hourExpr(column string) string {
	return fmt.Sprintf("CAST(SUBSTRING(%s, %d, 2) AS SIGNED)", column, f.at('H')+1)
}
