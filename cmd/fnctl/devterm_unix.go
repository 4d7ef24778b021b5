//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup keeps the signals of the terminal from a child.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// continued is what a process gets that goes on after Ctrl-Z; hangup when its terminal goes.
const (
	continued = syscall.SIGCONT
	hangup    = syscall.SIGHUP
)

// keyMode makes a terminal give keys one by one and not show them. Signals of keys, like Ctrl-C, and line ends stay as they are. ok is false, and nothing has changed, when f is no
// terminal, or is that of another job.
func keyMode(f *os.File) (restore func(), ok bool) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, false
	}
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return nil, false // in the background; who changes the terminal from there is stopped
	}
	keys := *before
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, setTermios, &keys); err != nil {
		return nil, false
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, before) }, true // a terminal that has gone needs nothing
}
