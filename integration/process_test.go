package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// Without a file: pure read/write splitting in front of one cluster.
func TestPrimaryAndReplicaWithoutFile(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		c := s.Clusters(t)[0]
		listen, admin := freeAddr(t), freeAddr(t)
		p := startServe(t, listen, admin, "--primary", c.Primary.Addr(), "--replica", c.Replicas[0].Addr(),
			"--listen", listen, "--admin", admin, "--user", appUser, "--password", appPassword)
		db := p.open(t, "")
		mustExec(t, db, "DROP DATABASE IF EXISTS nofile", "CREATE DATABASE nofile", "CREATE TABLE nofile.t (id INT PRIMARY KEY)")
		t.Cleanup(func() { require.NoError(t, c.Primary.Exec(context.Background(), "DROP DATABASE IF EXISTS nofile")) })
		conn := oneConn(t, db)
		for i := range 50 {
			_, err := conn.ExecContext(t.Context(), "INSERT INTO nofile.t VALUES (?)", i)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i+1), one(t, conn, "SELECT COUNT(*) FROM nofile.t"))
		}
	})
}

func TestHealthAndMetrics(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "health")
		db := p.open(t, "health")
		fillT(t, db, 10)
		s.sync(t)
		one(t, db, "SELECT COUNT(*) FROM t")
		require.NotEmpty(t, p.get(t, "/healthz"))
		require.NotEmpty(t, p.get(t, "/readyz"))
		metrics := p.get(t, "/metrics")
		require.Contains(t, metrics, "# TYPE serval_")
		for _, series := range []string{"serval_", "go_goroutines"} {
			require.Contains(t, metrics, series)
		}
	})
}

// A SIGTERM lets what runs come to its end, and takes nothing new.
func TestDrain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "drain")
		db := p.open(t, "drain")
		fillT(t, db, 10)
		s.sync(t)
		slow, idle := oneConn(t, db), oneConn(t, db)
		require.NoError(t, idle.PingContext(t.Context()))
		answered := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			var n int
			answered <- slow.QueryRowContext(t.Context(), "SELECT SLEEP(1.5) FROM t WHERE id = 1").Scan(&n)
		}()
		<-begun
		eventually(t, 5*time.Second, func() error { return runs(t, s, "drain", "SLEEP(1.5)") })
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, <-answered, "the running statement is answered")
		select {
		case <-p.done:
			require.NoError(t, p.err)
		case <-time.After(30 * time.Second):
			t.Fatal("serval does not end")
		}
		_, err := net.DialTimeout("tcp", p.Addr, time.Second)
		require.Error(t, err, "nobody listens any more")
	})
}

// runs is nil when one of the servers runs a statement with this text in the
// schema or one of its shards.
func runs(t *testing.T, s *serverSet, schema, text string) error {
	t.Helper()
	for _, c := range s.Clusters(t) {
		for _, server := range c.Servers() {
			var n int
			err := server.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE ?"+
				" AND CONCAT_WS(' ', DB, INFO) LIKE ?", "%"+text+"%", "%"+schema+"%").Scan(&n)
			if err != nil {
				return err
			}
			if n > 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("no server runs %s", text)
}

// SIGHUP reads the file again: a bad one never takes effect, a good one does.
func TestReload(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "reload")
		db := p.open(t, "reload")
		fillT(t, db, 10)
		s.sync(t)
		good, err := os.ReadFile(p.Config)
		require.NoError(t, err)
		signal := func(content string) {
			require.NoError(t, os.WriteFile(p.Config, []byte(content), 0o600))
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
		}
		as := func(password string) error {
			return p.open(t, "reload", func(c *mysql.Config) { c.Passwd = password }).PingContext(t.Context())
		}
		changed := strings.Replace(string(good), "password: "+appPassword, "password: changed", 1)

		signal(strings.Replace(changed, "clusters:", "clutsers:", 1))
		eventually(t, 10*time.Second, func() error {
			if !strings.Contains(p.log.String(), "clutsers") {
				return fmt.Errorf("the log does not tell the unknown key")
			}
			return nil
		})
		require.NoError(t, as(appPassword), "the running rules stay")
		require.Equal(t, "10", one(t, db, "SELECT COUNT(*) FROM t"))

		others := strings.Replace(changed, "shards: 8", "shards: 4", 1)
		require.NotEqual(t, changed, others)
		signal(others)
		eventually(t, 10*time.Second, func() error {
			if !strings.Contains(p.log.String(), "serval reshard plan") {
				return fmt.Errorf("the log does not tell that rows would not be found, nor what moves them")
			}
			return nil
		})
		require.NoError(t, as(appPassword), "the running rules stay")
		require.Equal(t, "10", one(t, db, "SELECT COUNT(*) FROM t"))

		signal(changed)
		eventually(t, 10*time.Second, func() error { return as("changed") })
		require.Error(t, as(appPassword), "the old password is gone")
		require.Equal(t, "10", one(t, db, "SELECT COUNT(*) FROM t"), "connections go on")
	})
}

