//go:build darwin || freebsd

package linear

import "syscall"

// reserve maps zeroed memory that costs nothing until it is touched.
func reserve(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func unreserve(space []byte) error { return syscall.Munmap(space) }
