package gobuild

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sdk is the unpacked archive.
type sdk struct {
	dir       string
	files     []string // slash-separated, relative to dir
	goVersion string   // of its go.mod, "1.24"
}

// CacheDir is where fnctl keeps what it can make again: in dir, or when that is "", in its part of the user's cache directory.
func CacheDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(user, "fnctl"), nil
}

// unpack puts the archive into cacheDir/sdk-<hash>, unless it is there already. Several processes may do so at once.
func unpack(archive []byte, cacheDir string) (*sdk, error) {
	cacheDir, err := CacheDir(cacheDir)
	if err != nil {
		return nil, fmt.Errorf("find a cache directory for the SDK: %w", err)
	}
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open the SDK archive: %w", err)
	}
	sum := sha256.Sum256(archive)
	s := &sdk{dir: filepath.Join(cacheDir, "sdk-"+hex.EncodeToString(sum[:8]))}
	for _, f := range z.File {
		s.files = append(s.files, f.Name)
	}
	if s.goVersion, err = sdkGoVersion(z); err != nil {
		return nil, err
	}
	if complete(s.dir, z) {
		return s, nil
	}
	if err := unpackNew(z, cacheDir, s.dir); err != nil {
		return nil, fmt.Errorf("unpack the SDK into %s: %w", cacheDir, err)
	}
	return s, nil
}

// complete says whether dir holds the archive's files unchanged. Cleaners of cache directories remove single files, and the next build must not meet that.
func complete(dir string, z *zip.Reader) bool {
	for _, f := range z.File {
		want, err := fs.ReadFile(z, f.Name)
		if err != nil {
			return false
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if err != nil || !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}

// unpackNew writes beside dir and renames, so that nobody ever sees half an SDK.
func unpackNew(z *zip.Reader, cacheDir, dir string) error {
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(cacheDir, "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // gone already when the rename went well
	for _, f := range z.File {
		if err := unpackFile(z, f.Name, temp); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, dir); err == nil {
		return nil
	}
	// Something is in the way: the work of another process just now, which is as good, or a damaged copy.
	if complete(dir, z) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil && !complete(dir, z) {
		return err
	}
	return nil
}

// Unpack puts the archive into dir, over what is there.
func Unpack(archive []byte, dir string) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return fmt.Errorf("open the SDK archive: %w", err)
	}
	if complete(dir, z) {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := unpackNew(z, parent, dir); err != nil {
		return fmt.Errorf("unpack the SDK into %s: %w", dir, err)
	}
	return nil
}

func unpackFile(z *zip.Reader, name, dir string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("the archive names a file outside of itself: %q", name)
	}
	body, err := fs.ReadFile(z, name)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

func sdkGoVersion(z *zip.Reader) (string, error) {
	f, err := z.Open("go.mod")
	if err != nil {
		return "", fmt.Errorf("open the SDK archive: %w", err)
	}
	defer f.Close() // in memory
	mod, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("read the SDK's go.mod: %w", err)
	}
	for line := range strings.Lines(string(mod)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "go "); ok {
			return v, nil
		}
	}
	return "", errors.New("the SDK's go.mod names no Go version")
}
