package jsbuild

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// instead of what only Node has: "" = nothing but another package.
var instead = map[string]string{
	"assert":              "npm install assert",
	"async_hooks":         "",
	"buffer":              "Uint8Array, TextEncoder, atob and btoa are there without an import, and npm install buffer is Node's own",
	"child_process":       "there are no other programs in the sandbox",
	"cluster":             "events run beside each other by themselves",
	"console":             "console is there without an import",
	"constants":           "",
	"crypto":              "crypto.subtle, crypto.randomUUID and crypto.getRandomValues are there without an import",
	"dgram":               "",
	"diagnostics_channel": "",
	"dns":                 "fetch looks names up",
	"domain":              "",
	"events":              "EventTarget is there without an import, and npm install events is Node's own",
	"fs":                  "import a file as data when it is built, or keep what changes in context.state",
	"http":                "fetch is there without an import, and export default { fetch(request) { … } } serves requests",
	"http2":               "fetch is there without an import, and speaks HTTP/2",
	"https":               "fetch is there without an import, and export default { fetch(request) { … } } serves requests",
	"inspector":           "",
	"module":              "",
	"net":                 "fetch is the only way out",
	"os":                  "",
	"path":                "npm install path-browserify, and import that",
	"perf_hooks":          "performance is there without an import",
	"process":             "the variables of env: are context.env",
	"punycode":            "npm install punycode, and import punycode/",
	"querystring":         "URLSearchParams is there without an import",
	"readline":            "",
	"repl":                "",
	"stream":              "npm install readable-stream, and import that",
	"string_decoder":      "TextDecoder is there without an import",
	"timers":              "setTimeout and setInterval are there without an import",
	"tls":                 "fetch is the only way out",
	"tty":                 "",
	"url":                 "URL and URLSearchParams are there without an import",
	"util":                "structuredClone, TextEncoder and TextDecoder are there without an import",
	"v8":                  "",
	"vm":                  "",
	"wasi":                "",
	"worker_threads":      "events run beside each other; emit one for each part of the work",
	"zlib":                "npm install fflate, and import that",
}

const nodePrefix = "node:"

// isNode says whether an import is of a part of Node.
func isNode(name string) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(name, nodePrefix), "/")
	_, known := instead[top]
	return known || strings.HasPrefix(name, nodePrefix)
}

// nodeText says so, and what there is instead.
func nodeText(name string) string {
	name = strings.TrimPrefix(name, nodePrefix)
	top, _, _ := strings.Cut(name, "/")
	use := instead[top]
	if use == "" {
		use = "use a package that does without, or write the function in Go"
	}
	return fmt.Sprintf("%q is a part of Node, which functions do not have; %s", name, use)
}

// asked marks what plugins ask esbuild itself, so that they are not asked again.
var asked = &struct{ _ byte }{}

// resolve is what esbuild makes of an import by itself.
func resolve(b api.PluginBuild, args api.OnResolveArgs, path string) (api.OnResolveResult, bool) {
	r := b.Resolve(path, api.ResolveOptions{Importer: args.Importer, ResolveDir: args.ResolveDir, Kind: args.Kind, PluginData: asked})
	return api.OnResolveResult{Path: r.Path, Namespace: r.Namespace, External: r.External, Suffix: r.Suffix}, len(r.Errors) == 0
}

// fromNode takes node:events from the package events when that is installed, and refuses what esbuild would leave for Node or a browser to find. Names without node: are esbuild's
// to miss: it knows which ones are tried in vain on purpose, within try and catch.
var fromNode = api.Plugin{Name: "node", Setup: func(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: "^" + nodePrefix}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		if r, found := resolve(b, args, strings.TrimPrefix(args.Path, nodePrefix)); found && !r.External {
			return r, nil
		}
		if args.Kind == api.ResolveJSRequireCall || args.Kind == api.ResolveJSDynamicImport {
			return api.OnResolveResult{Path: args.Path, External: true}, nil // may never run: metafile.lateFaults says it
		}
		return api.OnResolveResult{Errors: []api.Message{{Text: fmt.Sprintf("Could not resolve %q", args.Path)}}}, nil
	})
	b.OnResolve(api.OnResolveOptions{Filter: `^[a-z]+://`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		return api.OnResolveResult{Errors: []api.Message{{Text: fmt.Sprintf("%q is an address; packages are bundled from node_modules, so npm install what it is, and import that", args.Path)}}}, nil
	})
}}

// chains says of each package through which ones the user's own files came to it: " (it is in b, which a imports)". It builds once more without what only Node has.
func chains(file string) map[string]string {
	external := api.Plugin{Name: "external", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^[^./]`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.PluginData == asked || args.Kind == api.ResolveEntryPoint {
				return api.OnResolveResult{}, nil
			}
			if r, found := resolve(b, args, args.Path); found {
				return r, nil
			}
			return api.OnResolveResult{Path: args.Path, External: true}, nil
		})
	}}
	built := api.Build(options(file, fromSDK, external))
	var meta metafile
	if len(built.Errors) > 0 || json.Unmarshal([]byte(built.Metafile), &meta) != nil {
		return map[string]string{} // other faults are in the way; those come first
	}
	from := meta.importers()
	out := map[string]string{"": ""}
	for name := range from {
		text := ""
		for p, seen := name, []string{}; p != "" && !slices.Contains(seen, p); p = from[p] {
			if len(seen) == 0 {
				text = "; the package " + p + " wants it"
			} else {
				text += ", which " + p + " imports"
			}
			seen = append(seen, p)
		}
		out[name] = text
	}
	return out
}
