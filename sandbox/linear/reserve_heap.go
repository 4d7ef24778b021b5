//go:build !(linux || darwin || freebsd)

package linear

// reserve takes memory from the Go heap where there is no mmap.
func reserve(n int) ([]byte, error) { return make([]byte, n), nil }

func unreserve([]byte) error { return nil }
