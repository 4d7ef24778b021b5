// Package e2e tests the programs as people use them: real processes, real files, real sockets.
//
// TestMain builds runtime and fnctl once. A test that needs nothing special gets a namespace of the shared runtime (sharedApp); one that stops, kills or
// configures a runtime starts its own (start). What a test waits for comes as a line of a stream (logs, topic tail) or, where nothing streams it, from
// eventually.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs are the binaries under test and what all their processes share.
var programs struct {
	runtime, fnctl string
	// usual is the directory with both as users have them: without the race detector.
	usual string
	// compiled is the cache of compiled modules of every runtime here, so that the probe is compiled once.
	compiled string
	// home is where fnctl keeps its SDK, gocache where the go command that it runs keeps what it has built.
	home, gocache string
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "evoke-e2e-")
	if err != nil {
		return complain(err)
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return complain(err)
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		return complain(err)
	}
	return code
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// build makes the programs race-detecting when the test is. Measured on two cores: the packages are compiled that way for their own tests already, so only
// the link is left (6 s). The instrumented wazero takes 15 s instead of 2 s to compile a Go guest, so the usual program does that for both. (To leave only
// wazero uninstrumented does not work: its instances of generic functions replace those of other packages, and the detector then reports races in
// encoding/json.) What says nothing about what runs at once is done with the usual programs altogether: the pages of the documentation, and fnctl test.
func build(dir string) error {
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("ask the go command for its cache: %w", err)
	}
	programs.gocache = string(gocache[:len(gocache)-1])
	programs.runtime, programs.fnctl = filepath.Join(dir, "bin", "runtime"), filepath.Join(dir, "bin", "fnctl")
	programs.compiled, programs.home = filepath.Join(dir, "compiled"), filepath.Join(dir, "home")
	for _, d := range []string{programs.compiled, programs.home} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	programs.usual = filepath.Dir(programs.runtime)
	if !raceDetector {
		return goBuild(programs.usual, "", "-trimpath") // as make build has compiled the packages
	}
	programs.usual = filepath.Join(dir, "usual")
	if err := goBuild(programs.usual, "", "-trimpath"); err != nil {
		return err
	}
	return goBuild(filepath.Dir(programs.runtime), " -X main.compilerFile="+filepath.Join(programs.usual, "runtime"), "-race")
}

func goBuild(bin, ldflags, how string) error {
	cmd := exec.Command("go", "build", how, "-ldflags=-s -w"+ldflags, "-o", bin+"/", "./cmd/runtime", "./cmd/fnctl")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build runtime and fnctl: %w\n%s", err, out)
	}
	return nil
}
