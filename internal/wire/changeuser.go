package wire

// DecodeChangeUser reads COM_CHANGE_USER without its first byte. capabilities
// are those of the client's login.
func DecodeChangeUser(body []byte, capabilities uint32) (HandshakeResponse, error) {
	c := cursor{b: body}
	h := HandshakeResponse{Capabilities: capabilities, User: string(c.nulString())}
	if capabilities&CapSecureConnection != 0 {
		h.Auth = c.take(int(c.uint8()))
	} else {
		h.Auth = c.nulString()
	}
	h.Schema = string(c.nulOrRest())
	if len(c.rest()) > 0 { // old clients say no more
		h.Collation = c.uint16()
	}
	if capabilities&CapPluginAuth != 0 && len(c.rest()) > 0 {
		h.Plugin = string(c.nulOrRest())
	}
	if capabilities&CapConnectAttrs != 0 && len(c.rest()) > 0 {
		h.readAttributes(c.lenEncBytes())
	}
	if c.bad {
		return HandshakeResponse{}, ErrMalformed
	}
	return h, nil
}
