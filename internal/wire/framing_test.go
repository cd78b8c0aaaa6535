package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const testLimit = 64 << 20

func TestPacketsComeBackWholeHoweverTheyAreCut(t *testing.T) {
	sizes := []int{0, 1, 3, 4, 100, readBufferSize - 5, readBufferSize, flushAbove - 4, flushAbove, 300_000}
	rapid.Check(t, func(t *rapid.T) {
		var wired bytes.Buffer
		w := NewWriter(&wired)
		var want [][]byte
		for range rapid.IntRange(1, 12).Draw(t, "packets") {
			size := rapid.OneOf(rapid.SampledFrom(sizes), rapid.IntRange(0, 2000)).Draw(t, "size")
			p := bytes.Repeat([]byte{byte(len(want) + 1)}, size)
			want = append(want, p)
			require.NoError(t, w.Packet(p))
		}
		require.NoError(t, w.Flush())
		require.EqualValues(t, wired.Len(), w.Written())
		src := io.Reader(&wired)
		switch rapid.IntRange(0, 2).Draw(t, "cut") {
		case 1:
			src = iotest.HalfReader(src)
		case 2:
			src = iotest.DataErrReader(src)
		}
		r := NewReader(src, testLimit)
		for i := range want {
			got, err := r.Packet()
			require.NoError(t, err)
			require.Equal(t, want[i], append([]byte{}, got...))
		}
		_, err := r.Packet()
		require.Equal(t, io.EOF, err)
		require.LessOrEqual(t, len(r.buf), shrinkAbove*4)
	})
}

