package proxy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the protocol says OAEP with SHA-1
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

const rsaBits = 2048

// rsaKey is what a client without TLS encrypts its password with. It lives as
// long as the process: clients ask for the public half each time, or get it
// from Serval by asking once.
type rsaKey struct {
	private *rsa.PrivateKey
	public  []byte // PEM
}

func newRSAKey() (*rsaKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("proxy: make RSA key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("proxy: encode RSA key: %w", err)
	}
	return &rsaKey{private: private, public: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
}

// password decrypts what a client made of its password and the nonce; ok is
// false for anything else.
func (k *rsaKey) password(ciphertext, nonce []byte) (password []byte, ok bool) {
	if len(ciphertext) != k.private.Size() {
		return nil, false
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, k.private, ciphertext, nil)
	if err != nil {
		return nil, false
	}
	for i := range plain {
		plain[i] ^= nonce[i%len(nonce)]
	}
	return cutNUL(plain)
}

// cutNUL takes off the NUL behind a password; without one it is none.
func cutNUL(b []byte) ([]byte, bool) {
	if n := len(b) - 1; n >= 0 && b[n] == 0 {
		return b[:n], true
	}
	return nil, false
}
