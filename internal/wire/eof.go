package wire

// eofMaxLen: an EOF packet is shorter than this; a longer packet that begins
// with 0xfe is a row whose first value is longer than 16 MB.
const eofMaxLen = 9

// AppendEOF appends an EOF packet.
func AppendEOF(dst []byte, status, warnings uint16) []byte {
	status &^= StatusSessionStateChanged // only an OK can carry what it announces
	return append(dst, HeaderEOF, byte(warnings), byte(warnings>>8), byte(status), byte(status>>8))
}

// IsEOF reports whether a payload is the EOF behind column definitions, where
// the connection has no CLIENT_DEPRECATE_EOF.
func IsEOF(payload []byte) bool {
	return len(payload) > 0 && len(payload) < eofMaxLen && payload[0] == HeaderEOF
}

// IsEnd reports whether a payload, read where a row may come, closes the
// result set instead, over a connection with caps. ERR closes it too and is
// not meant here.
func IsEnd(payload []byte, caps uint32) bool {
	if caps&CapDeprecateEOF != 0 {
		return len(payload) > 0 && len(payload) < MaxFrame && payload[0] == HeaderEOF
	}
	return IsEOF(payload)
}

// DecodeEnd reads what closed a result set, EOF or OK, as an OK.
func DecodeEnd(payload []byte, caps uint32) (OK, error) {
	if caps&CapDeprecateEOF != 0 {
		return DecodeOK(payload, caps)
	}
	return DecodeEOF(payload)
}

// DecodeEOF reads an EOF packet; only Status and Warnings are set.
func DecodeEOF(payload []byte) (OK, error) {
	if !IsEOF(payload) {
		return OK{}, ErrMalformed
	}
	c := cursor{b: payload[1:]}
	var ok OK
	ok.Warnings = c.uint16()
	ok.Status = c.uint16()
	return ok, c.err()
}
