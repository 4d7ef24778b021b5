package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads Go's form of a duration and, because retention is said in days, whole days as "14d".
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration; try 500ms, 30s, 5m, 24h or 14d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; try 500ms, 30s, 5m, 24h or 14d", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is below zero", s)
	}
	return d, nil
}
