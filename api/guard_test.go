package api

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseGuards(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]Guard{
		"errors<1%":                {{Metric: "errors", Limit: 10_000, value: "1%"}},
		"errors<=0.05%,dead<1":     {{Metric: "errors", OrEqual: true, Limit: 500, value: "0.05%"}, {Metric: "dead", Limit: 1, value: "1"}},
		" rejected < 100 % ":       {{Metric: "rejected", Limit: 1_000_000, value: "100 %"}},
		"p50<=1m,p95<200ms,p99<2s": {{Metric: "p50", OrEqual: true, Limit: int64(time.Minute), value: "1m"}, {Metric: "p95", Limit: int64(200 * time.Millisecond), value: "200ms"}, {Metric: "p99", Limit: int64(2 * time.Second), value: "2s"}},
		"dead<=0":                  {{Metric: "dead", OrEqual: true, value: "0"}},
	} {
		got, err := ParseGuards(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                        "at 1: a guard is missing; one is like errors<1% or dead<1",
		"errors<1%,":              "at 11: a guard is missing",
		"erors<1%":                `at 1: there is no metric "erors"; there are dead, errors, p50, p95, p99 and rejected`,
		"dead<1, latency<3":       `at 9: there is no metric "latency"; there are`,
		"p90<1s":                  `at 1: there is no metric "p90"; there are`,
		"errors":                  "at 7: errors needs < or <= and a limit: a guard says what must not be exceeded, like errors<1%",
		"errors > 1%":             "at 8: errors needs < or <= and a limit",
		"errors==1%":              "at 7: errors needs < or <=",
		"errors<":                 "at 8: the limit of errors is missing, like errors<1%",
		"errors<1":                `at 8: errors is a share of the attempts in percent, like errors<1%, and "1" has no %`,
		"errors<=1ms":             `at 9: errors is a share of the attempts in percent, like errors<1%, and "1ms" has no %`,
		"errors<101%":             `at 8: errors is between 0% and 100% with up to four decimals, like errors<1%, and "101%" is not`,
		"errors<-1%":              `and "-1%" is not`,
		"errors<1.%":              `and "1.%" is not`,
		"errors<1.00001%":         `and "1.00001%" is not`,
		"errors<1e1%":             `and "1e1%" is not`,
		"dead<1%":                 `at 6: dead is a number of dead letters, like dead<1, and "1%" is none`,
		"dead<one":                `and "one" is none`,
		"p95<200":                 `at 5: p95 is a time with its unit, like p95<200ms, and "200" is none`,
		"p95<5%":                  `and "5%" is none`,
		"p95<-1s":                 `at 5: p95 is above zero, and "-1s" is not`,
		"errors<0%":               "at 8: errors<0% can never hold; errors<=0% says that there must be none",
		"dead<0":                  "at 6: dead<0 can never hold; dead<=0 says that there must be none",
		"errors<1%,errors<=2%":    "at 11: errors is guarded twice",
		strings.Repeat("x", 2000): "they have 2000 bytes; at most 1024 are read",
	} {
		if _, err := ParseGuards(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestGuardsAreExact(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		guard  string
		n, all int
		want   bool
	}{
		{"errors<1%", 0, 1, true}, {"errors<1%", 1, 100, false}, {"errors<1%", 1, 101, true}, {"errors<=1%", 1, 100, true}, {"errors<=1%", 1, 99, false},
		{"errors<=0%", 0, 5, true}, {"errors<=0%", 1, 1_000_000, false}, {"errors<0.1%", 1, 1000, false}, {"errors<0.1%", 1, 1001, true},
	} {
		g, err := ParseGuards(tc.guard)
		if err != nil {
			t.Fatal(err)
		}
		if got := g[0].ShareBelow(tc.n, tc.all); got != tc.want {
			t.Errorf("%s with %d of %d: %v", tc.guard, tc.n, tc.all, got)
		}
	}
}

// What is read prints as what it is, and no text brings the parser down.
func FuzzParseGuards(f *testing.F) {
	for _, text := range []string{"errors<1%", "dead<1,p95<=200ms", " rejected < 0.5 % , p50<1h ", "errors<", "p95<1", ",", "e%s<1%%", "dead<99999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		guards, err := ParseGuards(text)
		if err != nil {
			if len(guards) > 0 || err.Error() == "" || len(err.Error()) > 400 {
				t.Fatalf("%q: %v with %q", text, guards, err)
			}
			return
		}
		var parts []string
		for _, g := range guards {
			if g.Limit < 0 || g.Limit == 0 && !g.OrEqual {
				t.Fatalf("%q has the limit %d", text, g.Limit)
			}
			parts = append(parts, g.String())
		}
		again, err := ParseGuards(strings.Join(parts, ","))
		if err != nil || !reflect.DeepEqual(again, guards) {
			t.Fatalf("%q is %+v, printed and read again %+v, %v", text, guards, again, err)
		}
	})
}