func TestPacketsOfSixteenMegabytesAndMore(t *testing.T) {
	for _, size := range []int{MaxFrame - 1, MaxFrame, MaxFrame + 1, 2 * MaxFrame, 2*MaxFrame + 7} {
		var wired bytes.Buffer
		w := NewWriter(&wired)
		payload := bytes.Repeat([]byte{0xab}, size)
		require.NoError(t, w.Packet(payload))
		require.NoError(t, w.Packet([]byte("next")))
		require.NoError(t, w.Flush())
		require.Less(t, cap(w.buf), shrinkAbove, "a big packet is not copied into the writer's buffer")

		r := NewReader(&wired, testLimit)
		got, err := r.Packet()
		require.NoError(t, err)
		require.True(t, bytes.Equal(payload, got))
		require.EqualValues(t, size/MaxFrame+1, r.Seq(), "frames of %d bytes", size)
		got, err = r.Packet()
		require.NoError(t, err)
		require.Equal(t, "next", string(got))
		_, err = r.Packet()
		require.Equal(t, io.EOF, err)
		require.Len(t, r.buf, readBufferSize, "the big buffer is given back")
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		limit  int
		want   error
	}{
		"nothing":                          {"", 100, io.EOF},
		"a header cut short":               {"\x01\x00", 100, io.ErrUnexpectedEOF},
		"a payload cut short":              {"\x05\x00\x00\x00abc", 100, io.ErrUnexpectedEOF},
		"a header and no payload":          {"\x05\x00\x00\x00", 100, io.ErrUnexpectedEOF},
		"a packet over the limit":          {"\x65\x00\x00\x00", 100, ErrTooLarge},
		"a frame that is not the next one": {"\x01\x00\x00\x03a", 100, ErrSequence},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewReader(bytes.NewReader([]byte(c.stream)), c.limit).Packet()
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestFramesThatTogetherPassTheLimitAreRefused(t *testing.T) {
	var wired bytes.Buffer
	w := NewWriter(&wired)
	require.NoError(t, w.Packet(make([]byte, MaxFrame+100)))
	require.NoError(t, w.Flush())
	_, err := NewReader(bytes.NewReader(wired.Bytes()), MaxFrame+99).Packet()
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = NewReader(bytes.NewReader(wired.Bytes()[:MaxFrame+headerSize]), testLimit).Packet()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the frame that ends it is missing")
}

func TestAHeaderAloneCostsNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(bytes.NewReader([]byte{0xfe, 0xff, 0xff, 0, 'x'}), testLimit).Packet()
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// pauses gives at most size bytes at a time and a passing error before each.
type pauses struct {
	src   io.Reader
	size  int
	ready bool
}

func (p *pauses) Read(b []byte) (int, error) {
	if p.ready = !p.ready; p.ready {
		return 0, os.ErrDeadlineExceeded
	}
	return p.src.Read(b[:min(len(b), p.size)])
}

func TestAPassingErrorLosesNothing(t *testing.T) {
	for _, size := range []int{10, 100_000, MaxFrame, MaxFrame + 5} {
		var wired bytes.Buffer
		w := NewWriter(&wired)
		want := bytes.Repeat([]byte("0123456789"), size/10)
		require.NoError(t, w.Packet(want))
		require.NoError(t, w.Packet([]byte("next")))
		require.NoError(t, w.Flush())
		r := NewReader(&pauses{src: &wired, size: max(3, size/50)}, testLimit)
		for _, p := range [][]byte{want, []byte("next")} {
			got, err := r.Packet()
			for err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				got, err = r.Packet()
			}
			require.True(t, bytes.Equal(p, got))
		}
	}
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestASourceThatGivesNothingEndsTheReader(t *testing.T) {
	_, err := NewReader(stuckReader{}, 10).Packet()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestBufferedFrameNeverReads(t *testing.T) {
	var wired bytes.Buffer
	w := NewWriter(&wired)
	for _, p := range []string{"one", "two", "three"} {
		require.NoError(t, w.Packet([]byte(p)))
	}
	require.NoError(t, w.Flush())
	stream := wired.Bytes()
	r := NewReader(io.MultiReader(bytes.NewReader(stream[:len(stream)-2]), iotest.ErrReader(errors.New("read"))), 100)

	_, ok, err := r.BufferedFrame()
	require.NoError(t, err)
	require.False(t, ok, "nothing has been read yet")
	frame, err := r.Frame()
	require.NoError(t, err)
	require.Equal(t, "\x03\x00\x00\x00one", string(frame))
	frame, ok, err = r.BufferedFrame()
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "two", string(frame[headerSize:]))
	_, ok, err = r.BufferedFrame()
	require.NoError(t, err)
	require.False(t, ok, "the third is not all there")
	require.Equal(t, len(stream)-2-14, r.Buffered())
	require.Equal(t, stream[14:len(stream)-2], r.Unread())
	_, err = r.Frame()
	require.EqualError(t, err, "read")
}

func TestFramesAreRenumberedAndMixWithPackets(t *testing.T) {
	var wired bytes.Buffer
	w := NewWriter(&wired)
	w.SetSeq(254)
	big := append([]byte{0, 0, 1, 9}, make([]byte, 1<<16)...)
	require.NoError(t, w.Packet([]byte("a")))
	require.NoError(t, w.Frame([]byte("\x01\x00\x00\x07b")))
	require.NoError(t, w.Frame(big))
	require.NoError(t, w.Packet(nil))
	require.NoError(t, w.Flush())
	r := NewReader(&wired, testLimit)
	r.SetSeq(254)
	for _, want := range []int{1, 1, 1 << 16, 0} {
		p, err := r.Packet()
		require.NoError(t, err)
		require.Len(t, p, want)
	}
	require.EqualValues(t, 2, r.Seq())
	require.EqualValues(t, 2, w.Seq())
}

type failAfter struct{ left int }

func (f *failAfter) Write(b []byte) (int, error) {
	if len(b) > f.left {
		return f.left, io.ErrClosedPipe
	}
	f.left -= len(b)
	return len(b), nil
}

func TestAWriteErrorSticksAndNothingGathersBehindIt(t *testing.T) {
	w := NewWriter(&failAfter{left: 10})
	require.NoError(t, w.Packet([]byte("abc")))
	require.NoError(t, w.Flush())
	require.NoError(t, w.Packet([]byte("more than what is left")))
	require.ErrorIs(t, w.Flush(), io.ErrClosedPipe)
	for range 1000 {
		require.ErrorIs(t, w.Packet(make([]byte, 1000)), io.ErrClosedPipe)
		require.ErrorIs(t, w.Frame([]byte("\x01\x00\x00\x00a")), io.ErrClosedPipe)
	}
	require.ErrorIs(t, w.Err(), io.ErrClosedPipe)
	require.Zero(t, w.Buffered())
	require.EqualValues(t, 10, w.Written())
	w.Reset(io.Discard)
	require.NoError(t, w.Packet([]byte("again")))
	require.NoError(t, w.Flush())
}

func TestALongResultDoesNotGather(t *testing.T) {
	w := NewWriter(io.Discard)
	for range 10_000 {
		require.NoError(t, w.Packet(make([]byte, 1000)))
		require.Less(t, w.Buffered(), flushAbove+1004)
	}
	require.LessOrEqual(t, cap(w.buf), shrinkAbove)
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x03\x00\x00\x00one\x00\x00\x00\x01"), 100)
	f.Add([]byte("\xff\xff\xff\x00"), 1<<25)
	f.Fuzz(func(t *testing.T, stream []byte, limit int) {
		r := NewReader(iotest.OneByteReader(bytes.NewReader(stream)), limit)
		total := 0
		for {
			p, err := r.Packet()
			if err != nil {
				break
			}
			total += len(p) + headerSize
			require.LessOrEqual(t, len(p), max(limit, 0))
		}
		require.LessOrEqual(t, total, len(stream))
		require.LessOrEqual(t, len(r.buf), growStep+2*len(stream))
	})
}

func BenchmarkRelayFrames(b *testing.B) {
	var one bytes.Buffer
	w := NewWriter(&one)
	for range 100 {
		_ = w.Packet(make([]byte, 120))
	}
	_ = w.Flush()
	src := bytes.NewReader(nil)
	r, out := NewReader(src, testLimit), NewWriter(io.Discard)
	b.SetBytes(int64(one.Len()))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(one.Bytes())
		r.SetSeq(0)
		for range 100 {
			f, err := r.Frame()
			if err != nil {
				b.Fatal(err)
			}
			_ = out.Frame(f)
		}
		_ = out.Flush()
	}
}
