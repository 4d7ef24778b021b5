package cron

import (
	"strings"
	"testing"
	"time"
)

func TestWrongSchedulesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, zone, want string }{
		{"", "", `the schedule is empty; write five fields (minute hour day month weekday) like "0 2 * * *"`},
		{"0 2 * *", "", `"0 2 * *" has 4 fields; write five fields`},
		{"0 0 0 2 * * 2027", "", `has 7 fields; write five fields (minute hour day month weekday) like "0 2 * * *", six with the second first`},
		{"0 25 * * *", "", `hour "25" of "0 25 * * *" is wrong: end of range (25) above maximum (23): "25"; hours are 0 to 23`},
		{"61 * * * *", "", `minute "61" of "61 * * * *" is wrong`},
		{"61 * * * * *", "", `second "61" of "61 * * * * *" is wrong`},
		{"0 0 32 * *", "", `day of month "32" of "0 0 32 * *" is wrong`},
		{"0 0 * 13 *", "", `month "13" of "0 0 * 13 *" is wrong`},
		{"0 0 * * 8", "", `day of week "8" of "0 0 * * 8" is wrong`},
		{"0 0 * * FRY", "", `day of week "FRY" of "0 0 * * FRY" is wrong`},
		{"*/0 * * * *", "", `minute "*/0" of "*/0 * * * *" is wrong`},
		{"1,,2 * * * *", "", `minute "1,,2" of "1,,2 * * * *" is wrong: a part between commas is empty; minutes are 0 to 59`},
		{", * * * *", "", `minute "," of ", * * * *" is wrong`},
		{"0 0 30 2 *", "", `"0 0 30 2 *" never comes: no day within 10 years is as it says; look at the day and the month`},
		{"0 0 31 2 *", "", `"0 0 31 2 *" never comes`},
		{"0 0 31 4,6,9,11 *", "", `never comes`},
		{"0 0 0 31 2 ?", "", `never comes`},
		{"@noon", "", `"@noon" is no schedule; write five fields`},
		{"@reboot", "", `@reboot is no time`},
		{"@every", "", `"@every" has no time span after @every; write @every 90s or @every 1h30m`},
		{"@every90s", "", `"@every90s" has no time span after @every`},
		{"@every soon", "", `"@every soon" has no time span after @every`},
		{"@every 500ms", "", `a time span after @every is a number of whole seconds, from 1s to 8784h0m0s`},
		{"@every -1h", "", `is a number of whole seconds`},
		{"TZ=Europe/Berlin 0 2 * * *", "", `a time zone has a key of its own; write timezone: beside the schedule`},
		{"CRON_TZ=UTC 0 2 * * *", "", `a time zone has a key of its own`},
		{strings.Repeat("1,", 200) + "1 * * * *", "", `the schedule has 409 characters, the limit is 256`},
		{"0 2 * * *", "Europe/Berln", `timezone "Europe/Berln" is unknown; did you mean Europe/Berlin?`},
		{"0 2 * * *", "berlin", `did you mean Europe/Berlin?`},
		{"0 2 * * *", "new york", `did you mean America/New_York?`},
		{"0 2 * * *", "europe/berlin", `did you mean Europe/Berlin?`},
		{"0 2 * * *", "Tokio", `did you mean Asia/Tokyo?`},
		{"0 2 * * *", "Middle/Earth", `timezone "Middle/Earth" is unknown; write one of the IANA database, like Europe/Berlin`},
		{"0 2 * * *", "Local", `timezone "Local" is unknown`},
		{"0 2 * * *", "../../etc/passwd", `is unknown; write one of`},
		{"0 2 * * *", strings.Repeat("x", 1000), `xxx…" is unknown; write one of`},
	} {
		var p Parser
		_, err := p.Parse(c.text, c.zone, time.Unix(0, 0))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q in %q: %v, want %q", c.text, c.zone, err, c.want)
		}
	}
}

// The list that hints come from has only what is there, also on a machine without time zones of its own.
func TestEveryZoneOfTheListIsThere(t *testing.T) {
	t.Parallel()
	n := 0
	for zone := range strings.Lines(zoneNames) {
		n++
		if _, err := time.LoadLocation(strings.TrimSpace(zone)); err != nil {
			t.Errorf("%v", err)
		}
	}
	if n < 500 {
		t.Errorf("the list has %d zones", n)
	}
}

func FuzzSchedule(f *testing.F) {
	for _, seed := range []string{"0 2 * * *", "*/5 1-3 L * FRI#2", "@every 90s", "? ? ? ? ?", "0 0 29 2 *", "59 59 23 31 12 7", "1,2,3-9/2 * 15W * *", "@daily", "5-1 22-2 * NOV-FEB FRI-MON"} {
		f.Add(seed, "Europe/Berlin", int64(1_774_700_000), int32(86_400))
	}
	f.Fuzz(func(t *testing.T, text, zone string, from int64, span int32) {
		var p Parser
		after := time.Unix(from%4_000_000_000, 0)
		s, err := p.Parse(text, zone, after)
		if err != nil {
			if s != nil || err.Error() == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		next := s.Next(after)
		if !next.After(after) || next.Nanosecond() != 0 {
			t.Fatalf("%q after %s is due at %s", text, after, next)
		}
		if between := s.Next(next.Add(-time.Second)); !between.Equal(next) {
			t.Fatalf("%q is due at %s, but a second before at %s", text, next, between)
		}
		until := after.Add(time.Duration(span) * time.Second)
		last, ok := s.Last(after, until)
		if ok != !next.After(until) {
			t.Fatalf("%q is due at %s, and before %s: %t", text, next, until, ok)
		}
		if more := s.Next(last); ok && !more.IsZero() && !more.After(until) {
			t.Fatalf("%q: the last before %s is %s, but it is also due at %s", text, until, last, more)
		}
	})
}
