// Package jsbuild makes one ES module of a function's TypeScript or JavaScript and of everything that it imports, with esbuild inside of this program: neither Node
// nor an installation is needed. Packages come from the node_modules that are there; @evoke/sdk comes from this program when it is not among them.
package jsbuild

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/evoke-run/evoke/sdk/abi"
)

// Result is what a build gives.
type Result struct {
	Script []byte   // the module, then two lines of comment: the name of its file, and its source map
	Notes  []string // warnings
	Inputs []string // the files that it was made of, absolute
	Parts  []Part   // what it was made of, the largest first
}

// Error is source that cannot be built.
type Error struct {
	Faults []string // one text for each fault: file, line and a caret, where there is one
	Try    string   // "" = the faults say it
	files  []string
}

func (e *Error) Error() string { return strings.Join(e.Faults, "\n") }

// Files are those that it is about, absolute.
func (e *Error) Files() []string { return e.files }

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// Build builds the module whose entry is a file. Source that cannot be built is *Error.
func Build(file string) (Result, error) {
	p, err := Open(file)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return p.Build()
}

// Project is a module that is built again and again: what has not changed in between is not read again. Its methods are not for concurrent use.
type Project struct {
	file, dir string
	context   api.BuildContext
	largest   int // bytes that the module may have
}

// Open begins with the module whose entry is a file. Close it.
func Open(file string) (*Project, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	p := &Project{file: file, dir: filepath.Dir(file), largest: abi.MaxScript}
	var failed *api.ContextError
	if p.context, failed = api.Context(options(file, fromSDK, fromNode)); failed != nil {
		return nil, &Error{Faults: texts(failed.Errors, api.ErrorMessage)}
	}
	return p, nil
}

// Close lets go of what is kept for the next build.
func (p *Project) Close() { p.context.Dispose() }

// Build builds the module as its files are now.
func (p *Project) Build() (Result, error) {
	built := p.context.Rebuild()
	if len(built.Errors) > 0 {
		return Result{}, newError(p.file, built.Errors)
	}
	var meta metafile
	if err := json.Unmarshal([]byte(built.Metafile), &meta); err != nil {
		return Result{}, fmt.Errorf("read what esbuild says of the module: %w", err)
	}
	name, inputs := filepath.Base(p.file), meta.files(p.dir)
	if err := meta.check(p.dir, name); err != nil {
		return Result{}, about(err, inputs)
	}
	r := Result{Notes: append(texts(built.Warnings, api.WarningMessage), meta.lateFaults()...), Parts: meta.parts(), Inputs: inputs}
	err := r.assemble(name, built.OutputFiles, p.largest)
	return r, about(err, inputs)
}

// about is a fault of a module as a whole, with the files that the module was made of.
func about(err error, inputs []string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.files = inputs
	}
	return err
}

func options(file string, plugins ...api.Plugin) api.BuildOptions {
	dir := filepath.Dir(file)
	return api.BuildOptions{
		EntryPoints: []string{file}, AbsWorkingDir: dir, Outfile: filepath.Join(dir, "function.js"), Bundle: true, Metafile: true,
		// What packages have for browsers does with what the engine has; what they have for Node does not. "module" is there by itself only when nothing else is named.
		Format: api.FormatESModule, Platform: api.PlatformBrowser, Conditions: []string{"module", "worker"}, Target: api.ES2023,
		Define: map[string]string{"process.env.NODE_ENV": `"production"`, "global": "globalThis"},
		Loader: map[string]api.Loader{
			".html": api.LoaderText, ".md": api.LoaderText, ".sql": api.LoaderText, ".csv": api.LoaderText, ".xml": api.LoaderText, ".svg": api.LoaderText, ".bin": api.LoaderBinary,
		},
		Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsEndOfFile, Sourcemap: api.SourceMapExternal, SourcesContent: api.SourcesContentExclude,
		LogLevel: api.LogLevelSilent, Plugins: plugins,
	}
}

// assemble makes the script of the files that esbuild made.
func (r *Result) assemble(name string, files []api.OutputFile, largest int) error {
	var code, sourceMap []byte
	for _, f := range files {
		if strings.HasSuffix(f.Path, ".map") {
			sourceMap = f.Contents
		} else {
			code = f.Contents
		}
	}
	if code == nil || sourceMap == nil {
		return errors.New("esbuild made no module")
	}
	code = fmt.Appendf(code, "//# sourceURL=%s\n", notInName.ReplaceAllString(name, "_"))
	if len(code) > largest {
		return tooLarge(len(code), largest, r.Parts)
	}
	r.Script = fmt.Appendf(code, "//# sourceMappingURL=data:application/json;base64,%s\n", base64.StdEncoding.EncodeToString(sourceMap))
	if len(r.Script) > largest {
		r.Script = code
		r.Notes = append(r.Notes, "with its source map the module would be larger than it may be, so errors will name lines of the module and not of its sources")
	}
	return nil
}
