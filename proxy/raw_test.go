package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// raw speaks to a server byte by byte.
type raw struct {
	t    *testing.T
	conn net.Conn
	r    *wire.Reader
	w    *wire.Writer
}

func dial(t *testing.T, r *rig) *raw {
	t.Helper()
	network := "tcp"
	if r.addr[0] == '/' {
		network = "unix"
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), network, r.addr)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	t.Cleanup(func() { _ = conn.Close() })
	return &raw{t: t, conn: conn, r: wire.NewReader(conn, 1<<20), w: wire.NewWriter(conn)}
}

type greeting struct {
	version      string
	id           uint32
	nonce        []byte
	capabilities uint32
	collation    byte
}

func (c *raw) greeting() greeting {
	c.t.Helper()
	p := bytes.Clone(c.read())
	require.EqualValues(c.t, 10, p[0])
	end := bytes.IndexByte(p, 0)
	g := greeting{version: string(p[1:end])}
	p = p[end+1:]
	g.id = binary.LittleEndian.Uint32(p)
	g.nonce = append(g.nonce, p[4:12]...)
	g.capabilities = uint32(binary.LittleEndian.Uint16(p[13:])) | uint32(binary.LittleEndian.Uint16(p[18:]))<<16
	g.collation = p[15]
	require.EqualValues(c.t, wire.NonceSize+1, p[20])
	g.nonce = append(g.nonce, p[31:43]...)
	require.Equal(c.t, pluginSHA2+"\x00", string(p[44:]))
	return g
}

func (c *raw) read() []byte {
	c.t.Helper()
	p, err := c.r.Packet()
	require.NoError(c.t, err)
	return p
}

func (c *raw) send(payload []byte) {
	c.t.Helper()
	c.w.SetSeq(c.r.Seq())
	require.NoError(c.t, c.w.Packet(payload))
	require.NoError(c.t, c.w.Flush())
	c.r.SetSeq(c.w.Seq())
}

// requireClosed: the server sends nothing more.
func (c *raw) requireClosed() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.conn)
	if err != nil {
		require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded)
	}
}

func (c *raw) requireErr(code uint16) *sqlerr.Error {
	c.t.Helper()
	e, err := wire.DecodeErr(c.read())
	require.NoError(c.t, err)
	require.Equal(c.t, code, e.Code, e.Message)
	c.requireClosed()
	return e
}

func (c *raw) requireOK() {
	c.t.Helper()
	_, err := wire.DecodeOK(c.read(), 0)
	require.NoError(c.t, err)
	c.r.SetSeq(0)
	c.send([]byte{wire.ComPing})
	_, err = wire.DecodeOK(c.read(), 0)
	require.NoError(c.t, err)
}

const plainCaps = wire.CapProtocol41 | wire.CapSecureConnection | wire.CapPluginAuth | wire.CapPluginAuthLenEnc

// response is a handshake response of app.
func response(caps uint32, plugin string, auth []byte) []byte {
	p := binary.LittleEndian.AppendUint32(nil, caps)
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	p = append(append(p, 45), make([]byte, 23)...)
	p = append(p, "app\x00"...)
	p = wire.AppendLenEncBytes(p, auth)
	if caps&wire.CapPluginAuth != 0 {
		p = append(append(p, plugin...), 0)
	}
	return p
}

func TestClientsOfOtherPluginsAreSwitched(t *testing.T) {
	r := start(t, nil)
	for _, c := range []struct{ plugin, auth, to string }{
		{"client_ed25519", "anything", pluginSHA2},
		{pluginSHA2, "", pluginSHA2}, // it waits to be asked
		{"", "", pluginSHA2},
		{pluginClear, "s3cret\x00", pluginSHA2}, // not over a wire that can be read
		{pluginNative, "", pluginNative},
		{pluginNative, "of another length", pluginNative},
	} {
		for _, password := range []string{"s3cret", "wrong"} {
			k := dial(t, r)
			g := k.greeting()
			k.send(response(plainCaps, c.plugin, []byte(c.auth)))
			p := bytes.Clone(k.read())
			require.Equal(t, wire.HeaderEOF, p[0])
			name, nonce, _ := bytes.Cut(p[1:], []byte{0})
			require.Equal(t, c.to, string(name))
			nonce = bytes.TrimSuffix(nonce, []byte{0})
			require.Len(t, nonce, wire.NonceSize)
			require.NotEqual(t, g.nonce, nonce)
			scramble := gomysql.CalcNativePassword(nonce, []byte(password))
			if c.to == pluginSHA2 {
				scramble = gomysql.CalcCachingSha2Password(nonce, []byte(password))
			}
			k.send(scramble)
			if password == "wrong" {
				k.requireErr(sqlerr.AccessDenied)
				continue
			}
			if c.to == pluginSHA2 {
				require.Equal(t, []byte{wire.HeaderMoreData, wire.AuthFastOK}, k.read())
			}
			k.requireOK()
		}
	}
}

