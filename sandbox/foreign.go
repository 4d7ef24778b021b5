package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const moduleExtism = "extism:host/env"

// checkHeader tells a core module from everything else people upload.
func checkHeader(wasm []byte) error {
	const header = 8
	switch {
	case !bytes.HasPrefix(wasm, []byte("\x00asm")):
		what, advice := describe(wasm)
		return refuse(advice, "this is not WebAssembly: %s", what)
	case len(wasm) < header:
		return refuse("build it again", "the module ends after %d bytes", len(wasm))
	case len(wasm) > maxModule:
		return refuse("strip debug information (Go: -ldflags=-s -w; others: wasm-strip)", "the module has %d bytes, the limit is %d", len(wasm), maxModule)
	}
	switch version := binary.LittleEndian.Uint32(wasm[4:]); version {
	case 1:
		return nil
	case 0x1000d:
		return refuse(adviceWASI, "this is a component, which this runtime does not run")
	default:
		return refuse(adviceWASI, "this is WebAssembly of version %d, only version 1 is known", version)
	}
}

// describe says what bytes that are not WebAssembly look like.
func describe(b []byte) (what, advice string) {
	for _, f := range []struct{ magic, what, advice string }{
		{"\x7fELF", "it is a program for Linux (ELF)", adviceWASI},
		{"MZ", "it is a program for Windows", adviceWASI},
		{"\xcf\xfa\xed\xfe", "it is a program for macOS (Mach-O)", adviceWASI},
		{"\xca\xfe\xba\xbe", "it is a program for macOS (Mach-O) or a Java class", adviceWASI},
		{"!<arch>", "it is a library archive", adviceWASI},
		{"BC\xc0\xde", "it is LLVM bitcode", adviceWASI},
		{"\x1f\x8b", "it is compressed with gzip", "unpack it first"},
		{"\x28\xb5\x2f\xfd", "it is compressed with zstd", "unpack it first"},
		{"PK\x03\x04", "it is a zip archive", "unpack it first"},
		{"#!", "it is a script", adviceWASI},
	} {
		if bytes.HasPrefix(b, []byte(f.magic)) {
			return f.what, f.advice
		}
	}
	if len(b) == 0 {
		return "the file is empty", "check the path"
	}
	if text, ok := textStart(b); ok {
		return describeText(text)
	}
	return fmt.Sprintf("it begins with the bytes % x", b[:min(len(b), 8)]), "give the path of a .wasm file"
}

// textStart returns the first bytes of a text file.
func textStart(b []byte) (string, bool) {
	const enough = 512
	if len(b) > enough {
		b = []byte(cutBytes(string(b[:min(len(b), enough+utf8.UTFMax)]), enough))
	}
	if !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }) {
		return "", false
	}
	return strings.TrimSpace(string(b)), true
}

func describeText(text string) (what, advice string) {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case strings.HasPrefix(text, "(module"), strings.HasPrefix(text, "(component"):
		return "it is the text format", "translate it with wat2wasm first"
	case strings.HasPrefix(text, "<"):
		return "it looks like HTML or XML", "check the download: the server may have answered with an error page"
	case strings.HasPrefix(text, "package "), has("\npackage "):
		return "it looks like Go source", "give fn.yaml the package's folder as source:, fnctl deploy builds it"
	case has("export default", "export ", "import ", "require(", "=>", "function ", "const ", "let "):
		return "it looks like JavaScript or TypeScript that exports no default", "write export default function (event, context) { … } in one file of JavaScript; bundle what it imports (docs/javascript.md)"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "it looks like JSON", "give the path of a .wasm file"
	}
	return fmt.Sprintf("it is text that begins with %q", fmt.Sprintf("%.40s", text)), "give the path of a .wasm file"
}

// importAdvice says what to do about an import that is not offered.
func importAdvice(i importInfo) string {
	switch {
	case i.module == moduleEvoke:
		return "build with an SDK for this version; docs/abi.md lists the functions of " + moduleEvoke
	case strings.HasPrefix(i.module, "evoke_v"):
		return "use a runtime that offers " + i.module + ", or build with an SDK for " + moduleEvoke
	case i.module == moduleWASI, i.module == "wasi_unstable", strings.HasPrefix(i.module, "wasi:"), strings.HasPrefix(i.module, "wasi_"):
		return adviceWASI
	case i.module == "gojs" || i.module == "go":
		return "this was built with GOOS=js; " + adviceGo
	case i.module == "env" && (i.name == "abort" || i.name == "seed"):
		return "for AssemblyScript build with --use abort= --use seed=, or import @assemblyscript/wasi-shim"
	case strings.HasPrefix(i.module, "wbg"), strings.HasPrefix(i.module, "__wbindgen"):
		return "this was built with wasm-bindgen for browsers; for Rust build with --target wasm32-wasip1"
	case i.module == "env":
		return "a symbol was left undefined when linking, or the module was made for another host; " + adviceWASI
	}
	return "the module was made for another host; offered are " + moduleEvoke + " (docs/abi.md) and " + moduleWASI
}
