package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// suiteSpec is how a program of WebAssembly/wasi-testsuite is to be run and how it must end.
type suiteSpec struct {
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Root     string            `json:"root"` // a directory to give to the program
	ExitCode int               `json:"exit_code"`
	Stdout   string            `json:"stdout"`
}

// TestWASITestSuite runs the preview 1 programs of WebAssembly/wasi-testsuite as WASI commands. Those that need what no function has, such as a
// directory, are listed in testdata/wasitestsuite.txt with the reason; they run all the same, and must end as a program may.
func TestWASITestSuite(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("EVOKE_WASI_TESTSUITE")
	if dir == "" {
		t.Skip("set EVOKE_WASI_TESTSUITE to a clone of github.com/WebAssembly/wasi-testsuite, branch prod/testsuite-base")
	}
	files, err := filepath.Glob(filepath.Join(dir, "tests", "*", "testsuite", "wasm32-wasip1", "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no programs in %s/tests/*/testsuite/wasm32-wasip1 (%v): the branch prod/testsuite-base has them", dir, err)
	}
	notApplicable := suiteExceptions(t)
	r := newRuntime(t)
	passed, excused := 0, 0
	for _, file := range files {
		name := suiteName(file)
		t.Run(name, func(t *testing.T) {
			reason, listed := notApplicable[name]
			timeout := time.Minute
			if listed {
				timeout = 2 * time.Second // one of them looks for a directory behind each of 2^31 descriptors
			}
			fault, broken := runSuiteProgram(t, r, file, timeout)
			delete(notApplicable, name)
			switch {
			case broken:
				t.Error(fault)
			case fault == "" && listed:
				t.Errorf("passes: take it off testdata/wasitestsuite.txt, which says %q", reason)
			case fault == "":
				passed++
			case listed:
				excused++
			default:
				t.Error(fault)
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(notApplicable)) {
		t.Errorf("testdata/wasitestsuite.txt lists %s, which is not in the suite", name)
	}
	t.Logf("%d of %d programs passed, %d are not applicable", passed, len(files), excused)
}

// suiteName is language/program.
func suiteName(file string) string {
	language := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(file))))
	return language + "/" + strings.TrimSuffix(filepath.Base(file), ".wasm")
}

// suiteExceptions are the reasons why programs are not applicable, by name.
func suiteExceptions(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "wasitestsuite.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reasons := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			t.Fatalf("%s: line %q is not NAME: REASON", f.Name(), line)
		}
		reasons[name] = reason
	}
	return reasons
}

// runSuiteProgram says what was wrong, "" for nothing. broken means that it ended as no program may end, whatever it needs.
func runSuiteProgram(t *testing.T, r *Runtime, file string, timeout time.Duration) (fault string, broken bool) {
	t.Helper()
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec := readSuiteSpec(t, strings.TrimSuffix(file, ".wasm")+".json")
	m, err := r.Load(t.Context(), wasm, Settings{Function: filepath.Base(file)})
	if err != nil {
		return "refused: " + err.Error(), true
	}
	defer func() {
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	// Functions have no arguments, and an environment with names of ours; the suite wants its own and nothing else.
	p := m.current()
	p.args = append(p.args, spec.Args...)
	p.environ = nil
	for name, value := range spec.Env {
		p.environ = append(p.environ, name+"="+value)
	}
	slices.Sort(p.environ)
	h := &fakeHost{}
	res := m.Invoke(within(t, timeout), testEvent(), h)
	switch res.Class {
	case "", ClassError, ClassTrap, ClassDeadline:
	default:
		return fmt.Sprintf("%s: %s, log %q", res.Class, res.Reason, h.lines), true
	}
	wantClass, wantReason := "", ""
	if spec.ExitCode != 0 {
		wantClass, wantReason = ClassError, fmt.Sprintf("the program exited with code %d ", spec.ExitCode)
	}
	if res.Class != wantClass || !strings.HasPrefix(res.Reason, wantReason) {
		return fmt.Sprintf("%s: %s, want exit code %d, log %q", res.Class, res.Reason, spec.ExitCode, h.lines), false
	}
	if spec.Stdout != "" && string(res.Data) != spec.Stdout {
		return fmt.Sprintf("stdout %q, want %q", res.Data, spec.Stdout), false
	}
	return "", false
}

// readSuiteSpec reads the file beside a program; without one the defaults hold.
func readSuiteSpec(t *testing.T, file string) (spec suiteSpec) {
	t.Helper()
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return spec
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return spec
}
