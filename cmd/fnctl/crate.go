package main

import (
	"context"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/rustbuild"
	rustsdk "github.com/evoke-run/evoke/sdk/rust"
)

// crateBuilder builds the Rust functions.
func (c *cli) crateBuilder() *rustbuild.Builder {
	return &rustbuild.Builder{SDK: rustsdk.Files, Cargo: c.cargoCommand}
}

// buildCrate builds a function in Rust.
func (c *cli) buildCrate(ctx context.Context, dir string) (rustbuild.Result, error) {
	return c.crateBuilder().Build(ctx, dir)
}
