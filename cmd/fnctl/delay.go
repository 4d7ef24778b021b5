package main

import (
	"time"

	"github.com/evoke-run/evoke/api"
)

// checkDelay finds what the server would refuse, before anything is read or sent.
func (f *eventFlags) checkDelay() error {
	switch {
	case f.delay != "" && f.at != "":
		return usagef("--delay 90s, or --at 2026-01-31T12:00:00Z", "--delay and --at cannot both be given")
	case f.delay != "":
		if _, err := api.ParseDuration(f.delay); err != nil {
			return usagef("--delay 90s, --delay 24h or --delay 14d", "--delay: %w", err)
		}
	case f.at != "":
		if _, err := time.Parse(time.RFC3339Nano, f.at); err != nil {
			return usagef("--at 2026-01-31T12:00:00Z", "--at %q is not an RFC 3339 time", f.at)
		}
	}
	return nil
}
