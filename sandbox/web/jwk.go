package web

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// jwk is a JSON Web Key of two halves: RFC 7518, section 6, and RFC 8037. Numbers are in base64url.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	D   string `json:"d,omitempty"`
	P   string `json:"p,omitempty"`
	Q   string `json:"q,omitempty"`
	Dp  string `json:"dp,omitempty"`
	Dq  string `json:"dq,omitempty"`
	Qi  string `json:"qi,omitempty"`
}

func readJWK(data []byte) (any, error) {
	var k jwk
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, err
	}
	r := jwkReader{}
	var key any
	switch k.Kty {
	case "RSA":
		key = k.rsa(&r)
	case "EC":
		key = k.ec(&r)
	case "OKP":
		key = k.okp(&r)
	default:
		return nil, fmt.Errorf("its kty is %q", k.Kty)
	}
	return key, r.err
}

// jwkReader keeps the first error.
type jwkReader struct{ err error }

func (r *jwkReader) bytes(name, text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	switch {
	case r.err != nil:
	case text == "":
		r.err = fmt.Errorf("it has no %q", name)
	case err != nil:
		r.err = fmt.Errorf("its %q is not base64url: %w", name, err)
	}
	return b
}

func (r *jwkReader) number(name, text string) *big.Int {
	return new(big.Int).SetBytes(r.bytes(name, text))
}

func (k *jwk) rsa(r *jwkReader) any {
	n, e := r.number("n", k.N), r.number("e", k.E)
	if r.err == nil && (n.BitLen() > maxRSABits || e.BitLen() > 31) {
		r.err = fmt.Errorf("its n has %d bits and its e %d, the limits are %d and 31", n.BitLen(), e.BitLen(), maxRSABits)
	}
	public := rsa.PublicKey{N: n, E: int(e.Int64())}
	if k.D == "" || r.err != nil {
		return &public
	}
	private := &rsa.PrivateKey{PublicKey: public, D: r.number("d", k.D), Primes: []*big.Int{r.number("p", k.P), r.number("q", k.Q)}}
	if r.err == nil {
		private.Precompute()
		r.err = private.Validate()
	}
	return private
}

func (k *jwk) ec(r *jwkReader) any {
	curve := curves[k.Crv]
	if curve == nil {
		r.err = fmt.Errorf("its crv is %q", k.Crv)
		return nil
	}
	size := (curve.Params().BitSize + 7) / 8
	x, y := r.bytes("x", k.X), r.bytes("y", k.Y)
	if r.err == nil && (len(x) != size || len(y) != size) {
		r.err = fmt.Errorf("its x and y have %d and %d bytes, not %d", len(x), len(y), size)
	}
	if r.err != nil {
		return nil
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
	if err != nil || k.D == "" {
		r.err = err
		return public
	}
	private, err := ecdsa.ParseRawPrivateKey(curve, r.bytes("d", k.D))
	if r.err == nil {
		r.err = err
	}
	if r.err == nil && !private.PublicKey.Equal(public) {
		r.err = errors.New("its d does not belong to its x and y")
	}
	return private
}

func (k *jwk) okp(r *jwkReader) any {
	x := r.bytes("x", k.X)
	if r.err == nil && (k.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize) {
		r.err = fmt.Errorf("its crv is %q, and its x has %d bytes; there is Ed25519 with 32", k.Crv, len(x))
	}
	if k.D == "" || r.err != nil {
		return ed25519.PublicKey(x)
	}
	d := r.bytes("d", k.D)
	if r.err == nil && len(d) != ed25519.SeedSize {
		r.err = fmt.Errorf("its d has %d bytes, not 32", len(d))
	}
	if r.err != nil {
		return nil
	}
	private := ed25519.NewKeyFromSeed(d)
	if !private.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(x)) {
		r.err = errors.New("its d does not belong to its x")
	}
	return private
}

func writeJWK(key any) *jwk {
	number := func(n *big.Int) string { return encode64(n.Bytes()) }
	switch k := key.(type) {
	case *rsa.PublicKey:
		return &jwk{Kty: "RSA", N: number(k.N), E: number(big.NewInt(int64(k.E)))}
	case *rsa.PrivateKey:
		j := writeJWK(&k.PublicKey)
		j.D, j.P, j.Q = number(k.D), number(k.Primes[0]), number(k.Primes[1])
		j.Dp, j.Dq, j.Qi = number(k.Precomputed.Dp), number(k.Precomputed.Dq), number(k.Precomputed.Qinv)
		return j
	case *ecdsa.PublicKey:
		b, err := k.Bytes()
		if err != nil {
			panic(err) // it was imported
		}
		half := len(b) / 2
		return &jwk{Kty: "EC", Crv: k.Curve.Params().Name, X: encode64(b[1 : 1+half]), Y: encode64(b[1+half:])}
	case *ecdsa.PrivateKey:
		j := writeJWK(&k.PublicKey)
		d, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		j.D = encode64(d)
		return j
	case ed25519.PublicKey:
		return &jwk{Kty: "OKP", Crv: "Ed25519", X: encode64(k)}
	case ed25519.PrivateKey:
		j := writeJWK(k.Public().(ed25519.PublicKey))
		j.D = encode64(k.Seed())
		return j
	}
	panic(fmt.Sprintf("a key of type %T", key)) // newMaterial lets no other in
}
