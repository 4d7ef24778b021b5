package sandbox

import (
	"bytes"
	"context"
	_ "embed" // the prelude
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-sourcemap/sourcemap"
	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/quickjs"
	"github.com/evoke-run/evoke/sandbox/rewrite"
	"github.com/evoke-run/evoke/sandbox/web"
	"github.com/evoke-run/evoke/sdk/abi"
)

// A script is a function that is uploaded as JavaScript: one module with everything it needs. It runs in an engine that is a WebAssembly module as any other:
// rewritten, compiled once and shared by all scripts of the runtime. What differs is the snapshot, which is taken after the script's own
// top-level code ran. From there on a script's instance is an instance.

//go:embed script.js
var preludeSource string

// prelude is without its comments and indentation: the engine keeps the source of each function, and that of each function around it, in every snapshot.
var prelude = ownLine.ReplaceAllString(preludeSource, "\n")

const (
	preludeName = "evoke:prelude"
	// scriptStack is what QuickJS lets scripts use of the 1 MiB that is its stack, and engineStack what its module may use of the native one: so much that a recursion
	// of the script's ends by the first, which is an exception, and one inside of the engine by the second.
	scriptStack = 256 << 10
	engineStack = 32 << 20
	// scriptGarbage is how much a script allocates before the engine looks for cycles; most events end before.
	scriptGarbage = 4 << 20
)

// script is one function's source.
type script struct {
	name string // of its file, for stack traces
	text []byte

	encodedMap []byte                     // its source map, "" = none
	sources    func() *sourcemap.Consumer // the same, read; nil when it cannot be
}

var (
	ownLine       = regexp.MustCompile(`\n\s*(//.*)?`)
	defaultExport = regexp.MustCompile(`\bexport\b[^;]*\bdefault\b`)
	sourceName    = regexp.MustCompile(`(?m)^//[#@] sourceURL=([\w.@/-]{1,200})\s*\z`)
)

// isScript says whether what was uploaded is meant to be a script: text that exports a default, and no other language.
func isScript(b []byte) bool {
	if bytes.HasPrefix(b, []byte("\x00asm")) || len(b) == 0 || len(b) > maxModule {
		return false
	}
	start, ok := textStart(b)
	if !ok || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	for _, other := range []string{"(module", "(component", "<", "{", "[", "package ", "#!"} {
		if strings.HasPrefix(start, other) {
			return false
		}
	}
	return !strings.Contains(start, "\npackage ") && defaultExport.Match(b)
}

// newScript takes the file's name from the text's last line, where bundlers and fnctl leave it.
func newScript(text []byte, function string) *script {
	s := &script{name: function + ".js"}
	s.text, s.encodedMap = cutMap(text)
	s.sources = onceMap(s.encodedMap)
	if m := sourceName.FindSubmatch(s.text); m != nil {
		s.name = string(m[1])
	}
	return s
}

// scriptKey is part of the key of every script's snapshot.
var scriptKey = sync.OnceValue(func() string { return digestOf([]byte(quickjs.Digest + prelude + web.Digest())) })

// scriptEngine is the engine in memory.
type scriptEngine struct {
	head     artifactHead
	compiled wazero.CompiledModule
	exports  map[string]bool
	data     []rewrite.Segment
}

// engineKey is that of the engine's artifact.
var engineKey = sync.OnceValue(func() string { return moduleKey(fmt.Sprintf("sha256:%s %d", quickjs.Digest, engineStack)) })

// scripts returns the engine, which the first script brings into memory.
func (r *Runtime) scripts(ctx context.Context) (*scriptEngine, error) {
	if e := r.scriptEngine.Load(); e != nil {
		return e, nil
	}
	end, err := r.reading.take(ctx, "scripts")
	if err != nil {
		return nil, fmt.Errorf("wait for the engine of scripts: %w", err)
	}
	defer end()
	if e := r.scriptEngine.Load(); e != nil {
		return e, nil
	}
	key := engineKey()
	a := r.savedArtifact(key)
	if a == nil {
		if a, err = r.makeArtifact(ctx, key, quickjs.Wasm); err != nil {
			return nil, fmt.Errorf("make the engine of scripts: %w", err)
		}
	}
	e := &scriptEngine{head: a.head, data: a.data}
	if !a.fresh {
		if e.data, err = r.savedData(key); err != nil {
			return nil, err
		}
	}
	if e.compiled, err = r.compile(ctx, key, a.wasm); err != nil {
		return nil, err
	}
	e.exports = exportsOf(e.compiled)
	r.scriptEngine.Store(e)
	return e, nil
}

// scriptArtifact is of a script what artifact is of a module: itself.
func (r *Runtime) scriptArtifact(key string, text []byte) (*artifact, error) {
	if len(text) > abi.MaxScript {
		return nil, refuse("leave out what is not used, and data that could be fetched or kept in state", "the script has %d bytes, the limit is %d", len(text), abi.MaxScript)
	}
	a := &artifact{head: artifactHead{Script: true}, wasm: text, fresh: true}
	if r.imageDir != "" {
		if err := writeWhole(r.modulePath(key), seal(a.head, text)); err != nil {
			return nil, fmt.Errorf("keep the script: %w", err)
		}
	}
	return a, nil
}

// scriptError is an exception that the script did not catch.
type scriptError struct {
	reason     string   // what was thrown
	frames     []string // innermost first: "at f (order.js:3:7)"
	reject     bool
	retryAfter int64 // milliseconds; -1 = not said
}

// newScriptError is for what the script is to blame for and did not throw itself.
func newScriptError(reason string) *scriptError { return &scriptError{reason: reason, retryAfter: -1} }

func (e *scriptError) Error() string { return cutText(e.reason+framesText(e.frames), maxTrapText) }

// framesText is where it was in one line.
func framesText(frames []string) string {
	if len(frames) == 0 {
		return ""
	}
	return " " + strings.Join(frames, ", ")
}

const outOfMemory = "out of memory"
