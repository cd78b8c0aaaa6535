package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodeChangeUser(t *testing.T) {
	const all = CapProtocol41 | CapSecureConnection | CapPluginAuth | CapConnectAttrs
	whole := "app\x00\x03abcshop\x00\x2d\x00caching_sha2_password\x00\x06\x01a\x03bcd"
	for name, c := range map[string]struct {
		body         string
		capabilities uint32
		want         HandshakeResponse
		bad          bool
	}{
		"all there is": {whole, all, HandshakeResponse{Capabilities: all, User: "app", Auth: []byte("abc"), Schema: "shop", Collation: 45,
			Plugin: "caching_sha2_password", Attributes: map[string]string{"a": "bcd"}}, false},
		"an old client ends behind the database": {"app\x00\x00shop\x00", CapProtocol41 | CapSecureConnection,
			HandshakeResponse{Capabilities: CapProtocol41 | CapSecureConnection, User: "app", Auth: []byte{}, Schema: "shop"}, false},
		"proof longer than the packet": {"app\x00\x14abc", all, HandshakeResponse{}, true},
		"no end of the name":           {"app", all, HandshakeResponse{}, true},
		"half a collation":             {"app\x00\x00\x00\x2d", all, HandshakeResponse{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeChangeUser([]byte(c.body), c.capabilities)
			if c.bad {
				require.ErrorIs(t, err, ErrMalformed)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for n := range len(whole) {
		_, _ = DecodeChangeUser([]byte(whole[:n]), all) // it may say what it likes, and must not panic
	}
}
