package rewrite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// script is a test of the WebAssembly specification as wast2json writes it.
type script struct {
	Commands []command `json:"commands"`
}

type command struct {
	Type     string  `json:"type"`
	Line     int     `json:"line"`
	Name     string  `json:"name"`
	As       string  `json:"as"`
	Filename string  `json:"filename"`
	Format   string  `json:"module_type"`
	Action   action  `json:"action"`
	Text     string  `json:"text"`
	Expected []value `json:"expected"`
}

type action struct {
	Type   string  `json:"type"`
	Module string  `json:"module"`
	Field  string  `json:"field"`
	Args   []value `json:"args"`
}

type value struct {
	Type  string `json:"type"`
	Lane  string `json:"lane_type"`
	Value any    `json:"value"`
}

// specDir is where the module cache keeps the specification's tests.
func specDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if _, statErr := os.Stat(dir); err != nil || statErr != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the specification's tests are not in the module cache: %v, %v", err, statErr)
		}
		t.Skip("the specification's tests are not in the module cache")
	}
	return dir
}

// TestSpecification runs every module of the specification's tests as it is and rewritten, side by side: every call ends the same.
func TestSpecification(t *testing.T) {
	t.Parallel()
	dir := specDir(t)
	var mu sync.Mutex
	var refused []string
	calls := 0
	t.Run("scripts", func(t *testing.T) {
		for _, suite := range []string{"v2", "extended-const", "tail-call"} {
			files, err := filepath.Glob(filepath.Join(dir, suite, "testdata", "*.json"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %d scripts, %v", suite, len(files), err)
			}
			for i, file := range files {
				if raceDetector && i%10 != 0 {
					continue // nothing here runs at once; the race detector only makes compiling ten times as slow
				}
				t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
					t.Parallel()
					r := newSpecRun(t, suite, file, filepath.Join(dir, "testdata", "spectest.wasm"))
					r.run()
					mu.Lock()
					defer mu.Unlock()
					refused = append(refused, r.refused...)
					calls += r.calls
				})
			}
		}
	})
	if raceDetector {
		return
	}
	for _, suite := range []string{"threads", "exception-handling", "typed-function-references"} {
		refused = append(refused, refusals(t, dir, suite)...)
	}
	slices.Sort(refused)
	got := strings.Join(refused, "\n") + "\n"
	want, err := os.ReadFile(filepath.Join("testdata", "refused.txt"))
	if os.Getenv("UPDATE") != "" {
		want, err = []byte(got), os.WriteFile(filepath.Join("testdata", "refused.txt"), []byte(got), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("other modules are refused than testdata/refused.txt says (write it with UPDATE=1):\n%s", got)
	}
	if calls < 40_000 {
		t.Errorf("only %d calls were compared", calls)
	}
	t.Logf("%d calls compared, %d modules refused", calls, len(refused))
}

// refusals rewrites the modules of a suite that lies outside of the feature set.
func refusals(t *testing.T, dir, suite string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, suite, "testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d scripts, %v", suite, len(files), err)
	}
	for _, file := range files {
		r := &specRun{t: t, dir: filepath.Dir(file)}
		raw, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(raw, &r.script)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.script.Commands {
			if c.Type != "module" {
				continue
			}
			if _, err := rewrite.Module(r.read(c.Filename), rewrite.Options{}); err != nil {
				all = append(all, fmt.Sprintf("%s/%s: %v", suite, c.Filename, err))
			}
		}
	}
	return all
}

// specRun is one script in two worlds: plain and rewritten.
type specRun struct {
	t          *testing.T
	suite, dir string
	script     script
	runtimes   [2]wazero.Runtime
	named      map[string][2]api.Module
	last       [2]api.Module
	refused    []string
	calls      int
}

