package cron

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine without time zones has them, too
)

// zoneNames are those of the IANA database, one a line. Only a wrong name looks at them.
//
//go:embed zones.txt
var zoneNames string

func (p *Parser) zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if zone := p.zones[name]; zone != nil {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("timezone %q is unknown; %s", clip(name), hint(name))
	}
	if p.zones == nil {
		p.zones = map[string]*time.Location{}
	}
	p.zones[name] = zone
	return zone, nil
}

func clip(s string) string {
	const limit = 64
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// hint names the zone that was most likely meant: the same in other letters, the one of a city, or the nearest in spelling.
func hint(name string) string {
	const otherwise = "write one of the IANA database, like Europe/Berlin or America/New_York; without it, schedules are in UTC"
	if len(name) > 64 {
		return otherwise
	}
	best, distance := "", 4
	wanted := strings.ToLower(strings.ReplaceAll(name, " ", "_"))
	for zone := range strings.Lines(zoneNames) {
		zone = strings.TrimSpace(zone)
		known := strings.ToLower(zone)
		city := known[strings.LastIndex(known, "/")+1:]
		if known == wanted || city == wanted {
			return fmt.Sprintf("did you mean %s?", zone)
		}
		if d := min(edits(wanted, known), edits(wanted, city)+1); d < distance && d*2 < len(wanted) {
			best, distance = zone, d
		}
	}
	if best == "" {
		return otherwise
	}
	return fmt.Sprintf("did you mean %s?", best)
}

// edits counts the bytes that have to be inserted, deleted or replaced to make a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := corner
			if a[i] != b[j] {
				replace++
			}
			corner, row[j+1] = row[j+1], min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
