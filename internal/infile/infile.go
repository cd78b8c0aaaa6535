// Package infile cuts a file as LOAD DATA reads it into records and fields. It
// follows the server's reader (READ_INFO in sql/sql_load.cc) byte by byte, its
// oddities included: what a file means is what servers make of it.
package infile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Format is the FIELDS and LINES clauses of LOAD DATA. An empty Fields and no
// Enclosed mean fixed lengths, which are not read here.
type Format struct {
	// Fields and Lines end one; Start begins a line, and what stands before it
	// is skipped. Each at most MaxTerminator bytes.
	Fields, Lines, Start []byte
	// Enclosed and Escaped are one byte, or None.
	Enclosed, Escaped int
}

// None is no byte.
const None = -1

// MaxTerminator bounds the terminators, in bytes.
const MaxTerminator = 1024

// ErrTooLong is returned for a record longer than the reader's limit.
var ErrTooLong = errors.New("infile: a record is longer than the limit")

// Field is one field's bytes, valid until the next record. Null: it is \N, or
// the bare word NULL where fields may be enclosed.
type Field struct {
	Text []byte
	Null bool
}

// Reader reads records. Not for concurrent use.
type Reader struct {
	src    *bufio.Reader
	format Format
	limit  int // bytes of one record
	back   int // a byte to be read again, or None
	// endless: lines have no terminator.
	endless bool
	// begun: what begins a line has been read.
	begun bool

	buf    []byte
	ends   []mark
	fields []Field
	// lineEnded: the field before was the line's last; ended: the file's.
	lineEnded, ended bool
}

// mark is a field in buf.
type mark struct {
	from, to int
	null     bool
}

// NewReader reads records of at most limit bytes.
func NewReader(src io.Reader, f Format, limit int) *Reader {
	r := &Reader{src: bufio.NewReaderSize(src, 64<<10), format: f, limit: limit, back: None, endless: len(f.Lines) == 0}
	if bytes.Equal(f.Fields, f.Lines) {
		r.format.Lines = nil
	}
	return r
}

// Skip goes over one line, or over want fields where lines do not end; more is
// false where the file ends. A format whose lines end as its fields do has
// nothing to skip.
func (r *Reader) Skip(want int) (more bool, err error) {
	if !r.endless {
		_, err = r.nextLine()
		return !r.ended, err
	}
	err = r.read(want)
	r.begun = true
	return !r.lineEnded, err
}

// Record reads the next line's fields, at most want of them; long: the line had
// more. After the last record it returns io.EOF.
func (r *Reader) Record(want int) (fields []Field, long bool, err error) {
	if r.ended {
		return nil, false, io.EOF
	}
	if err := r.read(want); err != nil {
		return nil, false, err
	}
	r.fields = r.fields[:0]
	if len(r.ends) == 0 && r.ended {
		return nil, false, io.EOF
	}
	for _, m := range r.ends {
		r.fields = append(r.fields, Field{Text: r.buf[m.from:m.to], Null: m.null})
	}
	long, err = r.nextLine()
	return r.fields, long && !r.ended, err
}

// read reads at most want fields.
func (r *Reader) read(want int) error {
	r.buf, r.ends = r.buf[:0], r.ends[:0]
	if err := r.start(); err != nil {
		return err
	}
	for len(r.ends) < want && !r.lineEnded {
		if any, err := r.field(); err != nil || !any {
			return err
		}
	}
	return nil
}

// start skips what stands before a line's beginning.
func (r *Reader) start() error {
	s := r.format.Start
	if r.begun {
		r.begun, s = false, nil
	}
	for len(s) > 0 {
		c, err := r.get()
		if c < 0 || err != nil {
			r.lineEnded, r.ended = true, true
			return err
		}
		if r.is(c, s) {
			return nil
		}
	}
	return nil
}

// get is the next byte, -1 at the end of the file.
func (r *Reader) get() (int, error) {
	if c := r.back; c != None {
		r.back = None
		return c, nil
	}
	c, err := r.src.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return -1, nil
	case err != nil:
		return -1, err
	}
	return int(c), nil
}

