package web

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// signing is what crypto.sign and crypto.verify are called with: algorithm (0), hash (1), length of the salt (2), key (3), data (4).
type signing struct {
	algorithm string
	hash      crypto.Hash // none for Ed25519
	salt      int         // bytes, of RSA-PSS
	digest    []byte
	key       any
}

func (c *Call) signing() (s signing, err error) {
	s.algorithm = c.word(0)
	if s.algorithm != "Ed25519" {
		if s.hash, err = c.hash(1); err != nil {
			return s, err
		}
	}
	switch s.algorithm {
	case "HMAC":
		mac := hmac.New(s.hash.New, c.argument(3))
		c.write(mac, c.argument(4))
		s.digest = mac.Sum(nil)
		return s, nil
	case "Ed25519":
		s.digest = c.argument(4) // it hashes by itself
		if len(s.digest) > maxSealed {
			return s, fail("OperationError", "%d bytes are more than the %d that Ed25519 signs in one piece", len(s.digest), maxSealed)
		}
	default:
		sum := s.hash.New()
		c.write(sum, c.argument(4))
		s.digest = sum.Sum(nil)
	}
	if s.algorithm == "RSA-PSS" {
		if s.salt, err = c.number(2, maxRSABits/8, "saltLength"); err != nil {
			return s, err
		}
		if s.salt == 0 { // which means something else to crypto/rsa
			return s, fail("NotSupportedError", "signatures without salt are not there; saltLength is mostly the size of the hash in bytes")
		}
	}
	_, s.key, err = readMaterial(c.argument(3))
	return s, err
}

func cryptoSign(c *Call) (Result, error) {
	s, err := c.signing()
	if err != nil {
		return Result{}, err
	}
	var signature []byte
	switch k := s.key.(type) {
	case nil:
		return Result{Bytes: s.digest}, nil
	case *rsa.PrivateKey:
		if s.algorithm == "RSA-PSS" {
			signature, err = rsa.SignPSS(rand.Reader, k, s.hash, s.digest, &rsa.PSSOptions{SaltLength: s.salt})
		} else {
			signature, err = rsa.SignPKCS1v15(nil, k, s.hash, s.digest)
		}
	case *ecdsa.PrivateKey:
		signature, err = signECDSA(k, s.digest)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, s.digest)
	default:
		return Result{}, fail("InvalidAccessError", "the key is not one to sign with")
	}
	if err != nil {
		return Result{}, fail("OperationError", "it cannot be signed: %v", err)
	}
	return Result{Bytes: signature}, nil
}

func signECDSA(k *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, k, digest)
	if err != nil {
		return nil, err
	}
	size := (k.Curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out, nil
}

// cryptoVerify says "true" when a signature (5) is one of the data.
func cryptoVerify(c *Call) (Result, error) {
	s, err := c.signing()
	if err != nil {
		return Result{}, err
	}
	signature, good := c.argument(5), false
	switch k := s.key.(type) {
	case nil:
		good = hmac.Equal(s.digest, signature)
	case *rsa.PublicKey:
		if s.algorithm == "RSA-PSS" {
			good = rsa.VerifyPSS(k, s.hash, s.digest, signature, &rsa.PSSOptions{SaltLength: s.salt}) == nil
		} else {
			good = rsa.VerifyPKCS1v15(k, s.hash, s.digest, signature) == nil
		}
	case *ecdsa.PublicKey:
		if size := (k.Curve.Params().BitSize + 7) / 8; len(signature) == 2*size {
			good = ecdsa.Verify(k, s.digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
		}
	case ed25519.PublicKey:
		good = ed25519.Verify(k, s.digest, signature)
	}
	answer := "false"
	if good {
		answer = "true"
	}
	return Result{Bytes: []byte(answer), Text: true}, nil
}
