package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
	"github.com/evoke-run/evoke/manifest"
)

// sources are those of an app's functions: built again and again, each only when one of its files has changed.
type sources struct {
	dir      string // of the manifest
	builders builders
	manifest *manifest.Manifest // the newest that is right; nil = none yet
	units    map[string]*unit   // by the name of the function
}

// unit is the sources of one function, and what has been made of them.
type unit struct {
	function manifest.Function
	root     string           // what source: or wasm: names, real
	event    string           // what warm: names, real; "" = nothing
	script   *jsbuild.Project // of a script
	stale    bool             // it has to be built
	saved    bool             // since it was built, one of its own files was

	module []byte // the newest that could be built; nil = none yet
	warm   *api.WarmUp
	digest string
	notes  []string
	err    error           // why what is there now cannot be built
	about  map[string]bool // files that err is about
	took   time.Duration   // the newest build

	inputs map[string]bool // files; nil = all below root
	told   bool            // by the build
	dirs   map[string]bool // where they are
}

func newSources(dir string, builders builders) *sources {
	return &sources{dir: dir, builders: builders, units: map[string]*unit{}}
}

// use takes over a manifest. Functions with other sources than before are built anew.
func (s *sources) use(m *manifest.Manifest) {
	s.manifest = m
	units := map[string]*unit{}
	for _, f := range m.Functions {
		u := s.units[f.Name]
		if u == nil || u.function.Source != f.Source || u.function.Wasm != f.Wasm || u.function.Warm != f.Warm {
			u = &unit{stale: true, root: real(under(s.dir, f.Source+f.Wasm))} // one of them is ""
			if f.Warm != "" {
				u.event = real(under(s.dir, f.Warm))
			}
		}
		u.function, units[f.Name] = f, u
	}
	for name, u := range s.units {
		if units[name] != u {
			u.close()
		}
	}
	s.units = units
}

func (s *sources) close() {
	for _, u := range s.units {
		u.close()
	}
}

func (u *unit) close() {
	if u.script != nil {
		u.script.Close()
	}
}

// anyFile stands for those that nobody can tell: any may have changed.
const anyFile = ""

// touch marks what a change of files makes stale.
func (s *sources) touch(files []string) {
	for _, u := range s.units {
		if slices.ContainsFunc(files, u.concerns) {
			u.stale = true
		}
		u.saved = u.saved || slices.ContainsFunc(files, u.owns)
	}
}

// owns says whether a file is one that the function is made of, or that its fault is about, as far as that is known.
func (u *unit) owns(file string) bool {
	return file == anyFile || file == u.root || file == u.event || u.inputs[file] || u.about[file] || u.dirs[filepath.Dir(file)] && !u.function.Script()
}

// aboutFiles are the files that an error of a builder is about, real, as far as it says so.
func aboutFiles(err error) map[string]bool {
	var fault interface{ Files() []string }
	if !errors.As(err, &fault) {
		return nil
	}
	files := map[string]bool{}
	for _, file := range fault.Files() {
		files[real(file)] = true
	}
	return files
}

// concerns says whether a file may change what is built. Sources with a fault have it anywhere: an import that was not found is found once there is a file.
func (u *unit) concerns(file string) bool {
	name := filepath.Base(file)
	switch {
	case file == anyFile || u.err != nil || u.inputs[file]:
		return true
	case u.function.Script():
		return name == "package.json" || name == "tsconfig.json"
	case u.function.Wasm != "" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, "_test.go"):
		return false
	case u.inputs == nil:
		return strings.HasPrefix(file, u.root+string(filepath.Separator))
	}
	return u.dirs[filepath.Dir(file)] // a new file of a package, or a new embedded one
}

