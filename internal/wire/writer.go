package wire

import "io"

const (
	writeBufferSize = 16 << 10
	// flushAbove: a writer with more than this buffered writes it out by
	// itself, so a long result never gathers in memory.
	flushAbove = 64 << 10
)

// Writer frames packets and gathers them until Flush, so that a whole answer
// is one system call. Not for concurrent use.
//
// Errors stick: after a failed write every call returns the same error.
type Writer struct {
	dst io.Writer
	buf []byte
	seq uint8
	err error
	out int64
}

// NewWriter writes to dst.
func NewWriter(dst io.Writer) *Writer {
	return &Writer{dst: dst, buf: make([]byte, 0, writeBufferSize)}
}

// Reset makes the writer write to dst and forget what is buffered and any
// error. The sequence goes on.
func (w *Writer) Reset(dst io.Writer) { w.dst, w.buf, w.err = dst, w.buf[:0], nil }

// SetSeq sets the sequence number the next frame carries.
func (w *Writer) SetSeq(seq uint8) { w.seq = seq }

// Seq is the sequence number the next frame carries.
func (w *Writer) Seq() uint8 { return w.seq }

// Err is the error that stuck, if any.
func (w *Writer) Err() error { return w.err }

// Written is how many bytes have left for dst since the writer was made; a
// statement whose answer has begun to leave cannot be tried again.
func (w *Writer) Written() int64 { return w.out }

// Buffered is how many bytes wait for Flush.
func (w *Writer) Buffered() int { return len(w.buf) }

// Packet appends one packet, cut into frames of MaxFrame bytes.
func (w *Writer) Packet(payload []byte) error {
	for {
		n := min(len(payload), MaxFrame)
		if err := w.frame(payload[:n]); err != nil {
			return err
		}
		payload = payload[n:]
		if n < MaxFrame {
			return nil
		}
	}
}

// frame appends one frame. A large payload is written from where it is.
func (w *Writer) frame(payload []byte) error {
	if w.err != nil {
		return w.err
	}
	n := len(payload)
	w.buf = append(w.buf, byte(n), byte(n>>8), byte(n>>16), w.seq)
	w.seq++
	if n < flushAbove {
		w.buf = append(w.buf, payload...)
		return w.relieve()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return w.write(payload)
}

// Frame appends a frame that has its header already, renumbered in place.
func (w *Writer) Frame(frame []byte) error {
	if w.err != nil {
		return w.err
	}
	frame[3] = w.seq
	w.seq++
	if len(frame) < flushAbove {
		w.buf = append(w.buf, frame...)
		return w.relieve()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return w.write(frame)
}

func (w *Writer) relieve() error {
	if len(w.buf) < flushAbove {
		return nil
	}
	return w.Flush()
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	err := w.write(w.buf)
	if cap(w.buf) > shrinkAbove {
		w.buf = make([]byte, 0, writeBufferSize)
	}
	w.buf = w.buf[:0]
	return err
}

func (w *Writer) write(b []byte) error {
	if w.err != nil {
		return w.err
	}
	n, err := w.dst.Write(b)
	w.out += int64(n)
	w.err = err
	return err
}
