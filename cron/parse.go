package cron

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	crontab "github.com/netresearch/go-cron"
)

const (
	maxText  = 256
	maxEvery = 366 * 24 * time.Hour
	// searchYears lets the 29th of February come in any case: eight years may be between two.
	searchYears = 10
)

// field is one of the places of a schedule.
type field struct{ name, rule string }

// The fields in their order. They are read-only.
var places = [...]field{
	{"second", "seconds are 0 to 59"},
	{"minute", "minutes are 0 to 59"},
	{"hour", "hours are 0 to 23"},
	{"day of month", "days are 1 to 31, or L for the last one and 15W for the workday nearest to the 15th"},
	{"month", "months are 1 to 12 or JAN to DEC"},
	{"day of week", "days are 0 to 7 or SUN to SAT, where 0 and 7 are Sunday, FRI#2 is the second Friday and FRI#L the last"},
}

// words stand for fields.
var words = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parser reads schedules and keeps their time zones, which are large. Its zero value can be used, by one goroutine at a time.
type Parser struct{ zones map[string]*time.Location }

// Parse reads a schedule: five fields (minute, hour, day of month, month, day of week), six with the second before them, or a word such as @hourly or @every 90s. The
// timezone is one of the IANA database, "" is UTC. What @every counts begins at since. A schedule that never comes is an error.
func (p *Parser) Parse(text, timezone string, since time.Time) (*Schedule, error) {
	zone, err := p.zone(timezone)
	if err != nil {
		return nil, err
	}
	s := &Schedule{zone: zone, anchor: since.Truncate(time.Second)}
	if len(text) > maxText {
		return nil, fmt.Errorf("the schedule has %d characters, the limit is %d", len(text), maxText)
	}
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "@every"); ok {
		if s.every, err = parseEvery(text, rest); err != nil {
			return nil, err
		}
		return s, nil
	}
	fields, err := split(text)
	if err != nil {
		return nil, err
	}
	s.elapsed = strings.HasPrefix(fields[2], "*") || strings.HasPrefix(fields[2], "?")
	if s.fields, err = parseFields(text, fields); err != nil {
		return nil, err
	}
	if s.Next(since).IsZero() {
		return nil, fmt.Errorf("%q never comes: no day within %d years is as it says; look at the day and the month", text, searchYears)
	}
	return s, nil
}

func parseEvery(text, rest string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(rest))
	switch {
	case err != nil || !strings.HasPrefix(rest, " "):
		return 0, fmt.Errorf("%q has no time span after @every; write @every 90s or @every 1h30m", text)
	case d < time.Second || d > maxEvery || d%time.Second != 0:
		return 0, fmt.Errorf("%q: a time span after @every is a number of whole seconds, from 1s to %s", text, maxEvery)
	}
	return d, nil
}

const example = `write five fields (minute hour day month weekday) like "0 2 * * *", six with the second first, or @hourly, @daily, @weekly, @monthly, @yearly, @every 90s`

// split gives six fields.
func split(text string) ([]string, error) {
	switch {
	case text == "":
		return nil, fmt.Errorf("the schedule is empty; %s", example)
	case strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ="):
		return nil, fmt.Errorf("%q: a time zone has a key of its own; write timezone: beside the schedule", text)
	case text == "@reboot":
		return nil, fmt.Errorf("@reboot is no time, and a runtime that starts again goes on where it was; %s", example)
	case strings.HasPrefix(text, "@"):
		meant, known := words[text]
		if !known {
			return nil, fmt.Errorf("%q is no schedule; %s", text, example)
		}
		text = meant
	}
	fields := strings.Fields(text)
	switch len(fields) {
	case len(places) - 1:
		fields = append([]string{"0"}, fields...)
	case len(places):
	default:
		return nil, fmt.Errorf("%q has %d fields; %s", text, len(fields), example)
	}
	return fields, nil
}

func parseFields(text string, fields []string) (crontab.Schedule, error) {
	parser := crontab.MustNewParser(crontab.Second | crontab.Minute | crontab.Hour | crontab.Dom | crontab.Month | crontab.Dow | crontab.Extended | crontab.DowOrDom).
		WithMaxSearchYears(searchYears)
	s, err := parser.Parse("TZ=UTC " + strings.Join(fields, " "))
	if err == nil && !slices.ContainsFunc(fields, hasEmptyPart) {
		return s, nil
	}
	for i, f := range fields { // which one is it?
		alone := []string{"*", "*", "*", "*", "*", "*"}
		alone[i] = f
		_, err := parser.Parse("TZ=UTC " + strings.Join(alone, " "))
		if err == nil && hasEmptyPart(f) {
			err = errors.New("a part between commas is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q of %q is wrong: %w; %s", places[i].name, f, text, err, places[i].rule)
		}
	}
	return nil, fmt.Errorf("schedule %q: %w", text, err)
}

func hasEmptyPart(f string) bool {
	for part := range strings.SplitSeq(f, ",") {
		if part == "" {
			return true
		}
	}
	return false
}
