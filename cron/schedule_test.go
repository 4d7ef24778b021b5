package cron

import (
	"slices"
	"testing"
	"time"
)

const wallForm = "2006-01-02 15:04:05 -0700"

func parse(t testing.TB, text, zone, since string) *Schedule {
	t.Helper()
	var p Parser
	s, err := p.Parse(text, zone, at(t, since))
	if err != nil {
		t.Fatalf("%q in %s: %v", text, zone, err)
	}
	return s
}

// at reads a time as a clock in UTC shows it.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func show(list []time.Time) (out []string) {
	for _, t := range list {
		out = append(out, t.Format(wallForm))
	}
	return out
}

func TestNextDueTimes(t *testing.T) {
	t.Parallel()
	const since = "2026-01-31 12:34:56" // a Saturday
	for _, c := range []struct {
		text, zone string
		want       []string
	}{
		{"0 2 * * *", "", []string{"2026-02-01 02:00:00 +0000", "2026-02-02 02:00:00 +0000"}},
		{"0 2 * * *", "Europe/Berlin", []string{"2026-02-01 02:00:00 +0100", "2026-02-02 02:00:00 +0100"}},
		{"*/20 * * * *", "", []string{"2026-01-31 12:40:00 +0000", "2026-01-31 13:00:00 +0000"}},
		{"*/25 30 12 * * *", "", []string{"2026-02-01 12:30:00 +0000", "2026-02-01 12:30:25 +0000"}},
		{"* * * * * *", "", []string{"2026-01-31 12:34:57 +0000", "2026-01-31 12:34:58 +0000"}},
		{"0 9-17/4 * * MON-FRI", "", []string{"2026-02-02 09:00:00 +0000", "2026-02-02 13:00:00 +0000"}},
		{"0 0 * * 7", "", []string{"2026-02-01 00:00:00 +0000", "2026-02-08 00:00:00 +0000"}},
		{"0 0 13 * 5", "", []string{"2026-02-06 00:00:00 +0000", "2026-02-13 00:00:00 +0000"}}, // the 13th or a Friday, as ever
		{"0 0 L * *", "", []string{"2026-02-28 00:00:00 +0000", "2026-03-31 00:00:00 +0000"}},
		{"0 0 * * FRI#2", "", []string{"2026-02-13 00:00:00 +0000", "2026-03-13 00:00:00 +0000"}},
		{"0 0 29 2 *", "", []string{"2028-02-29 00:00:00 +0000", "2032-02-29 00:00:00 +0000"}},
		{"@yearly", "", []string{"2027-01-01 00:00:00 +0000", "2028-01-01 00:00:00 +0000"}},
		{"@weekly", "", []string{"2026-02-01 00:00:00 +0000", "2026-02-08 00:00:00 +0000"}},
		{" @hourly ", "", []string{"2026-01-31 13:00:00 +0000", "2026-01-31 14:00:00 +0000"}},
		{"@every 90s", "", []string{"2026-01-31 12:36:26 +0000", "2026-01-31 12:37:56 +0000"}},
		{"@every 1h30m", "Asia/Kolkata", []string{"2026-01-31 19:34:56 +0530", "2026-01-31 21:04:56 +0530"}},
		{"30 5 * * *", "Asia/Kathmandu", []string{"2026-02-01 05:30:00 +0545", "2026-02-02 05:30:00 +0545"}},
	} {
		if got := show(parse(t, c.text, c.zone, since).Upcoming(at(t, since), 2)); !slices.Equal(got, c.want) {
			t.Errorf("%q in %q is due at %q, want %q", c.text, c.zone, got, c.want)
		}
	}
}

