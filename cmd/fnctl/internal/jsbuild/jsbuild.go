// Package jsbuild makes one ES module of a function's TypeScript or JavaScript and of everything that it imports, with esbuild inside of this program: neither Node
// nor an installation is needed. Packages come from the node_modules that are there.
package jsbuild

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Result is what a build gives.
type Result struct {
	Script []byte   // the module, then two lines of comment: the name of its file, and its source map
	Notes  []string // warnings
}

// Error is source that cannot be built, with one text for each fault: file, line and a caret.
type Error struct{ Faults []string }

func (e *Error) Error() string { return strings.Join(e.Faults, "\n") }

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// Build builds the module whose entry is a file.
func Build(file string) (Result, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return Result{}, err
	}
	dir := filepath.Dir(file)
	built := api.Build(api.BuildOptions{
		EntryPoints: []string{file}, AbsWorkingDir: dir, Outfile: filepath.Join(dir, "function.js"), Bundle: true,
		Format: api.FormatESModule, Platform: api.PlatformNeutral, MainFields: []string{"module", "main"}, Target: api.ES2023,
		Define:  map[string]string{"process.env.NODE_ENV": `"production"`},
		Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsEndOfFile, Sourcemap: api.SourceMapExternal, SourcesContent: api.SourcesContentExclude,
		LogLevel: api.LogLevelSilent, Plugins: []api.Plugin{nodeModules},
	})
	if len(built.Errors) > 0 {
		return Result{}, &Error{texts(built.Errors, api.ErrorMessage)}
	}
	r := Result{Notes: texts(built.Warnings, api.WarningMessage)}
	var code, sourceMap []byte
	for _, f := range built.OutputFiles {
		if strings.HasSuffix(f.Path, ".map") {
			sourceMap = f.Contents
		} else {
			code = f.Contents
		}
	}
	if code == nil || sourceMap == nil {
		return Result{}, errors.New("esbuild made no module")
	}
	name := notInName.ReplaceAllString(filepath.Base(file), "_")
	r.Script = fmt.Appendf(code, "//# sourceURL=%s\n//# sourceMappingURL=data:application/json;base64,%s\n", name, base64.StdEncoding.EncodeToString(sourceMap))
	return r, nil
}

func texts(messages []api.Message, kind api.MessageKind) []string {
	var out []string
	for _, m := range api.FormatMessages(messages, api.FormatMessagesOptions{Kind: kind, TerminalWidth: 120}) {
		out = append(out, strings.TrimSpace(m))
	}
	return out
}

// nodeModules refuses what only Node has, by its name and with what to use instead. A package of that name which is installed is found.
var nodeModules = api.Plugin{Name: "node", Setup: func(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: builtIn}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		if args.PluginData == asked {
			return api.OnResolveResult{}, nil
		}
		if !strings.HasPrefix(args.Path, "node:") {
			found := b.Resolve(args.Path, api.ResolveOptions{Importer: args.Importer, ResolveDir: args.ResolveDir, Kind: args.Kind, PluginData: asked})
			if len(found.Errors) == 0 {
				return api.OnResolveResult{Path: found.Path, Namespace: found.Namespace, External: found.External}, nil
			}
		}
		name := strings.TrimPrefix(args.Path, "node:")
		top, _, _ := strings.Cut(name, "/")
		instead := insteadOf[top]
		if instead == "" {
			instead = "use a package that does without, or write the function in Go"
		}
		return api.OnResolveResult{Errors: []api.Message{{Text: fmt.Sprintf("%q is a part of Node, which functions do not have; %s", name, instead)}}}, nil
	})
}}

type resolving struct{}

// asked marks what nodeModules asks esbuild itself.
var asked = &resolving{}

const builtIn = `^(node:.*|(assert|async_hooks|buffer|child_process|cluster|console|constants|crypto|dgram|diagnostics_channel|dns|domain|events|fs|http|http2|https|inspector|` +
	`module|net|os|path|perf_hooks|process|punycode|querystring|readline|repl|stream|string_decoder|timers|tls|tty|url|util|v8|vm|wasi|worker_threads|zlib)(/.*)?)$`

var insteadOf = map[string]string{
	"fs":             "import a file as data when it is built, or keep what changes in context.state",
	"child_process":  "there are no other programs in the sandbox",
	"worker_threads": "events run beside each other; emit one for each part of the work",
	"timers":         "setTimeout and setInterval are there without an import",
	"console":        "console is there without an import",
	"process":        "the variables of env: are context.env",
}
