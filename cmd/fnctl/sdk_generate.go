//go:build ignore

// Packs sdk/go into sdk.zip; run it by `go generate ./cmd/fnctl`. A test compares the two.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/sdkzip"
)

func main() {
	var archive bytes.Buffer
	if err := sdkzip.Write(&archive, os.DirFS("../../sdk/go")); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("sdk.zip", archive.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
