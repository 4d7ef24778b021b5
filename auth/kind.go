package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ofKind says whether a key can have made a signature of an algorithm.
func ofKind(key any, algorithm string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return map[string]int{string(jose.ES256): 256, string(jose.ES384): 384, string(jose.ES512): 521}[algorithm] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}
