package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// compiler has modules compiled by processes of their own, each with bounds of memory and time and a private directory, from which the expected files and
// no others are taken. That bounds what a hostile module can use up. It is no barrier against one that takes over the compiler: the process has our rights.
type compiler struct {
	command []string
	dir     string // of compiled code; private directories are made in it
	memory  int64
	time    time.Duration
	logger  *slog.Logger
	places  chan struct{} // holds a token for each process
}

const (
	defaultCompileMemory = 1 << 30
	defaultCompileTime   = slowdown * 30 * time.Second
	maxWaiting           = 10 // times the processor time that a process may take in all
	maxCompilers         = 4  // processes at once, so that one hostile module keeps no other from being deployed
	privateDir           = "compile-"
)

func newCompiler(o Options, logger *slog.Logger) *compiler {
	return &compiler{
		command: o.Compiler, dir: o.CacheDir, logger: logger,
		memory: orElse(o.CompileMemory, defaultCompileMemory), time: orElse(o.CompileTime, defaultCompileTime),
		places: make(chan struct{}, maxCompilers),
	}
}

// job is what the process is told, in its last argument.
type job struct {
	Memory  int64 `json:"memory"` // bytes
	Seconds int   `json:"seconds"`
	Workers int   `json:"workers"`
}

// compilation is what the process says.
type compilation struct {
	Refused *RefusedError `json:"refused,omitempty"`
	Fault   string        `json:"fault,omitempty"` // ours
	Code    string        `json:"code,omitempty"`  // base name of the file with the machine code
}

// Names in the private directory. The engine puts the code where its cache has it, below jobCode.
const (
	jobModule = "module"
	jobData   = "data"
	jobCode   = "code"
)

// compile compiles a module and leaves its rewritten form and its data under the names given.
func (c *compiler) compile(ctx context.Context, wasm []byte, modulePath, dataPath string) (err error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return fmt.Errorf("wait to compile the module: %w", ctx.Err())
	}
	dir, err := os.MkdirTemp(c.dir, privateDir)
	if err != nil {
		return fmt.Errorf("make a directory to compile in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a, err := c.run(ctx, dir, wasm)
	if err != nil {
		return err
	}
	code, err := takeCode(filepath.Join(dir, jobCode), a.Code)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.dir, filepath.Dir(code)), 0o700); err != nil {
		return fmt.Errorf("make the directory of compiled code: %w", err)
	}
	for from, to := range map[string]string{
		filepath.Join(dir, jobCode, code): filepath.Join(c.dir, code), filepath.Join(dir, jobData): dataPath, filepath.Join(dir, jobModule): modulePath,
	} {
		if !isFile(from) {
			return fmt.Errorf("the compiler's process left no file %s", filepath.Base(from))
		}
		if err := os.Rename(from, to); err != nil {
			return fmt.Errorf("keep what was compiled: %w", err)
		}
	}
	return nil
}

var (
	codeDir  = regexp.MustCompile(`^wazero-[A-Za-z0-9.+-]+$`)
	codeFile = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// takeCode returns the path of the code below a directory where the engine has put exactly one file.
func takeCode(dir, name string) (string, error) {
	files := matches(dir, "*", "*")
	if len(files) != 1 {
		return "", fmt.Errorf("the compiler's process left %d files of code, not one", len(files))
	}
	path, err := filepath.Rel(dir, files[0])
	if err != nil {
		return "", err
	}
	if path != name || !codeDir.MatchString(filepath.Dir(path)) || !codeFile.MatchString(filepath.Base(path)) {
		return "", fmt.Errorf("the compiler's process left a file %q, which is no name of code", cutText(path, maxFunctionName))
	}
	return path, nil
}

const (
	maxAnswer    = 64 << 10
	maxComplaint = 16 << 10 // of the process on stderr, for our log
)

func (c *compiler) run(ctx context.Context, dir string, wasm []byte) (*compilation, error) {
	arg, err := json.Marshal(job{c.memory, max(1, int(c.time/time.Second)), runtime.GOMAXPROCS(0)})
	if err != nil {
		return nil, err
	}
	// The process measures its own processor time; this is for one that waits, or gets next to nothing of a busy machine: it is nicer than all others.
	timed, cancel := context.WithTimeout(ctx, maxWaiting*c.time)
	defer cancel()
	args := append(append([]string{}, c.command[1:]...), string(arg))
	cmd := exec.CommandContext(timed, c.command[0], args...)
	out, complaint := &bounded{max: maxAnswer}, &bounded{max: maxComplaint}
	cmd.Dir, cmd.Env = dir, []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(wasm), out, complaint
	confine(cmd)
	peak, err := runWatched(cmd, c.memory)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("compile module: %w", ctx.Err())
	}
	if err != nil {
		return nil, c.failed(cmd, peak, timed.Err() != nil, complaint.Bytes(), err)
	}
	var a compilation
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return nil, fmt.Errorf("the compiler's process answers %q", cutText(out.String(), maxFunctionName))
	}
	switch {
	case a.Refused != nil:
		return nil, a.Refused
	case a.Fault != "":
		return nil, fmt.Errorf("compile module: %s", a.Fault)
	}
	return &a, nil
}

// failed puts the end of a process into words.
func (c *compiler) failed(cmd *exec.Cmd, peak int64, late bool, complaint []byte, err error) error {
	state := cmd.ProcessState
	if state == nil {
		return fmt.Errorf("start the compiler's process: %w", err)
	}
	used := state.UserTime() + state.SystemTime()
	outOfMemory := bytes.Contains(complaint, []byte("out of memory")) || bytes.Contains(complaint, []byte("cannot allocate memory"))
	switch {
	case outOfMemory || peak > c.memory:
		return refuse(adviceSmaller, "compiling the module needs more than %s of memory", formatBytes(c.memory))
	case used >= c.time-c.time/10:
		return refuse(adviceSmaller, "compiling the module takes longer than %v", c.time)
	case late:
		return refuse("deploy again when the machine is less busy", "compiling the module got %v of processor time in %v and was not done", used.Round(time.Millisecond), maxWaiting*c.time)
	}
	c.logger.Error("the compiler's process failed", slog.Any("err", err), slog.Duration("used", used), slog.Int64("peak", peak), slog.String("stderr", string(complaint)))
	return compileError(errCompilerPanic)
}

const adviceSmaller = "make its largest functions smaller, or turn off what inlines and unrolls them in the compiler; an interpreter with generated tables compiles better from a table in memory"

// bounded keeps the beginning of what is written to it.
type bounded struct {
	bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), b.max-b.Len())])
	return len(p), nil
}
