package partition

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxLetterSeries is how many triggers have series of their own: those with most dead letters. The rest is one series, of trigger "_other".
const maxLetterSeries = 1000

// letterCollector makes the series of dead letters at each scrape: triggers that have none have no series.
type letterCollector struct {
	table                   *Table
	letters, oldest, parked *prometheus.Desc
}

func newLetterCollector(t *Table) *letterCollector {
	labels := []string{"namespace", "trigger"}
	return &letterCollector{
		table:   t,
		letters: prometheus.NewDesc("evoke_dead_letters", "Dead letters that wait for someone, by trigger.", labels, nil),
		oldest:  prometheus.NewDesc("evoke_dead_letter_oldest_seconds", "Age of the oldest dead letter of a trigger.", labels, nil),
		parked:  prometheus.NewDesc("evoke_parked_keys", "Keys that stand still behind a dead letter, by trigger.", labels, nil),
	}
}

// Describe is of prometheus.Collector.
func (c *letterCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.letters
	ch <- c.oldest
	ch <- c.parked
}

// Collect is of prometheus.Collector.
func (c *letterCollector) Collect(ch chan<- prometheus.Metric) {
	stats, err := c.table.LetterStats()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.letters, err)
		return
	}
	now := time.Now()
	for _, s := range bounded(slices.Collect(maps.Values(stats)), maxLetterSeries) {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Trigger.Namespace, s.Trigger.Name)
		}
		gauge(c.letters, float64(s.Letters))
		gauge(c.oldest, max(0, now.Sub(s.Oldest).Seconds()))
		gauge(c.parked, float64(s.Parked))
	}
}

// bounded keeps the first n by number of letters and adds the rest up. Of triggers of one name, which only a removed one and its successor can be, it makes one.
func bounded(list []LetterStats, n int) []LetterStats {
	slices.SortFunc(list, func(a, b LetterStats) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Trigger.ID, b.Trigger.ID))
	})
	index := map[[2]string]int{}
	var out []LetterStats
	for i, s := range list {
		if i >= n {
			s.Trigger = Trigger{Name: "_other"}
		}
		name := [2]string{s.Trigger.Namespace, s.Trigger.Name}
		at, seen := index[name]
		if !seen {
			index[name] = len(out)
			out = append(out, s)
			continue
		}
		sum := &out[at]
		sum.Letters += s.Letters
		sum.Parked += s.Parked
		sum.Behind += s.Behind
		sum.Oldest = earlier(sum.Oldest, s.Oldest)
		sum.OldestParked = earlier(sum.OldestParked, s.OldestParked)
	}
	return out
}
