package event

import (
	"strings"
	"testing"
	"time"
)

func TestResolveDelay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		at, delay string
		want      string // evokedeliverat afterwards, or the error behind "error: "
	}{
		"neither":      {"", "", ""},
		"time":         {"2026-01-31T13:00:00Z", "", "2026-01-31T13:00:00Z"},
		"other zone":   {"2026-01-31T15:00:00+02:00", "", "2026-01-31T15:00:00+02:00"},
		"lower case":   {"2026-01-31t13:00:00z", "", "2026-01-31t13:00:00z"},
		"a comma":      {"2026-01-31T13:00:00,5Z", "", `error: evokedeliverat "2026-01-31T13:00:00,5Z" is not an RFC 3339 time`},
		"past":         {"2020-01-31T13:00:00Z", "", "2020-01-31T13:00:00Z"},
		"30 days":      {"2026-03-02T12:00:00Z", "", "2026-03-02T12:00:00Z"},
		"delay":        {"", "90m", "2026-01-31T13:30:00Z"},
		"milliseconds": {"", "1.5ms", "2026-01-31T12:00:00.002Z"},
		"no delay":     {"", "0s", "2026-01-31T12:00:00Z"},
		"days":         {"", "30d", "2026-03-02T12:00:00Z"},
		"both":         {"2026-01-31T13:00:00Z", "1m", "error: evokedeliverat and evokedelay are both set"},
		"no time":      {"tomorrow", "", `error: evokedeliverat "tomorrow" is not an RFC 3339 time such as`},
		"date only":    {"2026-02-01", "", `error: evokedeliverat "2026-02-01" is not`},
		"too far":      {"2026-03-02T12:00:01Z", "", "error: evokedeliverat 2026-03-02T12:00:01Z is more than 30 days ahead"},
		"no duration":  {"", "soon", `error: evokedelay "soon" is not a duration such as`},
		"no unit":      {"", "30", `error: evokedelay "30" is not a duration`},
		"negative":     {"", "-5m", `error: evokedelay "-5m" is not a duration`},
		"too long":     {"", "31d", "error: evokedelay 31d is more than 30 days"},
		"far too long": {"", "99999d", `error: evokedelay "99999d" is not a duration`},
	} {
		e := Event{ID: "1", Source: "/s", Type: "t"}
		e.SetExtension(Extension{Name: "traceparent", Value: "x"})
		if tc.at != "" {
			e.SetExtension(Extension{Name: DeliverAtExtension, Value: tc.at})
		}
		if tc.delay != "" {
			e.SetExtension(Extension{Name: DelayExtension, Value: tc.delay})
		}
		if e.Delayed() != (tc.at != "" || tc.delay != "") {
			t.Errorf("%s: Delayed is %t", name, e.Delayed())
		}
		err := e.ResolveDelay(now)
		if want, isError := strings.CutPrefix(tc.want, "error: "); isError {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", name, err, want)
			}
			continue
		}
		got, _ := e.Extension(DeliverAtExtension)
		_, left := e.Extension(DelayExtension)
		if err != nil || got != tc.want || left || e.Validate() != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.want)
		}
		if at := e.DeliverAt(); tc.want != "" && at.Format(time.RFC3339Nano) != strings.ToUpper(tc.want) || tc.want == "" && !at.IsZero() {
			t.Errorf("%s: to be delivered at %s", name, at)
		}
	}
}
