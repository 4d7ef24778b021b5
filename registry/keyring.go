package registry

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// ErrNoKey: a secret cannot be sealed or opened, because the key for it is not here.
var ErrNoKey = errors.New("no key")

// keySize is that of AES-256.
const keySize = 32

// KeyRing are the keys of the secrets: the first one seals, each opens what it has sealed. Its methods may be called by many goroutines.
type KeyRing struct {
	origin string // where the keys come from, for messages
	path   string // of the file that is made for the first secret; "" = none is

	mu   sync.RWMutex
	keys []sealingKey
}

// sealingKey is AES-256-GCM with a random nonce, which crypto/cipher makes and puts in front.
type sealingKey struct {
	id   string
	aead cipher.AEAD
}

// NewKeyRing reads keys from a text: each is 32 bytes as base64, on a line of its own or behind a comma; what follows a # is a comment. origin says where the text is from.
func NewKeyRing(origin, text string) (*KeyRing, error) {
	k := &KeyRing{origin: origin}
	var err error
	if k.keys, err = parseKeys(origin, text); err != nil {
		return nil, err
	}
	return k, nil
}

// OpenKeyRing reads the keys in a file. make says that a file that is not there is no error: it is made, with one key, for the first secret.
func OpenKeyRing(path string, make bool) (*KeyRing, error) {
	text, err := os.ReadFile(path)
	if make && errors.Is(err, fs.ErrNotExist) {
		return &KeyRing{origin: path, path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of the secrets: %w", err)
	}
	return NewKeyRing(path, string(text))
}

func parseKeys(origin, text string) (keys []sealingKey, err error) {
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			raw, err := base64.StdEncoding.DecodeString(part)
			switch { // without the text: it may be a key with a slip
			case err != nil:
				return nil, fmt.Errorf("%s: line %d is no base64; a key is made by: head -c 32 /dev/urandom | base64", origin, n+1)
			case len(raw) != keySize:
				return nil, fmt.Errorf("%s: line %d is a key of %d bytes, not %d; one is made by: head -c 32 /dev/urandom | base64", origin, n+1, len(raw), keySize)
			}
			keys = append(keys, newSealingKey(raw))
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: there is no key; one is made by: head -c 32 /dev/urandom | base64", origin)
	}
	return keys, nil
}

func newSealingKey(raw []byte) sealingKey {
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block that GCM wants
	}
	sum := sha256.Sum256(append([]byte("evoke secrets key "), raw...))
	return sealingKey{id: hex.EncodeToString(sum[:4]), aead: aead}
}

// first returns the key that seals; ok is false while there is none.
func (k *KeyRing) first() (key sealingKey, ok bool) {
	if k == nil {
		return key, false
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.keys) == 0 {
		return key, false
	}
	return k.keys[0], true
}

// firstOrMade makes the file with a key when there is none, and says so by made.
func (k *KeyRing) firstOrMade() (key sealingKey, made bool, err error) {
	if key, ok := k.first(); ok {
		return key, false, nil
	}
	if k == nil {
		return key, false, fmt.Errorf("%w: this runtime was given no keys for secrets", ErrNoKey)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) > 0 { // somebody else was faster
		return k.keys[0], false, nil
	}
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails
	if err := writeKeyFile(k.path, raw); err != nil {
		return key, false, fmt.Errorf("make a key for secrets: %w", err)
	}
	k.keys = []sealingKey{newSealingKey(raw)}
	return k.keys[0], true, nil
}

// writeKeyFile is done when the file is on the disk for good: what is sealed with a key that gets lost is lost, too.
func writeKeyFile(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "# The key of the secrets. Keep a copy: a backup does not have it.\n%s\n", base64.StdEncoding.EncodeToString(raw))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncDir(filepath.Dir(path))
}

func (k *KeyRing) find(id string) (sealingKey, bool) {
	if k == nil {
		return sealingKey{}, false
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.keys {
		if key.id == id {
			return key, true
		}
	}
	return sealingKey{}, false
}

func (k *KeyRing) place() string {
	if k == nil {
		return "this runtime"
	}
	return k.origin
}