// A config that is wrong is refused at start with its line.
func TestBadConfigIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(file, []byte("listen: 127.0.0.1:0\nclutsers: {}\n"), 0o600))
	for _, command := range []string{"serve", "check"} {
		out, err := runServal(command, "-c", file)
		require.Error(t, err)
		require.Contains(t, out, "bad.yaml:2")
		require.Contains(t, out, "clusters", "the nearest known key is named")
	}
}

func TestTLS(t *testing.T) {
	cert, key := selfSigned(t)
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		t.Cleanup(func() { dropSchema(t, clusters, "tlstest") })
		p := startServal(t, s, settings{Schema: "tlstest", Tables: simpleTables, Extra: fmt.Sprintf("tls: {cert: %q, key: %q}\n", cert, key)})
		pool := x509.NewCertPool()
		text, err := os.ReadFile(cert)
		require.NoError(t, err)
		require.True(t, pool.AppendCertsFromPEM(text))
		name := "serval-" + s.engine.String()
		require.NoError(t, mysql.RegisterTLSConfig(name, &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}))
		db := p.open(t, "", func(c *mysql.Config) { c.TLSConfig = name })
		require.Equal(t, "1", one(t, db, "SELECT 1"))
		conn := oneConn(t, db)
		mustExec(t, conn, "CREATE DATABASE IF NOT EXISTS tlstest", "USE tlstest", createT)
		require.Equal(t, "0", one(t, conn, "SELECT COUNT(*) FROM tlstest.t"))
		require.Equal(t, "1", one(t, p.open(t, ""), "SELECT 1"), "without TLS, too")
	})
}

// selfSigned writes a certificate for localhost and its key.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certFile, keyFile
}

// A broken packet ends its connection and nothing else.
func TestBadPackets(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "badpackets")
		db := p.open(t, "badpackets")
		fillT(t, db, 10)
		s.sync(t)
		for name, bytes := range map[string][]byte{
			"nothing":                  {},
			"half a header":            {1, 0},
			"an empty packet":          {0, 0, 0, 1},
			"a header and no body":     {200, 0, 0, 1},
			"a truncated body":         {200, 0, 0, 1, 1, 2, 3},
			"an oversized length":      {255, 255, 255, 1, 0},
			"zeros":                    make([]byte, 64),
			"a wrong sequence":         {4, 0, 0, 77, 1, 2, 3, 4},
			"a short login":            {5, 0, 0, 1, 0x85, 0xa6, 0xff, 0x01, 0},
			"a login that never ends":  append([]byte{36, 0, 0, 1, 0x85, 0xa6, 0xff, 0x01, 0, 0, 0, 1, 45}, make([]byte, 23)...),
			"another protocol's hello": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		} {
			t.Run(name, func(t *testing.T) {
				conn, err := net.Dial("tcp", p.Addr)
				require.NoError(t, err)
				defer func() { _ = conn.Close() }()
				require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
				greeting := make([]byte, 4)
				_, err = io.ReadFull(conn, greeting)
				require.NoError(t, err)
				_, err = io.CopyN(io.Discard, conn, int64(greeting[0])|int64(greeting[1])<<8|int64(greeting[2])<<16)
				require.NoError(t, err)
				_, err = conn.Write(bytes)
				require.NoError(t, err)
				require.NoError(t, conn.(*net.TCPConn).CloseWrite())
				_, err = io.Copy(io.Discard, conn)
				if err != nil {
					require.ErrorIs(t, err, syscall.ECONNRESET, "it is closed, not left open")
				}
				require.Equal(t, "10", one(t, db, "SELECT COUNT(*) FROM t"), "everybody else goes on")
			})
		}
	})
}

func TestCheckAndExplain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		p := startWithT(t, s, "checked")
		out, err := runServal("check", "-c", p.Config)
		require.NoError(t, err, "%s", out)
		out, err = runServal("explain", "-c", p.Config, "SELECT * FROM checked.t WHERE id = 5")
		require.NoError(t, err, "%s", out)
		require.Contains(t, out, "single")
	})
}
