package sandbox

import (
	"fmt"

	"github.com/evoke-run/evoke/sandbox/linear"
)

const (
	pageSize      = linear.PageSize
	defaultMemory = 64 << 20
	maxMemory     = 1 << 32
)

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