func TestNativeScrambleOfTheGreetingNeedsNoSwitch(t *testing.T) {
	r := start(t, nil)
	for _, caps := range []uint32{plainCaps, wire.CapProtocol41 | wire.CapSecureConnection} {
		k := dial(t, r)
		g := k.greeting()
		k.send(response(caps, pluginNative, gomysql.CalcNativePassword(g.nonce, []byte("s3cret"))))
		k.requireOK()
	}
	k := dial(t, r)
	k.greeting()
	k.send(response(wire.CapProtocol41|wire.CapSecureConnection, "", nil))
	require.Contains(t, k.requireErr(sqlerr.AccessDenied).Message, "using password: NO")
}

func TestAClientWithAnotherAnswerIsAskedForItsPassword(t *testing.T) {
	r := start(t, nil)
	for password, ok := range map[string]bool{"s3cret": true, "wrong": false, "": false} {
		for _, asks := range []bool{true, false} {
			k := dial(t, r)
			g := k.greeting()
			k.send(response(plainCaps, pluginSHA2, []byte("no scramble")))
			require.Equal(t, []byte{wire.HeaderMoreData, wire.AuthFull}, k.read())
			key, err := r.key()
			require.NoError(t, err)
			public := key.public
			if asks {
				k.send([]byte{wire.AuthAskPublicKey})
				p := k.read()
				require.Equal(t, wire.HeaderMoreData, p[0])
				public = bytes.Clone(p[1:])
			}
			k.send(encrypt(t, public, g.nonce, password))
			if ok {
				k.requireOK()
			} else {
				k.requireErr(sqlerr.AccessDenied)
			}
		}
	}
}

func TestAClientThatHasNoPassword(t *testing.T) {
	r := start(t, nil)
	for _, empty := range []string{"", "\x00"} {
		k := dial(t, r)
		k.greeting()
		k.send(response(plainCaps, pluginSHA2, []byte(empty)))
		if empty == "" {
			require.Equal(t, wire.HeaderEOF, k.read()[0])
			k.send(nil) // as the MariaDB client does
		}
		require.Contains(t, k.requireErr(sqlerr.AccessDenied).Message, "using password: NO")
	}
}

func encrypt(t *testing.T, public, nonce []byte, password string) []byte {
	t.Helper()
	block, _ := pem.Decode(public)
	require.NotNil(t, block)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	plain := append([]byte(password), 0)
	for i := range plain {
		plain[i] ^= nonce[i%len(nonce)]
	}
	out, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key.(*rsa.PublicKey), plain, nil)
	require.NoError(t, err)
	return out
}

func TestPasswordsAreNotTakenInTheClearWhereOthersListen(t *testing.T) {
	r := start(t, nil)
	k := dial(t, r)
	k.greeting()
	k.send(response(plainCaps, pluginSHA2, []byte("no scramble")))
	require.Equal(t, []byte{wire.HeaderMoreData, wire.AuthFull}, k.read())
	k.send([]byte("s3cret\x00"))
	k.requireErr(sqlerr.AccessDenied)
}

func TestClearPasswordOverAUnixSocket(t *testing.T) {
	path := t.TempDir() + "/s.sock"
	r := start(t, func(cfg *Config) { cfg.Listen = []string{"unix:" + path} })
	for auth, ok := range map[string]bool{"s3cret\x00": true, "wrong\x00": false, "s3cret": false, "\x00": false} {
		k := dial(t, r)
		k.greeting()
		k.send(response(plainCaps, pluginClear, []byte(auth)))
		if ok {
			k.requireOK()
		} else {
			k.requireErr(sqlerr.AccessDenied)
		}
	}
}

