package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// RunCompiler is the whole of a process that compiles one module for a Runtime, see Options.Compiler. The module comes on stdin, the answer goes to stdout,
// files go to the working directory. It returns the exit code: 0 when it could answer.
func RunCompiler(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var j job
	if len(args) != 1 || json.Unmarshal([]byte(args[0]), &j) != nil {
		fmt.Fprintln(stderr, "this command is for the runtime's own use: it compiles one module")
		return 2
	}
	a, err := j.run(stdin)
	if err != nil {
		a.Fault = err.Error()
		_ = errors.As(err, &a.Refused)
	}
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func (j *job) run(stdin io.Reader) (a compilation, err error) {
	debug.SetMemoryLimit(j.Memory * 3 / 4) // collect rather than grow, while that helps
	if err := limitSelf(j.Memory, j.Seconds); err != nil {
		return a, fmt.Errorf("bound the compiler's process: %w", err)
	}
	wasm, err := io.ReadAll(io.LimitReader(stdin, maxModule+1))
	if err != nil {
		return a, fmt.Errorf("read the module: %w", err)
	}
	rewritten, err := rewriteModule(wasm)
	if err != nil {
		return a, err
	}
	if err := os.WriteFile(jobData, sealData(rewritten.Data), 0o600); err != nil {
		return a, err
	}
	if a.Code, err = j.compile(rewritten.Wasm); err != nil {
		return a, err
	}
	module := newArtifact(rewritten, a.Code)
	return a, os.WriteFile(jobModule, seal(module.head, module.wasm), 0o600)
}

// compile leaves machine code in a cache of its own and returns its path there.
func (j *job) compile(wasm []byte) (code string, err error) {
	cache, err := wazero.NewCompilationCacheWithDir(jobCode)
	if err != nil {
		return "", err
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), j.Workers)
	engine := wazero.NewRuntimeWithConfig(ctx, engineConfig().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, engine.Close(ctx), cache.Close(ctx)) }()
	if _, err := compileModule(ctx, engine, wasm); err != nil {
		return "", compileError(err)
	}
	files := matches(jobCode, "*", "*")
	if len(files) != 1 {
		return "", fmt.Errorf("the engine left %d files of code", len(files))
	}
	return filepath.Rel(jobCode, files[0])
}
