// Package rust holds the sources of the guest SDK for Rust, the crate evoke, for fnctl to bring along.
package rust

import "embed"

// Files are the crate: its Cargo.toml and src.
//
//go:embed Cargo.toml src
var Files embed.FS
