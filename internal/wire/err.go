package wire

import "github.com/servaldb/serval/internal/sqlerr"

// sqlStateSize is the length of an SQLSTATE.
const sqlStateSize = 5

// IsErr reports whether an answer is an ERR packet. Where a row may come it is
// certain too: no text row begins with 0xff, no binary row either.
func IsErr(payload []byte) bool { return len(payload) > 0 && payload[0] == HeaderErr }

// DecodeErr reads an ERR packet, with or without SQLSTATE (a server that
// refuses a connection before the handshake sends none). err is ErrMalformed
// if it is not one.
func DecodeErr(payload []byte) (e *sqlerr.Error, err error) {
	c := cursor{b: payload}
	if c.uint8() != HeaderErr {
		return nil, ErrMalformed
	}
	code := c.uint16()
	if c.bad {
		return nil, ErrMalformed
	}
	state, msg := "HY000", c.rest()
	if len(msg) > sqlStateSize && msg[0] == '#' {
		state, msg = string(msg[1:1+sqlStateSize]), msg[1+sqlStateSize:]
	}
	return &sqlerr.Error{Code: code, State: state, Message: string(msg)}, nil
}

// AppendErr appends an ERR packet. A State that is not five characters long
// is left out.
func AppendErr(dst []byte, e *sqlerr.Error) []byte {
	dst = append(dst, HeaderErr, byte(e.Code), byte(e.Code>>8))
	if len(e.State) == sqlStateSize {
		dst = append(append(dst, '#'), e.State...)
	}
	return append(dst, e.Message...)
}
