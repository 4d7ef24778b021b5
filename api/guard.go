package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Guard is one thing that must hold of the candidate of a rollout.
type Guard struct {
	// Metric is one of the constants below.
	Metric string
	// OrEqual: <= instead of <.
	OrEqual bool
	// Limit is in millionths of one (1 % = 10,000) for shares, in nanoseconds for times, and a number for dead letters.
	Limit int64

	value string // as it was written
}

// Metrics of guards.
const (
	GuardErrors   = "errors"   // share of finished attempts that failed
	GuardRejected = "rejected" // share of finished attempts in which the function rejected the event
	GuardDead     = "dead"     // dead letters in the rollout
	GuardP50      = "p50"      // time of an attempt that half of them keep
	GuardP95      = "p95"
	GuardP99      = "p99"
)

const guardMetrics = "dead, errors, p50, p95, p99 and rejected"

// String is the guard as ParseGuards reads it.
func (g Guard) String() string {
	if g.OrEqual {
		return g.Metric + "<=" + g.value
	}
	return g.Metric + "<" + g.value
}

// Percentile is 95 for p95, and 0 when the metric is no time.
func (g Guard) Percentile() int {
	switch g.Metric {
	case GuardP50:
		return 50
	case GuardP95:
		return 95
	case GuardP99:
		return 99
	}
	return 0
}

// Below says whether a value keeps the limit.
func (g Guard) Below(v int64) bool { return v < g.Limit || g.OrEqual && v == g.Limit }

// ShareBelow says whether n of all keep the limit of a share.
func (g Guard) ShareBelow(n, all int) bool {
	x, y := int64(n)*1_000_000, g.Limit*int64(all)
	return x < y || g.OrEqual && x == y
}

const maxGuards = 1024 // bytes

// ParseGuards reads guards such as "errors<1%, dead<1, p95<=200ms": metric, < or <=, and a limit with the unit of the metric, separated by commas. An error says where.
func ParseGuards(text string) ([]Guard, error) {
	if len(text) > maxGuards {
		return nil, fmt.Errorf("they have %d bytes; at most %d are read", len(text), maxGuards)
	}
	var out []Guard
	at := 0
	for part := range strings.SplitSeq(text, ",") {
		g, err := parseGuard(part, at)
		if err != nil {
			return nil, err
		}
		for _, other := range out {
			if other.Metric == g.Metric {
				return nil, guardError(at+indent(part), "%s is guarded twice", g.Metric)
			}
		}
		out = append(out, g)
		at += len(part) + 1
	}
	return out, nil
}

// guardError counts characters from 1, as people do.
func guardError(at int, format string, args ...any) error {
	return fmt.Errorf("at %d: %s", at+1, fmt.Sprintf(format, args...))
}

func indent(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// parseGuard reads one; at is where it begins in the text.
func parseGuard(text string, at int) (Guard, error) {
	at += indent(text)
	text = strings.TrimSpace(text)
	if text == "" {
		return Guard{}, guardError(at, "a guard is missing; one is like errors<1%% or dead<1")
	}
	end := strings.IndexFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	if end < 0 {
		end = len(text)
	}
	g := Guard{Metric: text[:end]}
	if g.Percentile() == 0 && g.Metric != GuardErrors && g.Metric != GuardRejected && g.Metric != GuardDead {
		word, _, _ := strings.Cut(text, "<")
		return Guard{}, guardError(at, "there is no metric %q; there are %s", shortWord(word), guardMetrics)
	}
	rest := strings.TrimLeft(text[end:], " \t")
	operator := at + len(text) - len(rest)
	value, found := strings.CutPrefix(rest, "<")
	if !found {
		return Guard{}, guardError(operator, "%s needs < or <= and a limit: a guard says what must not be exceeded, like %s", g.Metric, g.example())
	}
	if value, g.OrEqual = strings.CutPrefix(value, "="); g.OrEqual {
		operator++
	}
	from := operator + 1 + indent(value)
	g.value = strings.TrimSpace(value)
	if err := g.readLimit(from); err != nil {
		return Guard{}, err
	}
	if g.Limit == 0 && !g.OrEqual {
		return Guard{}, guardError(from, "%s can never hold; %s<=%s says that there must be none", g, g.Metric, g.value)
	}
	return g, nil
}

func shortWord(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

func (g Guard) example() string {
	switch {
	case g.Metric == GuardDead:
		return "dead<1"
	case g.Percentile() > 0:
		return g.Metric + "<200ms"
	}
	return g.Metric + "<1%"
}

func (g *Guard) readLimit(at int) error {
	wrong := func(format string, args ...any) error { return guardError(at, format, args...) }
	if g.value == "" {
		return wrong("the limit of %s is missing, like %s", g.Metric, g.example())
	}
	shown := shortWord(g.value)
	switch {
	case g.Metric == GuardDead:
		n, err := strconv.ParseUint(g.value, 10, 31)
		if err != nil {
			return wrong("dead is a number of dead letters, like dead<1, and %q is none", shown)
		}
		g.Limit = int64(n)
	case g.Percentile() > 0:
		d, err := time.ParseDuration(g.value)
		if err != nil {
			return wrong("%s is a time with its unit, like %s, and %q is none", g.Metric, g.example(), shown)
		}
		if d <= 0 {
			return wrong("%s is above zero, and %q is not", g.Metric, shown)
		}
		g.Limit = int64(d)
	default:
		number, found := strings.CutSuffix(g.value, "%")
		if !found {
			return wrong("%s is a share of the attempts in percent, like %s, and %q has no %%", g.Metric, g.example(), shown)
		}
		var ok bool
		if g.Limit, ok = millionths(strings.TrimSpace(number)); !ok {
			return wrong("%s is between 0%% and 100%% with up to four decimals, like %s, and %q is not", g.Metric, g.example(), shown)
		}
	}
	return nil
}

// millionths reads percent with up to four decimals, exactly.
func millionths(percent string) (int64, bool) {
	whole, decimals, dotted := strings.Cut(percent, ".")
	n, err := strconv.ParseUint(whole, 10, 8)
	if err != nil || dotted && decimals == "" || len(decimals) > 4 {
		return 0, false
	}
	d, err := strconv.ParseUint((decimals + "0000")[:4], 10, 16)
	if err != nil {
		return 0, false
	}
	out := int64(n)*10_000 + int64(d)
	return out, out <= 1_000_000
}
