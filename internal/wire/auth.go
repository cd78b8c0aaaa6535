package wire

// Bytes of the caching_sha2_password conversation, in AuthMoreData and in the
// client's answer to it.
const (
	AuthFastOK       byte = 0x03 // the scramble was right; OK follows
	AuthFull         byte = 0x04 // send the password itself
	AuthAskPublicKey byte = 0x02 // client: send the RSA key first
)

// AppendAuthSwitch appends an AuthSwitchRequest: log in with this plugin and
// this nonce instead.
func AppendAuthSwitch(dst []byte, plugin string, nonce []byte) []byte {
	dst = append(append(append(dst, HeaderEOF), plugin...), 0)
	return append(append(dst, nonce...), 0)
}

// AppendAuthMoreData appends an AuthMoreData packet.
func AppendAuthMoreData(dst []byte, data ...byte) []byte {
	return append(append(dst, HeaderMoreData), data...)
}
