package main

import (
	"slices"
	"time"
)

// row is one line of a report. Value and AgainstValue are medians over the runs, in Unit; Ratio is Value / AgainstValue.
type row struct {
	Case         string  `json:"case"`
	Value        float64 `json:"value"`
	Unit         string  `json:"unit"`
	Against      string  `json:"against,omitempty"`
	AgainstValue float64 `json:"against_value,omitempty"`
	Ratio        float64 `json:"ratio,omitempty"`
	Runs         int     `json:"runs"`
	// Noise is the spread of the runs, of ours or of the yardstick, whichever is larger.
	Noise float64 `json:"noise"`
	Noisy bool    `json:"noisy"` // Noise is over tooNoisy: do not trust this row
}

// tooNoisy is the noise over which a row is not to be trusted.
const tooNoisy = 0.3

// series collects what the rounds gave for one row.
type series struct {
	name, unit string
	against    string // "" when there is nothing to compare with
	ours       []float64
	theirs     []float64
}

// target compares with a number that does not change.
func target(name, unit string, ours []float64, limit float64) row {
	s := series{name: name, unit: unit, against: "target", ours: ours, theirs: []float64{limit}}
	return s.row()
}

func (s *series) add(ours, theirs float64) {
	s.ours = append(s.ours, ours)
	s.theirs = append(s.theirs, theirs)
}

func (s *series) row() row {
	r := row{Case: s.name, Unit: s.unit, Value: median(s.ours), Runs: len(s.ours), Noise: spread(s.ours)}
	if s.against != "" {
		r.Against, r.AgainstValue = s.against, median(s.theirs)
		r.Noise = max(r.Noise, spread(s.theirs))
		if r.AgainstValue != 0 {
			r.Ratio = r.Value / r.AgainstValue
		}
	}
	r.Noisy = r.Noise > tooNoisy
	return r
}

// median is 0 for no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// spread is (max − min) / median after the fifth of the values at either end is left out: the median does not care for one run that a neighbour spoilt,
// so this does not either. It is 0 for fewer than two values or a median of 0.
func spread(values []float64) float64 {
	m := median(values)
	if len(values) < 2 || m == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	cut := len(sorted) / 5
	return (sorted[len(sorted)-1-cut] - sorted[cut]) / m
}

// quantile is the smallest value that at least the share q of all values does not exceed; 0 for none. It sorts values.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(q*float64(len(values)) + 0.999999)
	return values[min(max(rank, 1), len(values))-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
