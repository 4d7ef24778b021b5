// Package auth tells who sent a request: it makes and checks the secrets of tokens and API keys, and verifies JSON Web Tokens with the keys of their issuers.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"
)

// Prefixes tell secrets apart, for people and for programs that look for leaked ones. All of them match ev[tk]_[a-z2-7]{16}_[a-z2-7]{52}.
const (
	TokenPrefix = "evt_" // of the management API
	KeyPrefix   = "evk_" // of data traffic
)

const (
	idBytes, secretBytes = 10, 32
	idLength             = 16 // in base32
	secretLength         = 52
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewSecret makes a secret with a prefix. Only its id and its hash are kept.
func NewSecret(prefix string) (text, id string) {
	var b [idBytes + secretBytes]byte
	rand.Read(b[:]) // never fails: the runtime ends the process first
	id = letters.EncodeToString(b[:idBytes])
	return prefix + id + "_" + letters.EncodeToString(b[idBytes:]), id
}

// SecretID takes the id out of a secret with this prefix; ok is false when the text is none.
func SecretID(prefix, text string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(rest) != idLength+1+secretLength || rest[idLength] != '_' {
		return "", false
	}
	for i := range len(rest) {
		if c := rest[i]; i != idLength && (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", false
		}
	}
	return rest[:idLength], true
}

// Hash is what is kept of a secret. It has 256 random bits, so that nobody can try them all and a slow hash would add nothing.
func Hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// Matches compares a secret with a hash, in a time that tells nothing.
func Matches(text string, hash []byte) bool {
	sum := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(sum[:], hash) == 1
}
