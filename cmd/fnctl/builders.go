package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/rustbuild"
	"github.com/evoke-run/evoke/manifest"
	rustsdk "github.com/evoke-run/evoke/sdk/rust"
)

// builders build functions, by the language of their source. TypeScript and JavaScript need none.
type builders struct {
	golang *gobuild.Builder
	rust   *rustbuild.Builder
}

func (c *cli) builders() builders {
	return builders{
		golang: gobuild.New(gobuild.Options{SDK: sdkArchive, CacheDir: c.cacheDir, Go: c.goCommand}),
		rust:   &rustbuild.Builder{SDK: rustsdk.Files, Cargo: c.cargoCommand},
	}
}

// built is the module of a function.
type built struct {
	module []byte
	warm   *api.WarmUp    // nil = none
	notes  []string       // what the user should know although the build went well
	inputs []string       // the files that it was made of, absolute; none = the build does not say
	parts  []jsbuild.Part // of a script
}

// build builds a function and reads the event that warms it, and tells nobody. dir is that of the manifest.
func (b builders) build(ctx context.Context, dir string, f manifest.Function) (made built, err error) {
	source := under(dir, f.Source)
	switch {
	case f.Wasm != "":
		made, err = readModule(under(dir, f.Wasm))
	case f.Script():
		made, err = buildScript(source)
	case rustbuild.IsCrate(source):
		r, failed := b.rust.Build(ctx, source)
		made, err = built{module: r.Wasm, notes: r.Notes, inputs: r.Inputs}, failed
	default:
		r, failed := b.golang.Build(ctx, source)
		made, err = built{module: r.Wasm, notes: r.Notes}, failed
	}
	return made, errors.Join(err, made.readWarmUp(dir, f))
}

func readModule(path string) (built, error) {
	file, err := filepath.Abs(path)
	if err != nil {
		return built{}, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return built{}, fmt.Errorf("read its module: %w", err)
	}
	return built{module: b, inputs: []string{file}}, nil
}

func (b *built) readWarmUp(dir string, f manifest.Function) (err error) {
	if f.Warm == "" {
		return nil
	}
	if b.warm, err = readWarmUp(under(dir, f.Warm)); err != nil {
		return fmt.Errorf("warm: %w", err)
	}
	file, err := filepath.Abs(under(dir, f.Warm))
	if b.inputs != nil {
		b.inputs = append(b.inputs, file)
	}
	return err
}
