package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// billFields are what an attempt used, as names and values for people. There are none when the server does not say.
func billFields(b api.Bill) []string {
	if b == (api.Bill{}) {
		return nil
	}
	return []string{
		"Wall", span(b.Wall), "Guest", span(b.Guest), "Fuel", count(b.Fuel), "Peak memory", size(b.PeakMemory),
		"Bytes in", size(b.BytesIn), "Bytes out", size(b.BytesOut), "Host calls", count(b.HostCalls),
	}
}

// billText is the same in one line, for logs: "guest 0.4 ms, fuel 97k, …". The wall time stands before it.
func billText(b api.Bill) string {
	fields := billFields(b)
	var parts []string
	for i := 2; i < len(fields); i += 2 {
		parts = append(parts, strings.ToLower(fields[i])+" "+fields[i+1])
	}
	return strings.Join(parts, ", ")
}

// span writes a time in the unit that people measure it in: "4.4 µs", "1.2 ms", "30 s".
func span(d time.Duration) string { return scaled(float64(d)/1e3, " µs", " ms", " s") }

// count writes a number that may be large: "940", "97k", "1.2M".
func count(n int64) string { return scaled(float64(n), "", "k", "M", "G", "T") }

// scaled has the first unit that leaves less than a thousand, and one digit after the point unless that says nothing.
func scaled(f float64, units ...string) string {
	i := 0
	for ; f >= 999.95 && i < len(units)-1; i++ { // which would be written 1000.0
		f /= 1000
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + units[i]
}