func TestBrokenLoginsEndOneConnection(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.TLS = serverTLS(t) })
	good := response(plainCaps, pluginSHA2, make([]byte, 32))
	frame := func(seq byte, p []byte) []byte {
		return append([]byte{byte(len(p)), byte(len(p) >> 8), byte(len(p) >> 16), seq}, p...)
	}
	for name, c := range map[string]struct {
		bytes []byte
		code  uint16 // 0: it is only closed
	}{
		"an empty packet":                 {frame(1, nil), codeHandshake},
		"one byte":                        {frame(1, []byte{1}), codeHandshake},
		"a cut response":                  {frame(1, good[:40]), codeHandshake},
		"a scramble longer than the rest": {frame(1, append(bytes.Clone(good[:36]), 0xfd, 0xff, 0xff, 0xff)), codeHandshake},
		"an announced 2^64 bytes":         {frame(1, append(bytes.Clone(good[:36]), 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), codeHandshake},
		"a frame out of order":            {frame(7, good), sqlerr.PacketsOutOfOrder},
		"a packet over the login's limit": {[]byte{0, 0, 2, 1}, sqlerr.PacketTooLarge},
		"HTTP":                            {[]byte("GET / HTTP/1.1\r\n\r\n"), sqlerr.PacketTooLarge},
		"a client before 4.1":             {frame(1, response(wire.CapSecureConnection, "", nil)), codeHandshake},
		"a client before 4.1's passwords": {frame(1, response(wire.CapProtocol41, "", []byte{0})), codeOldAuth},
		"TLS without its request":         {[]byte{0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc}, sqlerr.PacketsOutOfOrder},
		"no TLS behind its request":       {append(frame(1, binary.LittleEndian.AppendUint32(nil, wire.CapSSL|plainCaps)), 0), codeHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			k := dial(t, r)
			k.greeting()
			_, err := k.conn.Write(c.bytes)
			require.NoError(t, err)
			k.r.SetSeq(c.bytes[3] + 1)
			if p, err := k.r.Packet(); err == nil {
				e, err := wire.DecodeErr(p)
				require.NoError(t, err)
				require.Equal(t, c.code, e.Code, e.Message)
			} else {
				// The order of the answer's number is not the client's here.
				require.ErrorIs(t, err, wire.ErrSequence)
			}
			k.requireClosed()
		})
	}
	t.Run("TLS garbage behind its request", func(t *testing.T) {
		k := dial(t, r)
		k.greeting()
		request := response(plainCaps|wire.CapSSL, "", nil)[:32]
		_, err := k.conn.Write(append(frame(1, request), bytes.Repeat([]byte{0xee}, 100)...))
		require.NoError(t, err)
		k.requireClosed()
	})
	require.NoError(t, ping(t, dsn(r, "app", "s3cret", "", "")), "others are served as before")
}

func TestTLSHelloRightBehindItsRequest(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.TLS = serverTLS(t) })
	k := dial(t, r)
	g := k.greeting()
	glued := &glue{Conn: k.conn, first: append([]byte{32, 0, 0, 1}, response(plainCaps|wire.CapSSL, "", nil)[:32]...)}
	over := tls.Client(glued, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, over.HandshakeContext(t.Context()))
	k.r.Reset(over)
	k.w.Reset(over)
	k.r.SetSeq(2)
	k.send(response(plainCaps|wire.CapSSL, pluginSHA2, gomysql.CalcCachingSha2Password(g.nonce, []byte("s3cret"))))
	require.Equal(t, []byte{wire.HeaderMoreData, wire.AuthFastOK}, k.read())
	k.requireOK()
}

// glue writes first together with the first bytes that come.
type glue struct {
	net.Conn
	first []byte
}

func (g *glue) Write(b []byte) (int, error) {
	if g.first == nil {
		return g.Conn.Write(b)
	}
	_, err := g.Conn.Write(append(g.first, b...))
	g.first = nil
	return len(b), err
}

func TestALoginThatTakesTooLongIsClosed(t *testing.T) {
	r := start(t, func(cfg *Config) { cfg.LoginTimeout = 50 * time.Millisecond })
	t.Run("silent", func(t *testing.T) {
		k := dial(t, r)
		k.greeting()
		k.requireClosed()
	})
	t.Run("one byte at a time", func(t *testing.T) {
		k := dial(t, r)
		k.greeting()
		began := time.Now()
		for range 200 { // far longer than the timeout, never silent for long
			if _, err := k.conn.Write([]byte{1}); err != nil {
				break
			}
			if time.Since(began) > 10*time.Second {
				break
			}
			_ = k.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if _, err := k.conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				break
			}
		}
		_ = k.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		k.requireClosed()
	})
	t.Run("in the middle of TLS", func(t *testing.T) {
		r := start(t, func(cfg *Config) { cfg.LoginTimeout, cfg.TLS = 50*time.Millisecond, serverTLS(t) })
		k := dial(t, r)
		k.greeting()
		k.send(response(plainCaps|wire.CapSSL, "", nil)[:32])
		k.requireClosed()
	})
}

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert: cert, key: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{newCA(t).issue(t)}}
}

func writeFile(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }
