package sandbox

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

const (
	pageSize      = 1 << 16
	defaultMemory = 64 << 20
	maxMemory     = 1 << 32
)

// linearMemory backs one instance's memory: address space up to the limit, of which the system gives only the pages that are touched. It lies
// outside the Go heap, so guests do not drive the garbage collector. The invocation that made it frees it; the engine's Free does nothing, because
// an instance that failed half-way is never freed by the engine and one that is closed by a deadline is freed while its code may still run.
type linearMemory struct {
	reserved []byte
	size     uint64 // handed out
	refused  bool   // the guest asked for more than the limit
}

func newLinearMemory(limit int64) (*linearMemory, error) {
	b, err := reserve(int(limit))
	if err != nil {
		return nil, fmt.Errorf("reserve %s of memory: %w", formatBytes(limit), err)
	}
	return &linearMemory{reserved: b}, nil
}

// Allocate implements experimental.MemoryAllocator. Load has made sure that the module's minimum fits.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory; nil makes memory.grow answer -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		m.refused = true
		return nil
	}
	m.size = size
	return m.reserved[:size:size]
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {}

// release gives the memory back. No guest code may run after it.
func (m *linearMemory) release() error {
	b := m.reserved
	m.reserved = nil
	return unreserve(b)
}

// formatBytes writes a size as a manifest would: 64Mi.
func formatBytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
