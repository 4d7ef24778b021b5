package web

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	_ "crypto/sha1" // registers itself, as the two below
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"strconv"
)

const (
	maxRandom  = 65536    // bytes of one call
	maxSealed  = 16 << 20 // bytes that are encrypted in one piece, in a few milliseconds
	maxDerived = 64 << 10 // bytes of one derivation
	maxMixedIn = 64 << 10 // bytes of what is hashed anew for each block of it
	pieceSize  = 1 << 20  // what is hashed between two looks at the time
)

var hashes = map[string]crypto.Hash{"SHA-1": crypto.SHA1, "SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}

// hash is the one that an argument names.
func (c *Call) hash(n int) (crypto.Hash, error) {
	h, ok := hashes[c.word(n)]
	if !ok {
		return 0, fail("NotSupportedError", "there is no hash %q", c.word(n))
	}
	return h, nil
}

// number is an argument that is one, of at most a size.
func (c *Call) number(n, most int, what string) (int, error) {
	v, err := strconv.Atoi(c.word(n))
	if err != nil || v < 0 || v > most {
		return 0, fail("OperationError", "%s is a whole number from 0 to %d, not %q", what, most, c.word(n))
	}
	return v, nil
}

// write gives data to a hash, unless the time is over: what comes out then is of no use to anybody.
func (c *Call) write(h hash.Hash, data []byte) {
	for len(data) > 0 && !c.Stop() {
		piece := data[:min(len(data), pieceSize)]
		h.Write(piece)
		data = data[len(piece):]
	}
}

// drawn is n random bytes. Those that a snapshot holds would be the same in all events, so there are none before there is one.
func (c *Call) drawn(n int) ([]byte, error) {
	if !c.Event {
		return nil, fail("NotAllowedError", "random numbers that are drawn before there is an event would be the same in all events. Try: draw them in the handler")
	}
	b := make([]byte, n)
	rand.Read(b) // does not fail
	return b, nil
}

// cryptoRandom gives random bytes, so many (0).
func cryptoRandom(c *Call) (Result, error) {
	n, err := c.number(0, maxRandom, "what is drawn")
	if err != nil {
		return Result{}, err
	}
	b, err := c.drawn(n)
	return Result{Bytes: b}, err
}

func cryptoUUID(c *Call) (Result, error) {
	b, err := c.drawn(16)
	if err != nil {
		return Result{}, err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := hex.AppendEncode(nil, b)
	for n, at := range []int{8, 12, 16, 20} {
		text = append(text[:at+n], append([]byte("-"), text[at+n:]...)...)
	}
	return Result{Bytes: text, Text: true}, nil
}

// cryptoDigest is the hash (0) of data (1).
func cryptoDigest(c *Call) (Result, error) {
	h, err := c.hash(0)
	if err != nil {
		return Result{}, err
	}
	sum := h.New()
	c.write(sum, c.argument(1))
	return Result{Bytes: sum.Sum(nil)}, nil
}

func decodeBase64URL(c *Call) (Result, error) {
	b, err := base64.RawURLEncoding.DecodeString(c.text(0))
	if err != nil {
		return Result{}, fail("DataError", "it is not base64url: %v", err)
	}
	return Result{Bytes: b}, nil
}

func encodeBase64URL(c *Call) (Result, error) {
	return Result{Bytes: base64.RawURLEncoding.AppendEncode(nil, c.argument(0)), Text: true}, nil
}

// gcm is AES-GCM with a key (0), an iv (1) and a tag of some bits (3).
func (c *Call) gcm() (cipher.AEAD, error) {
	block, err := aes.NewCipher(c.argument(0))
	if err != nil {
		return nil, fail("OperationError", "%v", err)
	}
	iv, tag, size := len(c.argument(1)), c.word(3), len(c.argument(1))+len(c.argument(2))+len(c.argument(4))
	bits, err := c.number(3, 128, "tagLength")
	switch {
	case err != nil:
		return nil, err
	case iv == 0:
		return nil, fail("OperationError", "the iv is empty; it has 12 bytes that were never used with the key")
	case size > maxSealed:
		return nil, fail("OperationError", "%d bytes are more than the %d that are encrypted in one piece", size, maxSealed)
	case bits == 128:
		return cipher.NewGCMWithNonceSize(block, iv)
	case iv == 12 && bits%8 == 0 && bits >= 96:
		return cipher.NewGCMWithTagSize(block, bits/8)
	}
	return nil, fail("NotSupportedError", "a tagLength of %s with an iv of %d bytes is not there; take 128", tag, iv)
}

// cryptoSeal encrypts data (4), with what else is to be authenticated (2).
func cryptoSeal(c *Call) (Result, error) {
	g, err := c.gcm()
	if err != nil {
		return Result{}, err
	}
	return Result{Bytes: g.Seal(nil, c.argument(1), c.argument(4), c.argument(2))}, nil
}

func cryptoOpen(c *Call) (Result, error) {
	g, err := c.gcm()
	if err != nil {
		return Result{}, err
	}
	b, err := g.Open(nil, c.argument(1), c.argument(4), c.argument(2))
	if err != nil {
		return Result{}, fail("OperationError", "it cannot be decrypted: another key, another iv, other additionalData, or changed on its way")
	}
	return Result{Bytes: b}, nil
}

// cryptoHKDF derives bytes, so many (4), with a hash (0) from a key (1), a salt (2) and an info (3).
func cryptoHKDF(c *Call) (Result, error) {
	h, err := c.hash(0)
	if err != nil {
		return Result{}, err
	}
	n, err := c.number(4, maxDerived, "the length in bytes")
	if err != nil {
		return Result{}, err
	}
	if len(c.argument(3)) > maxMixedIn {
		return Result{}, fail("OperationError", "the info has %d bytes, the limit is %d", len(c.argument(3)), maxMixedIn)
	}
	b, err := hkdf.Key(h.New, c.argument(1), c.argument(2), c.text(3), n)
	if err != nil {
		return Result{}, fail("OperationError", "%v", err)
	}
	return Result{Bytes: b}, nil
}

// cryptoPBKDF2 derives bytes, so many (4), with a hash (0) from a password (1), a salt (2) and so many iterations (3). It is RFC 8018, section 5.2, and not crypto/pbkdf2, which nothing stops before its end.
func cryptoPBKDF2(c *Call) (Result, error) {
	h, err := c.hash(0)
	if err != nil {
		return Result{}, err
	}
	iterations, err := c.number(3, math.MaxInt32, "iterations")
	if err == nil && iterations == 0 {
		err = fail("OperationError", "iterations is a number from 1 on")
	}
	if err != nil {
		return Result{}, err
	}
	n, err := c.number(4, maxDerived, "the length in bytes")
	if err != nil {
		return Result{}, err
	}
	if len(c.argument(2)) > maxMixedIn {
		return Result{}, fail("OperationError", "the salt has %d bytes, the limit is %d", len(c.argument(2)), maxMixedIn)
	}
	const often = 1024 // iterations between two looks at the time
	mac := hmac.New(h.New, c.argument(1))
	out := make([]byte, 0, n+h.Size())
	for block := uint32(1); len(out) < n; block++ {
		mac.Reset()
		mac.Write(binary.BigEndian.AppendUint32(append([]byte(nil), c.argument(2)...), block))
		u := mac.Sum(nil)
		t := append([]byte(nil), u...)
		for i := 1; i < iterations && (i%often != 0 || !c.Stop()); i++ {
			mac.Reset()
			mac.Write(u)
			u = mac.Sum(u[:0])
			for k := range t {
				t[k] ^= u[k]
			}
		}
		if c.Stop() {
			break
		}
		out = append(out, t...)
	}
	return Result{Bytes: out[:min(n, len(out))]}, nil
}
