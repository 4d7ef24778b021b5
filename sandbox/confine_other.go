//go:build !linux

package sandbox

import "os/exec"

// Without Linux only time is bounded.
func confine(*exec.Cmd) {}

func runWatched(cmd *exec.Cmd, _ int64) (peak int64, err error) { return 0, cmd.Run() }

func limitSelf(int64, int) error { return nil }