func newSpecRun(t *testing.T, suite, file, spectest string) *specRun {
	t.Helper()
	r := &specRun{t: t, suite: suite, dir: filepath.Dir(file), named: map[string][2]api.Module{}}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &r.script); err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile(spectest)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.runtimes {
		r.runtimes[i], _ = newRuntime(t)
		if _, err := r.runtimes[i].InstantiateWithConfig(context.Background(), host, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *specRun) run() {
	for i, c := range r.script.Commands {
		switch c.Type {
		case "module":
			r.module(c, r.registeredAs(i))
		case "assert_return", "assert_trap", "assert_exhaustion", "action":
			r.compare(c)
		case "assert_uninstantiable", "assert_unlinkable":
			r.uninstantiable(c)
		case "assert_invalid", "assert_malformed":
			if c.Format == "binary" {
				_, _ = rewrite.Module(r.read(c.Filename), rewrite.Options{}) // must not panic
			}
		}
	}
}

func (r *specRun) read(name string) []byte {
	r.t.Helper()
	wasm, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return wasm
}

// registeredAs looks ahead for the name under which later modules import this one.
func (r *specRun) registeredAs(i int) string {
	name := r.script.Commands[i].Name
	for _, c := range r.script.Commands[i+1:] {
		if c.Type == "register" && (c.Name == name || c.Name == "") {
			return c.As
		}
		if c.Type == "module" && name == "" {
			return ""
		}
	}
	return ""
}

// module brings a module up in both worlds. One that others import plays the host and stays as it is.
func (r *specRun) module(c command, as string) {
	wasm := r.read(c.Filename)
	config := wazero.NewModuleConfig().WithName(as).WithStartFunctions()
	plain, err := r.runtimes[0].InstantiateWithConfig(context.Background(), wasm, config)
	if err != nil {
		r.t.Logf("line %d: wazero itself refuses: %v", c.Line, err)
		r.last = [2]api.Module{}
		return
	}
	var changed api.Module
	if as == "" {
		changed, err = instantiate(r.runtimes[1], wasm, config)
		var refusal *rewrite.Error
		if errors.As(err, &refusal) {
			r.refused = append(r.refused, fmt.Sprintf("%s/%s: %v", r.suite, c.Filename, refusal))
		} else if err != nil {
			r.t.Fatalf("line %d: rewritten: %v", c.Line, err)
		}
	}
	if changed == nil {
		if changed, err = r.runtimes[1].InstantiateWithConfig(context.Background(), wasm, config); err != nil {
			r.t.Fatal(err)
		}
	}
	r.last = [2]api.Module{plain, changed}
	if c.Name != "" {
		r.named[c.Name] = r.last
	}
}

func (r *specRun) uninstantiable(c command) {
	wasm := r.read(c.Filename)
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	_, plain := r.runtimes[0].InstantiateWithConfig(context.Background(), wasm, config)
	_, changed := instantiate(r.runtimes[1], wasm, config)
	if (plain == nil) != (changed == nil) {
		r.t.Errorf("line %d: plain: %v, rewritten: %v", c.Line, plain, changed)
	}
}

// compare calls in both worlds.
func (r *specRun) compare(c command) {
	mods := r.last
	if c.Action.Module != "" {
		mods = r.named[c.Action.Module]
	}
	if mods[0] == nil {
		return
	}
	r.calls++
	plain, perr := perform(mods[0], c.Action)
	changed, cerr := perform(mods[1], c.Action)
	if perr != cerr || !slices.Equal(plain, changed) {
		r.t.Errorf("line %d: %s(%v): plain %x %s, rewritten %x %s", c.Line, c.Action.Field, c.Action.Args, plain, perr, changed, cerr)
	}
}

// perform does one action; the error is its first line.
func perform(mod api.Module, a action) ([]uint64, string) {
	if a.Type == "get" {
		return []uint64{mod.ExportedGlobal(a.Field).Get()}, ""
	}
	f := mod.ExportedFunction(a.Field)
	var args []uint64
	for _, v := range a.Args {
		args = append(args, v.bits()...)
	}
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		if depth, ok := mod.ExportedGlobal(rewrite.DepthGlobal).(api.MutableGlobal); ok {
			depth.Set(512 << 10)
		}
		line, _, _ := strings.Cut(err.Error(), "\n")
		line, _, _ = strings.Cut(strings.TrimPrefix(line, "wasm error: "), " (recovered")
		return nil, line
	}
	i := 0
	for _, t := range f.Definition().ResultTypes() {
		if t == 0x70 && results[i] != 0 {
			results[i] = 1 // a function's address differs
		}
		i++
		if t == 0x7b {
			i++
		}
	}
	return results, ""
}

// bits of an argument; a vector has two numbers.
func (v value) bits() []uint64 {
	if lanes, ok := v.Value.([]any); ok {
		width := 128 / len(lanes)
		var out [2]uint64
		for i, l := range lanes {
			out[i*width/64] |= number(l.(string), width) << (i * width % 64)
		}
		return out[:]
	}
	s, _ := v.Value.(string)
	switch {
	case s == "" || s == "null":
		return []uint64{0}
	case strings.HasSuffix(v.Type, "ref"):
		return []uint64{number(s, 64) + 1}
	case strings.HasSuffix(v.Type, "32"):
		return []uint64{number(s, 32)}
	}
	return []uint64{number(s, 64)}
}

func number(s string, width int) uint64 {
	if strings.HasPrefix(s, "nan") {
		if width == 32 {
			return uint64(math.Float32bits(float32(math.NaN())))
		}
		return math.Float64bits(math.NaN())
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return uint64(n) & (1<<uint(width) - 1)
}
