package wire

import "encoding/binary"

// NonceSize is the length of the random data a password is scrambled with.
const NonceSize = 20

// Handshake is the server's greeting (Protocol::HandshakeV10).
type Handshake struct {
	ServerVersion string
	ConnectionID  uint32
	// Nonce has no zero byte: clients read it as a C string.
	Nonce        [NonceSize]byte
	Capabilities uint32
	Collation    uint8
	Status       uint16
	AuthPlugin   string
}

// Append encodes the greeting.
func (h *Handshake) Append(dst []byte) []byte {
	dst = append(dst, 10)
	dst = append(append(dst, h.ServerVersion...), 0)
	dst = binary.LittleEndian.AppendUint32(dst, h.ConnectionID)
	dst = append(append(dst, h.Nonce[:8]...), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Capabilities))
	dst = append(dst, h.Collation)
	dst = binary.LittleEndian.AppendUint16(dst, h.Status)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Capabilities>>16))
	dst = append(dst, NonceSize+1)
	dst = append(dst, make([]byte, 10)...)
	dst = append(append(dst, h.Nonce[8:]...), 0)
	return append(append(dst, h.AuthPlugin...), 0)
}

// handshakeHead is the fixed part of the client's answer; an SSLRequest is
// only that.
const handshakeHead = 32

// IsSSLRequest reports whether the client's first packet asks for TLS
// (Protocol::SSLRequest) instead of logging in.
func IsSSLRequest(payload []byte) bool {
	return len(payload) == handshakeHead && binary.LittleEndian.Uint32(payload)&CapSSL != 0
}

// HandshakeResponse is how a client logs in (Protocol::HandshakeResponse41).
type HandshakeResponse struct {
	Capabilities uint32
	MaxPacket    uint32
	Collation    uint16
	User         string
	// Auth is what the client's Plugin made of password and nonce; it borrows
	// from the payload.
	Auth   []byte
	Schema string
	// Plugin is empty where the client has no CLIENT_PLUGIN_AUTH.
	Plugin     string
	Attributes map[string]string
}

// What is kept of connection attributes; more is stepped over.
const (
	maxAttributes     = 64
	maxAttributeBytes = 8 << 10
)

// DecodeHandshakeResponse reads it. A client without CLIENT_PROTOCOL_41
// (before MySQL 4.1) is ErrMalformed. Trailing bytes are ignored: newer
// clients put more there.
func DecodeHandshakeResponse(payload []byte) (HandshakeResponse, error) {
	c := cursor{b: payload}
	h := HandshakeResponse{Capabilities: c.uint32(), MaxPacket: c.uint32(), Collation: uint16(c.uint8())}
	c.skip(23)
	if c.bad || h.Capabilities&CapProtocol41 == 0 {
		return HandshakeResponse{}, ErrMalformed
	}
	h.User = string(c.nulString())
	h.Auth = h.readAuth(&c)
	if h.Capabilities&CapConnectWithDB != 0 {
		h.Schema = string(c.nulOrRest())
	}
	if h.Capabilities&CapPluginAuth != 0 {
		h.Plugin = string(c.nulOrRest())
	}
	if h.Capabilities&CapConnectAttrs != 0 && len(c.rest()) > 0 {
		attrs := c.lenEncBytes()
		h.readAttributes(attrs)
	}
	if c.bad {
		return HandshakeResponse{}, ErrMalformed
	}
	return h, nil
}

func (h *HandshakeResponse) readAuth(c *cursor) []byte {
	switch {
	case h.Capabilities&CapPluginAuthLenEnc != 0:
		return c.lenEncBytes()
	case h.Capabilities&CapSecureConnection != 0:
		return c.take(int(c.uint8()))
	}
	return c.nulString()
}

// readAttributes keeps what is well-formed: attributes are for people to look
// at, and a bad one is no reason to refuse a login.
func (h *HandshakeResponse) readAttributes(attrs []byte) {
	c, kept := cursor{b: attrs}, 0
	for len(c.rest()) > 0 && len(h.Attributes) < maxAttributes {
		name, value := c.lenEncBytes(), c.lenEncBytes()
		if kept += len(name) + len(value); c.bad || kept > maxAttributeBytes {
			return
		}
		if h.Attributes == nil {
			h.Attributes = make(map[string]string)
		}
		h.Attributes[string(name)] = string(value)
	}
}

// nulOrRest reads up to a NUL, or to the end: some clients leave the last NUL
// out.
func (c *cursor) nulOrRest() []byte {
	for _, b := range c.b {
		if b == 0 {
			return c.nulString()
		}
	}
	return c.take(len(c.b))
}
