//go:build linux || darwin || freebsd

package sandbox

import "syscall"

// reserve maps n bytes of zeroed memory that cost nothing until they are touched.
func reserve(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func unreserve(b []byte) error { return syscall.Munmap(b) }
