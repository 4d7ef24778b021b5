package web

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

const (
	maxRSABits = 4096     // of a key's modulus: one signature with it takes some milliseconds
	minRSABits = 1024     // crypto/rsa does nothing with less
	maxKeySize = 16 << 10 // bytes of a key in whatever format, five times those of such a key; nothing stops its parser
)

// material is a key of two halves as a script keeps it: JSON.
type material struct {
	Type     string `json:"type"`               // public or private
	DER      []byte `json:"der"`                // SubjectPublicKeyInfo or PKCS #8
	Curve    string `json:"curve,omitempty"`    // of ECDSA, as P-256
	Bits     int    `json:"bits,omitempty"`     // of the modulus of RSA
	Exponent string `json:"exponent,omitempty"` // of RSA, in base64url
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// newMaterial takes over a key of crypto/rsa, ecdsa or ed25519 for an algorithm.
func newMaterial(algorithm string, key any) (*material, error) {
	kind := kindOf(key)
	if kind == "" || kind != algorithm && !(kind == "RSA" && (algorithm == "RSASSA-PKCS1-v1_5" || algorithm == "RSA-PSS")) {
		return nil, fail("DataError", "the key is not one of %s", algorithm)
	}
	m := &material{Type: "public"}
	var err error
	public := key
	if private, ok := key.(crypto.Signer); ok {
		m.Type, public = "private", private.Public()
		m.DER, err = x509.MarshalPKCS8PrivateKey(key)
	} else {
		m.DER, err = x509.MarshalPKIXPublicKey(key)
	}
	if err != nil {
		return nil, fail("DataError", "%v", err)
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		m.Bits, m.Exponent = k.N.BitLen(), encode64(big.NewInt(int64(k.E)).Bytes())
		switch {
		case m.Bits > maxRSABits:
			return nil, fail("NotSupportedError", "a key of %d bits is more than the %d that there are", m.Bits, maxRSABits)
		case m.Bits < minRSABits:
			return nil, fail("NotSupportedError", "a key of %d bits is less than the %d that protect anything", m.Bits, minRSABits)
		case k.E < 3 || k.E%2 == 0:
			return nil, fail("DataError", "the exponent %d is not one of RSA", k.E)
		}
	case *ecdsa.PublicKey:
		m.Curve = k.Curve.Params().Name
	}
	return m, nil
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// readMaterial reads what result has written. Scripts keep it out of their own reach, but one that replaces what JavaScript is made of could change it.
func readMaterial(b []byte) (*material, any, error) {
	if len(b) > maxKeySize {
		return nil, nil, fail("DataError", "the key is damaged: it has %d bytes", len(b))
	}
	var m material
	var key any
	err := json.Unmarshal(b, &m)
	if err == nil {
		key, err = m.key()
	}
	if err == nil && kindOf(key) == "" {
		err = fmt.Errorf("it is a %T", key)
	}
	if err != nil {
		return nil, nil, fail("DataError", "the key is damaged: %v", err)
	}
	return &m, key, nil
}

func (m *material) key() (any, error) {
	if m.Type == "private" {
		return x509.ParsePKCS8PrivateKey(m.DER)
	}
	return x509.ParsePKIXPublicKey(m.DER)
}

// kindOf is RSA, ECDSA or Ed25519, and empty for the other keys that are read by crypto/x509.
func kindOf(key any) string {
	switch key.(type) {
	case *rsa.PublicKey, *rsa.PrivateKey:
		return "RSA"
	case *ecdsa.PublicKey, *ecdsa.PrivateKey:
		return "ECDSA"
	case ed25519.PublicKey, ed25519.PrivateKey:
		return "Ed25519"
	}
	return ""
}

// importKey reads a key (3) in a format (0) for an algorithm (1) and a curve (2). The result is its material.
func importKey(c *Call) (Result, error) {
	format, algorithm, curve, data := c.word(0), c.word(1), c.word(2), c.argument(3)
	var key any
	var err error
	if len(data) > maxKeySize {
		return Result{}, fail("DataError", "crypto.subtle.importKey: a key has %d bytes at most, not %d", maxKeySize, len(data))
	}
	switch format {
	case "spki":
		key, err = x509.ParsePKIXPublicKey(data)
	case "pkcs8":
		key, err = x509.ParsePKCS8PrivateKey(data)
	case "raw":
		if algorithm == "ECDSA" && curves[curve] != nil {
			key, err = ecdsa.ParseUncompressedPublicKey(curves[curve], data)
		} else if key = ed25519.PublicKey(data); len(data) != ed25519.PublicKeySize {
			err = fail("DataError", "a public key of Ed25519 has 32 bytes, not %d", len(data))
		}
	case "jwk":
		key, err = readJWK(data)
	default:
		err = fail("NotSupportedError", "there is no format %q", format)
	}
	if err != nil {
		return Result{}, fail("DataError", "crypto.subtle.importKey: it is not a key as %s: %v", format, err)
	}
	m, err := newMaterial(algorithm, key)
	if err != nil {
		return Result{}, err
	}
	if m.Curve != curve {
		return Result{}, fail("DataError", "crypto.subtle.importKey: the key is on the curve %s, not on %s", m.Curve, curve)
	}
	return m.result()
}

func (m *material) result() (Result, error) {
	b, err := json.Marshal(m)
	return Result{Bytes: b, Text: true}, err
}

// exportKey writes a key (1) in a format (0).
func exportKey(c *Call) (Result, error) {
	m, key, err := readMaterial(c.argument(1))
	if err != nil {
		return Result{}, err
	}
	switch format := c.word(0); {
	case format == "jwk":
		b, err := json.Marshal(writeJWK(key))
		return Result{Bytes: b, Text: true}, err
	case format == "spki" && m.Type == "public", format == "pkcs8" && m.Type == "private":
		return Result{Bytes: m.DER}, nil
	case format == "raw":
		switch k := key.(type) {
		case *ecdsa.PublicKey:
			b, err := k.Bytes()
			return Result{Bytes: b}, err
		case ed25519.PublicKey:
			return Result{Bytes: k}, nil
		}
	}
	return Result{}, fail("InvalidAccessError", "a %s key cannot be exported as %s", m.Type, c.word(0))
}

// generateKey makes a pair for an algorithm (0) and a curve (1): JSON with the materials of both, as text each.
func generateKey(c *Call) (Result, error) {
	if _, err := c.drawn(0); err != nil {
		return Result{}, err
	}
	var private, public any
	switch algorithm := c.word(0); algorithm {
	case "ECDSA":
		curve := curves[c.word(1)]
		if curve == nil {
			return Result{}, fail("NotSupportedError", "there is no curve %q", c.word(1))
		}
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return Result{}, fail("OperationError", "%v", err)
		}
		private, public = k, &k.PublicKey
	case "Ed25519":
		var err error
		if public, private, err = ed25519.GenerateKey(nil); err != nil {
			return Result{}, fail("OperationError", "%v", err)
		}
	default:
		return Result{}, fail("NotSupportedError", "keys of %s are not generated here", algorithm)
	}
	pair := map[string]string{}
	for name, key := range map[string]any{"public": public, "private": private} {
		m, err := newMaterial(c.word(0), key)
		if err != nil {
			return Result{}, err
		}
		r, err := m.result()
		if err != nil {
			return Result{}, err
		}
		pair[name] = string(r.Bytes)
	}
	b, err := json.Marshal(pair)
	return Result{Bytes: b, Text: true}, err
}
