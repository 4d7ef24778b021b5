package cron

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A machine without time zones: this test runs itself, as a program without libraries, where there is nothing but that program.
func TestZonesOfAMachineThatHasNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := exec.Command("go", "test", "-c", "-trimpath", "-o", filepath.Join(dir, "cron.test"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build this test: %v\n%s", err, out)
	}
	cmd := &exec.Cmd{
		Path: "/cron.test", Args: []string{"cron.test", "-test.run=^(TestEveryZoneOfTheListIsThere|TestChangesOfTheClock)$", "-test.v"}, Env: []string{}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Chroot: dir},
	}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Skipf("this machine lets nobody change the root directory: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
