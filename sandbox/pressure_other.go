//go:build !linux

package sandbox

// memoryIsShort is not known here; idle instances go by time alone.
func memoryIsShort() bool { return false }

// SystemMemory is how many bytes this process may have; 0 = nobody knows.
func SystemMemory() int64 { return 0 }
