//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package main

import (
	"os"
	"syscall"
)

// Here fnctl dev works without keys.

func ownGroup() *syscall.SysProcAttr { return nil }

// Signals that there are not.
const (
	continued = syscall.Signal(-1)
	hangup    = syscall.Signal(-1)
)

func keyMode(*os.File) (restore func(), ok bool) { return nil, false }
