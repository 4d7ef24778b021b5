package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/evoke-run/evoke/rules"
)

// MaxModule is the largest module, in bytes.
const MaxModule = 64 << 20

// tempAge is how old a temporary file must be before New takes it for the rest of a crash: no upload runs that long.
const tempAge = time.Hour

// PutModule stores module bytes under their digest "sha256:<hex>". When it returns nil they are on stable storage. Storing the same digest again, also
// at the same time, is fine. ErrDigest when the digest has the wrong form or the bytes do not hash to it, ErrTooLarge beyond MaxModule.
func (r *Registry) PutModule(ctx context.Context, digest string, body io.Reader) error {
	if err := r.modules.put(ctx, digest, body); err != nil {
		return fmt.Errorf("store module %.71s: %w", digest, err)
	}
	return nil
}

// HasModule says whether the module's file is there; only Module looks into it. Either keeps it from SweepModules for an hour.
func (r *Registry) HasModule(digest string) bool {
	path, err := r.modules.path(digest)
	if err != nil {
		return false
	}
	return r.modules.touch(path, r.now())
}

// Module loads and verifies module bytes; ErrNotFound. A file that is damaged is put aside, so that the next deploy stores it anew; ErrDigest.
func (r *Registry) Module(digest string) ([]byte, error) {
	if path, err := r.modules.path(digest); err == nil {
		r.modules.touch(path, r.now()) // load says when it is missing
	}
	b, err := r.modules.load(digest)
	if err != nil {
		return nil, fmt.Errorf("load module %.71s: %w", digest, err)
	}
	return b, nil
}

// moduleStore is a directory of files named by the hex digits of their SHA-256.
type moduleStore struct {
	dir string

	// mu orders the renames of put and of quarantine: a good file must not be put aside for the damaged one it has just replaced. And it orders touch and removeUnused.
	mu sync.Mutex
}

func openModules(dir string, now time.Time) (*moduleStore, error) {
	dir = filepath.Join(dir, "sha256")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if info, err := os.Stat(path); err == nil && now.Sub(info.ModTime()) > tempAge {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	return &moduleStore{dir: dir}, nil
}

func (m *moduleStore) path(digest string) (string, error) {
	if !rules.IsDigest(digest) {
		return "", fmt.Errorf("%w: want \"sha256:\" and 64 hex digits in lower case", ErrDigest)
	}
	return filepath.Join(m.dir, strings.TrimPrefix(digest, "sha256:")), nil
}

func (m *moduleStore) put(ctx context.Context, digest string, body io.Reader) (err error) {
	path, err := m.path(digest)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(m.dir, "*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(temp.Name())))
		}
	}()
	if err := writeVerified(ctx, temp, digest, body); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	m.mu.Lock()
	err = os.Rename(temp.Name(), path)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return syncDir(m.dir)
}

// writeVerified copies the body to the file and onto the disk, and checks that it is what the digest says.
func writeVerified(ctx context.Context, f *os.File, digest string, body io.Reader) error {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return body.Read(p)
	}), MaxModule+1))
	if err != nil {
		return err
	}
	if n > MaxModule {
		return fmt.Errorf("%w: a module has at most %d bytes (64 MiB); strip debug information, or leave large data out of it", ErrTooLarge, MaxModule)
	}
	if have := "sha256:" + hex.EncodeToString(hash.Sum(nil)); have != digest {
		return fmt.Errorf("%w: the %d bytes that arrived hash to %s; upload again", ErrDigest, n, have)
	}
	return f.Sync()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (m *moduleStore) load(digest string) ([]byte, error) {
	path, err := m.path(digest)
	if err != nil {
		return nil, err
	}
	b, err := readVerified(path, digest)
	if errors.Is(err, ErrDigest) {
		return m.quarantine(path, digest)
	}
	return b, err
}

// quarantine looks again, now that no put can come between, and renames the damaged file.
func (m *moduleStore) quarantine(path, digest string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := readVerified(path, digest)
	if errors.Is(err, ErrDigest) {
		err = errors.Join(err, os.Rename(path, path+".damaged"))
	}
	return b, err
}

func readVerified(path, digest string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	if "sha256:"+hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%w: the file %s is damaged (%d bytes); deploy the function again", ErrDigest, path, len(b))
	}
	return b, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
