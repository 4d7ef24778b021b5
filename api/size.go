package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseSize reads "64Mi", "1Gi", "512Ki" or a count of bytes.
func ParseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range [...]struct {
		suffix string
		bytes  int64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, unit = rest, u.bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size; try 64Mi, 1Gi or a number of bytes", s[:min(len(s), 40)])
	}
	return n * unit, nil
}

// FormatSize writes bytes in the form that ParseSize reads, in the largest unit that has no fraction.
func FormatSize(n int64) string {
	for _, u := range [...]struct {
		suffix string
		bytes  int64
	}{{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}} {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
