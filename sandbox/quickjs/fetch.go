//go:build ignore

// Takes quickjs.wasm out of the npm package again; run it by `go generate ./sandbox/quickjs`. It needs npm, which asks the registry that it is set up for.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/evoke-run/evoke/sandbox/quickjs"
)

func main() {
	if err := fetch(); err != nil {
		log.Fatal(err)
	}
}

func fetch() (err error) {
	dir, err := os.MkdirTemp("", "quickjs-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, quickjs.Package+"@"+quickjs.Version)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm pack %s@%s: %w", quickjs.Package, quickjs.Version, err)
	}
	pack, err := os.ReadFile(filepath.Join(dir, quickjs.Package+"-"+quickjs.Version+".tgz"))
	if err != nil {
		return err
	}
	sum := sha512.Sum512(pack)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != quickjs.Integrity {
		return fmt.Errorf("the package is %s, not %s", got, quickjs.Integrity)
	}
	wasm, err := member(pack, "package/quickjs.wasm")
	if err != nil {
		return err
	}
	engine := sha256.Sum256(wasm)
	if got := hex.EncodeToString(engine[:]); got != quickjs.Digest {
		return fmt.Errorf("the engine in it is %s, not %s", got, quickjs.Digest)
	}
	return os.WriteFile("quickjs.wasm", wasm, 0o644)
}

// member returns a file of a package.
func member(pack []byte, name string) ([]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(pack))
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(zipped)
	for {
		head, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("look for %s in the package: %w", name, err)
		}
		if head.Name == name {
			return io.ReadAll(files)
		}
	}
}
