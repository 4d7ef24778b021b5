package rules

import (
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cron"
)

// Which day it is does not matter to whether a schedule is right.
var anyDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (f *faults) cron(path string, t api.CronTrigger) {
	var parser cron.Parser
	if _, err := parser.Parse("@hourly", t.Timezone, anyDay); err != nil {
		f.add(path+".timezone", "%s", err)
		t.Timezone = ""
	}
	s, err := parser.Parse(t.Schedule, t.Timezone, anyDay)
	if err != nil {
		f.add(path+".schedule", "%s", err)
	} else if err := s.CheckJitter(time.Duration(t.Jitter), anyDay); err != nil {
		f.add(path+".jitter", "%s", err)
	}
	switch t.Missed {
	case "", "skip", "last", "all":
	default:
		f.add(path+".missed", "%q is none of skip, last and all", shorten(t.Missed))
	}
	switch t.Overlap {
	case "", "allow", "skip", "queue":
	default:
		f.add(path+".overlap", "%q is none of allow, skip and queue", shorten(t.Overlap))
	}
}
