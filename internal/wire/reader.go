package wire

import (
	"errors"
	"fmt"
	"io"
)

const (
	headerSize = 4
	// MaxFrame is the largest payload one frame carries; a longer packet goes
	// on in the next frame (MySQL internals, "Sending More Than 16MB").
	MaxFrame = 1<<24 - 1

	readBufferSize = 16 << 10
	// shrinkAbove: a buffer that a big packet grew past this is given back
	// once it is drained, so that an idle connection stays small.
	shrinkAbove = 256 << 10
	// growStep: room for a frame grows in steps of at least this, and by
	// doubling, as its bytes arrive. Four bytes that announce 16 MB cost
	// nothing until the 16 MB come.
	growStep = 64 << 10
	// maxEmptyReads is how often a source may give nothing and no error.
	maxEmptyReads = 100
)

// ErrTooLarge is returned for a packet longer than the reader's limit. The
// stream cannot go on after it.
var ErrTooLarge = errors.New("wire: packet larger than the limit")

// ErrSequence is returned for a frame that is not the next of its exchange.
// The stream cannot go on after it.
var ErrSequence = errors.New("wire: packets out of order")

// Reader cuts a byte stream into frames and packets. Not for concurrent use.
//
// A frame is one physical unit: four header bytes (length, sequence) and up to
// MaxFrame bytes. A packet is one or more frames joined.
type Reader struct {
	src   io.Reader
	buf   []byte
	r, w  int // buf[r:w] is read but not consumed
	limit int // largest packet, in bytes

	seq     uint8  // sequence number the next frame must carry
	partial []byte // frames of a packet whose last has not come
}

// NewReader reads from src; a packet longer than limit bytes is ErrTooLarge.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit, buf: make([]byte, readBufferSize)}
}

// Reset makes the reader read from src and forget what is buffered. The
// sequence goes on. Where the bytes behind the last packet belong to another
// layer (TLS), take them with Unread first.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.r, r.w, r.partial = src, 0, 0, nil
}

// Unread is a copy of what is read but not consumed.
func (r *Reader) Unread() []byte { return append([]byte(nil), r.buf[r.r:r.w]...) }

// SetLimit changes the largest packet accepted, in bytes.
func (r *Reader) SetLimit(limit int) { r.limit = limit }

// Seq is the sequence number the next frame must carry; the answer to a
// command starts with it.
func (r *Reader) Seq() uint8 { return r.seq }

// SetSeq sets the sequence number the next frame must carry.
func (r *Reader) SetSeq(seq uint8) { r.seq = seq }

// Buffered is how many bytes are read but not consumed.
func (r *Reader) Buffered() int { return r.w - r.r }

// Frame returns the next frame, header included, reading as needed. The slice
// is valid until the next call; its owner may change it in place (relays
// renumber it). io.EOF means the stream ended between frames,
// io.ErrUnexpectedEOF inside one.
func (r *Reader) Frame() ([]byte, error) {
	if err := r.fill(headerSize); err != nil {
		return nil, err
	}
	n, err := r.check(r.buf[r.r:])
	if err != nil {
		return nil, err
	}
	if err := r.fill(headerSize + n); err != nil {
		return nil, unexpected(err)
	}
	return r.take(headerSize + n), nil
}

// BufferedFrame returns the next frame if it is wholly in the buffer; it never
// reads.
func (r *Reader) BufferedFrame() (frame []byte, ok bool, err error) {
	if r.w-r.r < headerSize {
		return nil, false, nil
	}
	n := frameLength(r.buf[r.r:])
	if r.w-r.r < headerSize+n {
		return nil, false, nil
	}
	if n, err = r.check(r.buf[r.r:]); err != nil {
		return nil, false, err
	}
	return r.take(headerSize + n), true, nil
}

// Packet returns the next packet's payload, frames joined. The slice is valid
// until the next call. After an error of the source that passes (a deadline
// that was moved since) it can be called again and goes on where it was.
func (r *Reader) Packet() ([]byte, error) {
	if r.partial == nil {
		frame, err := r.Frame()
		if err != nil {
			return nil, err
		}
		if len(frame) < headerSize+MaxFrame {
			return frame[headerSize:], nil
		}
		r.partial = append([]byte(nil), frame[headerSize:]...)
	}
	return r.join()
}

// join reads the rest of the packet that partial begins. The result is the
// caller's: one big packet must not pin its size for the connection's life.
func (r *Reader) join() ([]byte, error) {
	for {
		frame, err := r.Frame()
		if err != nil {
			return nil, unexpected(err)
		}
		if len(r.partial)+len(frame)-headerSize > r.limit {
			return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, r.limit)
		}
		r.partial = append(r.partial, frame[headerSize:]...)
		if len(frame) < headerSize+MaxFrame {
			joined := r.partial
			r.partial = nil
			return joined, nil
		}
	}
}

// check validates the header at the front of b and returns the payload length.
func (r *Reader) check(b []byte) (int, error) {
	n := frameLength(b)
	if n > r.limit {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, r.limit)
	}
	if b[3] != r.seq {
		return 0, fmt.Errorf("%w: got %d, want %d", ErrSequence, b[3], r.seq)
	}
	return n, nil
}

func (r *Reader) take(n int) []byte {
	b := r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	r.seq++
	return b
}

// fill makes at least n bytes available at buf[r:].
func (r *Reader) fill(n int) error {
	if r.w-r.r >= n {
		return nil
	}
	r.makeRoom(n)
	for empty := 0; r.w-r.r < n; {
		if r.w == len(r.buf) {
			r.grow(n)
		}
		m, err := r.src.Read(r.buf[r.w:])
		r.w += m
		switch {
		case r.w-r.r >= n:
			return nil
		case errors.Is(err, io.EOF) && r.w > r.r:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case m > 0:
			empty = 0
		default:
			if empty++; empty == maxEmptyReads {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// makeRoom gives a drained large buffer back, or moves what is buffered to the
// front where n bytes would not fit behind it.
func (r *Reader) makeRoom(n int) {
	switch {
	case r.r == r.w && len(r.buf) > shrinkAbove && n <= readBufferSize:
		r.buf, r.r, r.w = make([]byte, readBufferSize), 0, 0
	case r.r == r.w:
		r.r, r.w = 0, 0
	case r.r+n > len(r.buf):
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
}

// grow enlarges a full buffer on the way to a frame of n bytes. Everything in
// it belongs to that frame: makeRoom has moved it to the front.
func (r *Reader) grow(n int) {
	size := min(n+readBufferSize, max(2*len(r.buf), growStep))
	grown := make([]byte, size)
	r.w = copy(grown, r.buf[r.r:r.w])
	r.buf, r.r = grown, 0
}

func frameLength(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