// is reports whether c and what follows are the terminator, and goes over it.
func (r *Reader) is(c int, term []byte) bool {
	if len(term) == 0 || c != int(term[0]) {
		return false
	}
	if next, _ := r.src.Peek(len(term) - 1); !bytes.Equal(next, term[1:]) {
		return false
	}
	_, _ = r.src.Discard(len(term) - 1) // it is in the buffer
	return true
}

// field reads one field; false: the file ended before it.
func (r *Reader) field() (bool, error) {
	c, err := r.get()
	if err != nil {
		return false, err
	}
	if c < 0 {
		r.lineEnded, r.ended = true, true
		return false, nil
	}
	f := fieldReader{Reader: r, from: len(r.buf), quote: None}
	if c == r.format.Enclosed {
		f.quote = c
		r.buf = append(r.buf, byte(c)) // shown if the field is not closed
	} else {
		r.back = c
	}
	for {
		done, err := f.next()
		if err != nil || done {
			return true, err
		}
		if len(r.buf) > r.limit {
			return false, ErrTooLong
		}
	}
}

// fieldReader is one field being read.
type fieldReader struct {
	*Reader
	from  int
	quote int // the byte that encloses it, or None
	nulls bool
}

// next reads one byte, or what stands for one.
func (f *fieldReader) next() (done bool, err error) {
	c, err := f.get()
	if err != nil {
		return false, err
	}
	if c >= 0 && c == f.format.Escaped {
		escaped, err := f.get()
		switch {
		case err != nil:
			return false, err
		case escaped < 0:
			f.buf = append(f.buf, byte(c))
			return f.endOfFile(), nil
		case c != f.format.Enclosed || escaped == c:
			f.buf = append(f.buf, f.unescape(byte(escaped)))
			return false, nil
		}
		f.back = escaped
	}
	switch {
	case c < 0:
		return f.endOfFile(), nil
	case f.quote == None && f.is(c, f.format.Lines):
		f.lineEnded = true
		return f.end(false), nil
	case f.quote == None && f.is(c, f.format.Fields):
		return f.end(false), nil
	case f.quote != None && c == f.quote:
		return f.closing()
	}
	f.buf = append(f.buf, byte(c))
	return false, nil
}

// closing follows a quote within an enclosed field: two are one, one ends it
// where the field or line ends, and else belongs to it.
func (f *fieldReader) closing() (done bool, err error) {
	c, err := f.get()
	switch {
	case err != nil:
		return false, err
	case c == f.quote:
		f.buf = append(f.buf, byte(c))
		return false, nil
	case c < 0 || f.is(c, f.format.Lines):
		f.lineEnded = true // at the end of the file nextLine finds it out
		return f.end(true), nil
	case f.is(c, f.format.Fields):
		return f.end(true), nil
	}
	f.buf = append(f.buf, byte(f.quote))
	f.back = c
	return false, nil
}

func (f *fieldReader) endOfFile() bool {
	f.lineEnded, f.ended = true, true
	return f.end(false)
}

func (f *fieldReader) end(enclosed bool) bool {
	m := mark{from: f.from, to: len(f.buf)}
	if enclosed {
		m.from++
	}
	text := f.buf[m.from:m.to]
	m.null = len(text) == 1 && f.nulls || !enclosed && f.format.Enclosed != None && string(text) == "NULL"
	f.ends = append(f.ends, m)
	return true
}

func (f *fieldReader) unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case '0':
		return 0
	case 'Z':
		return '\x1a'
	case 'N':
		f.nulls = true
	}
	return c
}

// nextLine goes on to the next line; cut: something stood before its end.
func (r *Reader) nextLine() (cut bool, err error) {
	if r.lineEnded || r.ended {
		r.lineEnded = false
		return false, nil
	}
	for len(r.format.Lines) > 0 {
		c, err := r.get()
		if err != nil {
			return cut, err
		}
		switch {
		case c < 0:
			r.ended = true
			return cut, nil
		case c == r.format.Escaped:
			if _, err := r.get(); err != nil { // at the end of the file the next one says so
				return cut, err
			}
			cut = true
		case r.is(c, r.format.Lines):
			return cut, nil
		default:
			cut = true
		}
	}
	return cut, nil
}