// docs/cron.md has this as its table.
func TestChangesOfTheClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, zone, after string
		want                    []string
	}{
		{"left out: as soon as the clock has gone ahead", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
			[]string{"2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"}},
		{"left out several times: once", "*/10 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
			[]string{"2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200"}},
		{"left out, and due when the gap ends: once", "0 2,3 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
			[]string{"2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200"}},
		{"at the end of the gap", "0 3 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
			[]string{"2026-03-29 03:00:00 +0200", "2026-03-30 03:00:00 +0200"}},
		{"twice on the clock: the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00",
			[]string{"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"}},
		{"twice on the clock, several times: each once", "0,30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00",
			[]string{"2026-10-25 02:00:00 +0200", "2026-10-25 02:30:00 +0200", "2026-10-26 02:00:00 +0100"}},
		{"asked between the two", "45 2 * * *", "Europe/Berlin", "2026-10-25 00:50:00",
			[]string{"2026-10-26 02:45:00 +0100"}},
		{"asked in the second hour", "45 2 * * *", "Europe/Berlin", "2026-10-25 01:10:00",
			[]string{"2026-10-26 02:45:00 +0100"}},
		{"behind the second hour", "15 3 * * *", "Europe/Berlin", "2026-10-25 01:10:00",
			[]string{"2026-10-25 03:15:00 +0100"}},
		{"every hour: as time passes, in spring", "0 * * * *", "Europe/Berlin", "2026-03-28 23:30:00",
			[]string{"2026-03-29 01:00:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 04:00:00 +0200"}},
		{"every hour: as time passes, in autumn", "30 * * * *", "Europe/Berlin", "2026-10-24 23:45:00",
			[]string{"2026-10-25 02:30:00 +0200", "2026-10-25 02:30:00 +0100", "2026-10-25 03:30:00 +0100"}},
		{"every two hours: the one that is not there is left out", "0 */2 * * *", "Europe/Berlin", "2026-03-28 22:30:00",
			[]string{"2026-03-29 00:00:00 +0100", "2026-03-29 04:00:00 +0200"}},
		{"every span does not care", "@every 1h", "Europe/Berlin", "2026-10-24 22:45:00",
			[]string{"2026-10-25 01:45:00 +0200", "2026-10-25 02:45:00 +0200", "2026-10-25 02:45:00 +0100"}},
		{"west of Greenwich", "30 2 * * *", "America/New_York", "2026-03-07 12:00:00",
			[]string{"2026-03-08 03:00:00 -0400", "2026-03-09 02:30:00 -0400"}},
		{"half an hour, left out", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00:00",
			[]string{"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"}},
		{"half an hour, twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 11:30:00",
			[]string{"2026-04-05 01:45:00 +1100", "2026-04-06 01:45:00 +1030"}},
		{"a midnight that is not there", "@daily", "America/Sao_Paulo", "2018-11-03 12:00:00",
			[]string{"2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200"}},
		{"a whole day that is not there", "0 8 * * *", "Pacific/Apia", "2011-12-29 12:00:00",
			[]string{"2011-12-29 08:00:00 -1000", "2011-12-31 00:00:00 +1400", "2011-12-31 08:00:00 +1400"}},
		{"years across many changes", "0 3 29 2 *", "Europe/Berlin", "2096-03-01 00:00:00",
			[]string{"2104-02-29 03:00:00 +0100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := show(parse(t, c.text, c.zone, c.after).Upcoming(at(t, c.after), len(c.want))); !slices.Equal(got, c.want) {
				t.Errorf("%q is due at\n%q, want\n%q", c.text, got, c.want)
			}
		})
	}
}

// Last is found by halving, and must be what counting up finds.
func TestLastIsTheLast(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"* * * * * *", "*/7 * * * *", "0 2 * * *", "30 2 * * 1", "0 0 1 * *", "@every 40m", "*/5 * 3 * * *"} {
		s := parse(t, text, "Europe/Berlin", "2026-10-20 00:00:00")
		after := at(t, "2026-10-24 22:13:07")
		for _, span := range []time.Duration{0, time.Second, 59 * time.Minute, 3*time.Hour + 11*time.Second, 26 * time.Hour, 9 * 24 * time.Hour} {
			until := after.Add(span)
			var want time.Time
			for due := s.Next(after); !due.After(until); due = s.Next(due) {
				want = due
			}
			got, ok := s.Last(after, until)
			if ok == want.IsZero() || !got.Equal(want) {
				t.Errorf("%q: the last in %s is %s %t, want %s", text, span, got, ok, want)
			}
		}
	}
}

func TestJitterIsShorterThanTheScheduleAllows(t *testing.T) {
	t.Parallel()
	now := "2026-01-31 12:34:56"
	for _, c := range []struct {
		text   string
		jitter time.Duration
		want   string
	}{
		{"0 2 * * *", 6 * time.Hour, ""},
		{"* * * * *", 59 * time.Second, ""},
		{"* * * * *", time.Minute, "1m0s is not shorter than the time between two firings, which can be 1m0s; make it shorter"},
		{"* * * * * *", time.Second, "1s is not shorter than the time between two firings, which can be 1s; make it shorter"},
		{"*/30 * * * * *", 29 * time.Second, ""},
		{"@every 90s", 2 * time.Minute, "2m0s is not shorter than the time between two firings, which can be 1m30s; make it shorter"},
		{"0,1 2 * * *", 2 * time.Minute, "2m0s is not shorter than the time between two firings, which can be 1m0s; make it shorter"},
		{"@monthly", 25 * time.Hour, "25h0m0s is not a number of whole seconds up to 24h0m0s"},
		{"@daily", 1500 * time.Millisecond, "1.5s is not a number of whole seconds up to 24h0m0s"},
		{"@daily", -time.Second, "-1s is not a number of whole seconds up to 24h0m0s"},
	} {
		err := parse(t, c.text, "", now).CheckJitter(c.jitter, at(t, now))
		if got := text(err); got != c.want {
			t.Errorf("%q with jitter %s: %q, want %q", c.text, c.jitter, got, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
