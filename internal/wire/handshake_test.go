package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// login builds a handshake response by the capabilities it names.
func login(caps uint32, attrs []byte) []byte {
	p := binary.LittleEndian.AppendUint32(nil, caps)
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	p = append(append(p, 255), make([]byte, 23)...)
	p = append(p, "app\x00"...)
	switch {
	case caps&CapPluginAuthLenEnc != 0:
		p = AppendLenEncString(p, "scramble")
	case caps&CapSecureConnection != 0:
		p = append(p, "\x08scramble"...)
	default:
		p = append(p, "scramble\x00"...)
	}
	if caps&CapConnectWithDB != 0 {
		p = append(p, "shop\x00"...)
	}
	if caps&CapPluginAuth != 0 {
		p = append(p, "caching_sha2_password\x00"...)
	}
	if caps&CapConnectAttrs != 0 {
		p = AppendLenEncBytes(p, attrs)
	}
	return p
}

func TestHandshakeResponseInEachFormOfItsFields(t *testing.T) {
	attrs := AppendLenEncString(AppendLenEncString(nil, "_os"), "Linux")
	for _, extra := range []uint32{0, CapSecureConnection, CapPluginAuthLenEnc, CapSecureConnection | CapPluginAuthLenEnc} {
		for _, more := range []uint32{0, CapConnectWithDB, CapPluginAuth, CapConnectAttrs, CapConnectWithDB | CapPluginAuth | CapConnectAttrs} {
			caps := CapProtocol41 | extra | more
			payload := login(caps, attrs)
			h, err := DecodeHandshakeResponse(payload)
			require.NoError(t, err)
			require.Equal(t, "app", h.User)
			require.Equal(t, "scramble", string(h.Auth))
			require.EqualValues(t, 255, h.Collation)
			require.EqualValues(t, 1<<24, h.MaxPacket)
			require.Equal(t, caps, h.Capabilities)
			require.Equal(t, more&CapConnectWithDB != 0, h.Schema == "shop")
			require.Equal(t, more&CapPluginAuth != 0, h.Plugin == "caching_sha2_password")
			require.Equal(t, more&CapConnectAttrs != 0, h.Attributes["_os"] == "Linux")
			trailing, err := DecodeHandshakeResponse(append(bytes.Clone(payload), 3))
			require.NoError(t, err, "newer clients append more (zstd level)")
			require.Equal(t, h.User, trailing.User)
			for cut := range 36 + 8 {
				_, err := DecodeHandshakeResponse(payload[:cut])
				require.ErrorIs(t, err, ErrMalformed, "cut at %d", cut)
			}
		}
	}
}

func TestHandshakeResponseOfOldOrCarelessClients(t *testing.T) {
	_, err := DecodeHandshakeResponse(login(CapSecureConnection, nil))
	require.ErrorIs(t, err, ErrMalformed, "before protocol 4.1")
	h, err := DecodeHandshakeResponse(bytes.TrimSuffix(login(CapProtocol41|CapSecureConnection|CapPluginAuth, nil), []byte{0}))
	require.NoError(t, err)
	require.Equal(t, "caching_sha2_password", h.Plugin, "the last NUL is missing")
	h, err = DecodeHandshakeResponse(login(CapProtocol41|CapSecureConnection|CapConnectAttrs, nil)[:45])
	require.NoError(t, err)
	require.Empty(t, h.Attributes)
}

func TestConnectionAttributesAreBounded(t *testing.T) {
	caps := CapProtocol41 | CapPluginAuthLenEnc | CapConnectAttrs
	var many, large []byte
	for i := range 1000 {
		many = AppendLenEncString(AppendLenEncString(many, fmt.Sprintf("k%d", i)), "v")
	}
	for i := range 10 {
		large = AppendLenEncString(AppendLenEncString(large, fmt.Sprintf("k%d", i)), strings.Repeat("v", 2000))
	}
	h, err := DecodeHandshakeResponse(login(caps, many))
	require.NoError(t, err)
	require.Len(t, h.Attributes, maxAttributes)
	h, err = DecodeHandshakeResponse(login(caps, large))
	require.NoError(t, err)
	require.Len(t, h.Attributes, 4)
	h, err = DecodeHandshakeResponse(login(caps, []byte("\x02ok\x01v\x09cut")))
	require.NoError(t, err, "a bad attribute is no reason to refuse a login")
	require.Equal(t, map[string]string{"ok": "v"}, h.Attributes)
	_, err = DecodeHandshakeResponse(append(login(caps, nil)[:len(login(caps, nil))-1], 0xfd, 0xff, 0xff, 0xff))
	require.ErrorIs(t, err, ErrMalformed)
}

func TestSSLRequest(t *testing.T) {
	full := login(CapProtocol41|CapSSL|CapSecureConnection, nil)
	require.True(t, IsSSLRequest(full[:32]))
	require.False(t, IsSSLRequest(full), "a login over TLS")
	require.False(t, IsSSLRequest(full[:31]))
	require.False(t, IsSSLRequest(login(CapProtocol41, nil)[:32]))
	require.False(t, IsSSLRequest(nil))
}

func TestGreetingAndSwitchBytes(t *testing.T) {
	h := Handshake{
		ServerVersion: "8.4.0", ConnectionID: 0x01020304, Capabilities: 0xaabbccdd, Collation: 45,
		Status: StatusAutocommit, AuthPlugin: "caching_sha2_password",
	}
	copy(h.Nonce[:], "abcdefghijklmnopqrst")
	require.Equal(t, "\x0a8.4.0\x00\x04\x03\x02\x01abcdefgh\x00\xdd\xcc\x2d\x02\x00\xbb\xaa\x15"+
		strings.Repeat("\x00", 10)+"ijklmnopqrst\x00caching_sha2_password\x00", string(h.Append(nil)))
	require.Equal(t, "\xfemysql_native_password\x00abcdefghijklmnopqrst\x00",
		string(AppendAuthSwitch(nil, "mysql_native_password", h.Nonce[:])))
	require.Equal(t, "\x01\x03", string(AppendAuthMoreData(nil, AuthFastOK)))
}

func TestLengthEncodedIntegers(t *testing.T) {
	for _, v := range []uint64{0, 1, 250, 251, 252, 1<<16 - 1, 1 << 16, 1<<24 - 1, 1 << 24, 1 << 63, 1<<64 - 1} {
		b := AppendLenEncInt(nil, v)
		got, n := LenEncInt(append(bytes.Clone(b), 0xee))
		require.Equal(t, v, got)
		require.Equal(t, len(b), n)
		for cut := range b {
			_, n := LenEncInt(b[:cut])
			require.Zero(t, n)
		}
	}
	for _, size := range []int{0, 250, 251, 1<<16 - 1, 1 << 16} {
		require.Len(t, AppendLenEncBytes(nil, make([]byte, size)), lenEncSize(size))
	}
}

func FuzzHandshakeResponse(f *testing.F) {
	f.Add(login(CapProtocol41|CapPluginAuthLenEnc|CapConnectWithDB|CapPluginAuth|CapConnectAttrs, []byte("\x01a\x01b")))
	f.Add(login(CapProtocol41, nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		_ = IsSSLRequest(payload)
		h, err := DecodeHandshakeResponse(payload)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(h.User)+len(h.Auth)+len(h.Schema)+len(h.Plugin), len(payload))
		require.LessOrEqual(t, len(h.Attributes), maxAttributes)
	})
}
