package e2e

import (
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// Nothing of a module that cannot run becomes visible, and fnctl says what was found and what to do.
func TestModulesThatCannotRun(t *testing.T) {
	t.Parallel()
	unknownImport := wasmtest.New()
	unknownImport.Import("env", "fly", nil, nil)
	unknownImport.Handle(wasmtest.I32Const(0))
	futureImport := wasmtest.New()
	futureImport.Import("evoke_v1", "http_fetch", nil, nil)
	futureImport.Handle(wasmtest.I32Const(0))
	noEntry := wasmtest.New()
	noEntry.Func("run", nil, nil, 0)
	plugin := wasmtest.New()
	plugin.Import("extism:host/env", "input_length", nil, []byte{wasmtest.I64})
	plugin.Handle(wasmtest.I32Const(0))
	for name, tc := range map[string]struct {
		module []byte
		want   []string
	}{
		"not wasm":        {[]byte("#!/bin/sh\necho hello\n"), []string{"this is not WebAssembly: it is a script"}},
		"empty":           {nil, []string{"is not WebAssembly", "empty"}},
		"cut off":         {wasmtest.Echo()[:60], []string{"not valid WebAssembly", "build it again"}},
		"no entry":        {noEntry.Bytes(), []string{"exports neither evoke_handle nor _start", "it exports memory, run"}},
		"unknown import":  {unknownImport.Bytes(), []string{"the module imports env.fly, which this runtime does not offer"}},
		"import of later": {futureImport.Bytes(), []string{"the module imports evoke_v1.http_fetch, which this runtime does not offer"}},
		"component":       {[]byte("\x00asm\x0d\x00\x01\x00"), []string{"component", "wasm32-wasip1"}},
		"Extism plug-in":  {plugin.Bytes(), []string{"Extism plug-in", "rebuild it against evoke_v1"}},
		"too much memory": {bigMemory(), []string{"the module starts with 128Mi of memory, its limit is 64Mi", "raise memory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := sharedApp(t)
			a.write(t, "f.wasm", tc.module)
			r := a.tryDeploy(t, "version: 1\napp: bad\nfunctions:\n  f: { wasm: ./f.wasm, on: { http: {} } }\n")
			if r.code != 1 || r.stdout != "" {
				t.Errorf("deploy: %s", r)
			}
			contains(t, r.stderr, tc.want...)
			contains(t, r.stderr, `function "f": module refused: `, "\nTry: ")
			if out := a.must(t, "ls", "functions", "-o", "name"); out != "" {
				t.Errorf("there is a function now: %s", out)
			}
		})
	}
}

func TestMemoryCanBeRaisedAsAdvised(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.write(t, "f.wasm", bigMemory())
	a.deploy(t, "version: 1\napp: big\nfunctions:\n  f: { wasm: ./f.wasm, memory: 256Mi, on: { http: {} } }\n")
	if r := a.send(t, "GET", "/fn/f", nil, nil); r.status != 204 {
		t.Errorf("call: %d %s", r.status, r.body)
	}
}

func bigMemory() []byte {
	m := wasmtest.New()
	m.Memory(2048)
	return m.Handle(wasmtest.I32Const(0)).Bytes()
}

func TestModuleThatIsNotThere(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	r := a.tryDeploy(t, "version: 1\napp: bad\nfunctions:\n  f: { wasm: ./f.wasm }\n")
	if r.code == 0 {
		t.Errorf("deploy: %s", r)
	}
	contains(t, r.stderr, "function f", "f.wasm", "no such file")
}

func TestSourceThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.write(t, "f/main.go", []byte("package main\n\nfunc main() { undefined() }\n"))
	r := a.tryDeploy(t, "version: 1\napp: bad\nfunctions:\n  f: { source: ./f }\n")
	if r.code != 1 {
		t.Errorf("deploy: %s", r)
	}
	contains(t, r.stderr, "main.go:3:15: undefined: undefined", "Try: correct the code in f")
	if strings.Contains(r.stderr, a.dir) {
		t.Errorf("it names a directory that the user has not: %s", r.stderr)
	}
}

func TestManifestsThatAreWrong(t *testing.T) {
	t.Parallel()
	const head = "version: 1\napp: bad\nfunctions:\n  f:\n    wasm: ./f.wasm\n"
	for name, tc := range map[string]struct {
		manifest string
		code     int
		want     []string
	}{
		"unknown key": {head + "    timeot: 5s\n", 1, []string{
			"fn.yaml:6:5: functions.f.timeot is not a known key; did you mean timeout?", "Try: correct the places named above",
		}},
		"later key":              {head + "    on: { kafka: {} }\n", 1, []string{"fn.yaml:6:11: functions.f.on.kafka is not supported yet"}},
		"secret that is not set": {head + "    secrets: [a]\n", 1, []string{"functions.f.secrets: there is no secret \"a\" in namespace", "Try: fnctl secret set a -n "}},
		"filter that does not parse": {head + "    on: { topic: { name: a, filter: \"type = \" } }\n", 1, []string{
			"fn.yaml:6:37: functions.f.on.topic.filter: at character 8: found the end, expected an attribute",
		}},
		"filter without a function of this name": {head + "    on: { topic: { name: a, filter: \"FLY(type)\" } }\n", 1, []string{"filter", "FLY"}},
		"not YAML":                               {"version: 1\n\tapp: bad\n", 1, []string{"fn.yaml:2:", "not valid YAML"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := sharedApp(t)
			a.write(t, "f.wasm", wasmtest.Echo())
			r := a.tryDeploy(t, tc.manifest)
			if r.code != tc.code || r.stdout != "" {
				t.Errorf("deploy: %s", r)
			}
			contains(t, r.stderr, append(tc.want, "\nTry: ")...)
			if out := a.must(t, "ls", "functions", "-o", "name"); out != "" {
				t.Errorf("there is a function now: %s", out)
			}
		})
	}
}
