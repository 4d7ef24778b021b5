package jsbuild

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/evoke-run/evoke/sdk/js"
)

// EditorDir is where a project has the SDK for editors and tsc. Builds never take it from there: it may be an old one.
const EditorDir = ".fnctl/js"

const sdkNamespace = "evoke"

// fromSDK gives imports of @evoke/sdk what is in node_modules, and else what this program has.
var fromSDK = api.Plugin{Name: "sdk", Setup: func(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: "^" + js.Name + "$"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		if args.PluginData == asked {
			return api.OnResolveResult{}, nil
		}
		r, found := resolve(b, args, args.Path)
		if found && !strings.Contains(filepath.ToSlash(r.Path), "/"+EditorDir+"/") {
			return r, nil
		}
		return api.OnResolveResult{Path: js.Name, Namespace: sdkNamespace, SideEffects: api.SideEffectsFalse}, nil
	})
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: sdkNamespace}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
		text, err := js.Files.ReadFile(js.Entry)
		if err != nil {
			return api.OnLoadResult{}, err
		}
		source := string(text)
		return api.OnLoadResult{Contents: &source, Loader: api.LoaderJS}, nil
	})
}}

// WriteSDK writes the SDK into a directory, over what is there.
func WriteSDK(dir string) error {
	files, err := js.Files.ReadDir(".")
	if err == nil {
		err = os.MkdirAll(dir, 0o777)
	}
	for _, f := range files {
		var text []byte
		if err == nil {
			text, err = js.Files.ReadFile(f.Name())
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f.Name()), text, 0o666)
		}
	}
	if err != nil {
		return fmt.Errorf("write the SDK into %s: %w", dir, err)
	}
	return nil
}
