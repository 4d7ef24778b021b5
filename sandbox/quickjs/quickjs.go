// Package quickjs holds the JavaScript engine that functions written in JavaScript run in: QuickJS-NG, compiled to WebAssembly by the npm package
// quickjs-wasi. The file is theirs, byte for byte; go generate takes it from the registry again. NOTICE has its licences.
package quickjs

import _ "embed" // the engine

//go:generate go run fetch.go

// Where the engine comes from. fetch.go holds what it gets against the checksums.
const (
	Package   = "quickjs-wasi"
	Version   = "3.6.2"
	Integrity = "sha512-FCqGtGOrMgzUiIrMNMA2YnsOxCNwo31dzqXvclXUC6xeT35NJLKXQJsvbeCTjvoFAwZgEAPg8U6+KAPDGXn8Mg==" // of the package, as npm writes it
	Digest    = "d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9"                                // SHA-256 of the engine
)

// Wasm is the engine. It must not be changed.
//
//go:embed quickjs.wasm
var Wasm []byte
