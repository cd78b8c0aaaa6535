package wire

import "encoding/binary"

// DecodeOK reads an OK packet, also one that stands for EOF (header 0xfe).
// caps are the capabilities of the connection it came over. Info and the
// tracked strings: Info borrows from payload, Tracked is copied.
func DecodeOK(payload []byte, caps uint32) (OK, error) {
	c := cursor{b: payload}
	if h := c.uint8(); h != HeaderOK && h != HeaderEOF {
		return OK{}, ErrMalformed
	}
	var ok OK
	ok.AffectedRows = c.lenEncInt()
	ok.LastInsertID = c.lenEncInt()
	ok.Status = c.uint16()
	ok.Warnings = c.uint16()
	if c.bad || len(c.rest()) == 0 {
		return ok, c.err()
	}
	if caps&CapSessionTrack == 0 {
		ok.Info = plainInfo(c.rest())
		return ok, nil
	}
	ok.Info = c.lenEncBytes()
	if ok.Status&StatusSessionStateChanged == 0 || c.bad {
		return ok, c.err()
	}
	changes := c.lenEncBytes()
	if c.bad {
		return ok, ErrMalformed
	}
	return ok, ok.Tracked.decode(changes)
}

// plainInfo reads the info of a connection without session tracking. The
// manual says it runs to the end of the packet; servers write it with its
// length in front.
func plainInfo(b []byte) []byte {
	if v, n := LenEncInt(b); n > 0 && v == uint64(len(b)-n) {
		return b[n:]
	}
	return b
}

// Append encodes the packet with this header (HeaderOK, or HeaderEOF where it
// ends a result set under CLIENT_DEPRECATE_EOF) for a receiver with caps.
// Tracked is sent if caps have session tracking, and the status flag that
// announces it is set or cleared to match.
func (ok OK) Append(dst []byte, caps uint32, header byte) []byte {
	track := caps&CapSessionTrack != 0 && !ok.Tracked.Empty()
	status := ok.Status &^ StatusSessionStateChanged
	if track {
		status |= StatusSessionStateChanged
	}
	dst = append(dst, header)
	dst = AppendLenEncInt(dst, ok.AffectedRows)
	dst = AppendLenEncInt(dst, ok.LastInsertID)
	dst = binary.LittleEndian.AppendUint16(dst, status)
	dst = binary.LittleEndian.AppendUint16(dst, ok.Warnings)
	if len(ok.Info) > 0 || track {
		dst = AppendLenEncBytes(dst, ok.Info)
	}
	if track {
		dst = ok.Tracked.append(dst)
	}
	return dst
}

// AppendEnd appends what closes a result set for a receiver with caps: an OK
// in the place of EOF, or EOF.
func (ok OK) AppendEnd(dst []byte, caps uint32) []byte {
	if caps&CapDeprecateEOF != 0 {
		return ok.Append(dst, caps, HeaderEOF)
	}
	return AppendEOF(dst, ok.Status, ok.Warnings)
}