// build builds what is stale, all of it also when some cannot be built, and answers it by name.
func (s *sources) build(ctx context.Context) []*unit {
	var stale []*unit
	for _, name := range slices.Sorted(maps.Keys(s.units)) {
		if u := s.units[name]; u.stale {
			stale = append(stale, u)
		}
	}
	turn := make(chan struct{}, parallelBuilds) // holds one token for each build that runs
	var wg sync.WaitGroup
	for _, u := range stale {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			u.build(ctx, s)
		})
	}
	wg.Wait()
	return stale
}

func (u *unit) build(ctx context.Context, s *sources) {
	began := time.Now()
	b, err := u.make(ctx, s)
	if ctx.Err() != nil {
		return // it is stale still
	}
	u.stale, u.err, u.about, u.took = false, err, aboutFiles(err), time.Since(began)
	if err != nil {
		return
	}
	u.module, u.warm, u.digest, u.notes = b.module, b.warm, moduleDigest(b.module), b.notes
	if u.told = b.inputs != nil; u.told {
		u.setInputs(b.inputs)
	}
}

func (u *unit) make(ctx context.Context, s *sources) (built, error) {
	if !u.function.Script() {
		return s.builders.build(ctx, s.dir, u.function)
	}
	path := under(s.dir, u.function.Source)
	if err := checkScript(path); err != nil { // it may have been removed since
		return built{}, err
	}
	if u.script == nil {
		var err error
		if u.script, err = openScript(path); err != nil {
			return built{}, err
		}
	}
	b, err := scriptOf(u.script)
	return b, errors.Join(err, b.readWarmUp(s.dir, u.function))
}

// learn asks what packages built units are made of, when the build itself has not said so. It takes a while, so it is for afterwards.
func (s *sources) learn(ctx context.Context, units []*unit) {
	for _, u := range units {
		if u.err != nil || u.told {
			continue
		}
		files, err := s.builders.golang.Inputs(ctx, under(s.dir, u.function.Source))
		if err != nil {
			files = nil // all below root then
		}
		u.setInputs(files)
	}
}

func (u *unit) setInputs(files []string) {
	if u.inputs, u.dirs = nil, nil; files == nil {
		return
	}
	u.inputs, u.dirs = map[string]bool{}, map[string]bool{}
	for _, file := range files {
		file = real(file)
		u.inputs[file], u.dirs[filepath.Dir(file)] = true, true
	}
}

// files are all that the functions are made of, as far as that is known; the watcher looks at their directories.
func (s *sources) files() []string {
	var out []string
	for _, u := range s.units {
		if out = append(out, u.root); !u.function.Script() && u.function.Wasm == "" {
			out = append(out, filepath.Join(u.root, "any.go")) // a directory, of which the build may not have said yet what it has
		}
		for file := range u.inputs {
			out = append(out, file)
		}
	}
	return out
}

// app is what can be deployed: functions that could be built once, as they were then. The modules are by digest.
func (s *sources) app() (app api.App, modules map[string][]byte) {
	digests, modules := map[string]string{}, map[string][]byte{}
	some, whole := *s.manifest, true
	some.Functions = nil
	for _, f := range s.manifest.Functions {
		u := s.units[f.Name]
		if u.module == nil {
			whole = false
			continue
		}
		f.Spec.Warm = u.warm
		some.Functions = append(some.Functions, f)
		digests[f.Name], modules[u.digest] = u.digest, u.module
	}
	app = some.API(digests)
	// A function that was taken out of fn.yaml has to let go of its route. One that is only broken keeps what waits for it.
	app.Prune = whole
	return app, modules
}

// sameApp says whether a deploy of both would come to the same.
func sameApp(a, b api.App) bool { return reflect.DeepEqual(a, b) }

// real is a path as the system tells of changes to it: without links. A file that is not there has the real path of its directory.
func real(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if resolved, err := filepath.EvalSymlinks(abs); err == nil {
		return resolved
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return abs
	}
	return filepath.Join(dir, filepath.Base(abs))
}

// readApp reads a manifest of which it is known that it was there.
func readApp(file string) (*manifest.Manifest, error) {
	src, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is gone", file)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return manifest.Parse(file, src)
}
