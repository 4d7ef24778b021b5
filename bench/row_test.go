package main

import (
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{3, 1, 2}, 2},
		{[]float64{100, 1, 2, 3, 4}, 3},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	values := []float64{3, 1, 2}
	median(values)
	if values[0] != 3 {
		t.Error("median sorts what it was given; rounds of two series belong together by index")
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"nothing", nil, 0},
		{"one run says nothing about noise", []float64{5}, 0},
		{"steady", []float64{5, 5, 5}, 0},
		{"range over median", []float64{8, 10, 12}, 0.4},
		{"of five, one bad run does not count", []float64{10, 10, 10, 10, 1000}, 0},
		{"two bad runs do", []float64{10, 10, 10, 20, 1000}, 1},
		{"one at either end", []float64{1, 9, 10, 11, 1000}, 0.2},
		{"median of zero", []float64{0, 0, 1}, 0},
	} {
		if got := spread(c.values); got != c.want {
			t.Errorf("%s: spread(%v) = %v, want %v", c.name, c.values, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, c := range []struct {
		values []time.Duration
		q      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{3, 1, 2}, 0.5, 2},
		{[]time.Duration{3, 1, 2}, 0.99, 3},
		{[]time.Duration{3, 1, 2}, 0, 1},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
	} {
		if got := quantile(c.values, c.q); got != c.want {
			t.Errorf("quantile(%d values, %v) = %d, want %d", len(c.values), c.q, got, c.want)
		}
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   series
		want row
	}{
		{
			"medians and their ratio", series{name: "a", unit: "u", against: "loop", ours: []float64{30, 20, 28}, theirs: []float64{7, 7, 8}},
			row{Case: "a", Value: 28, Unit: "u", Against: "loop", AgainstValue: 7, Ratio: 4, Runs: 3, Noise: 10. / 28, Noisy: true},
		},
		{
			"noise of the yardstick counts too", series{name: "a", against: "loop", ours: []float64{5, 5}, theirs: []float64{1, 3}},
			row{Case: "a", Value: 5, Against: "loop", AgainstValue: 2, Ratio: 2.5, Runs: 2, Noise: 1, Noisy: true},
		},
		{
			"quiet", series{name: "a", against: "loop", ours: []float64{9, 10, 11}, theirs: []float64{10, 10, 10}},
			row{Case: "a", Value: 10, Against: "loop", AgainstValue: 10, Ratio: 1, Runs: 3, Noise: 0.2},
		},
		{
			"nothing to compare with", series{name: "a", unit: "u", ours: []float64{4}},
			row{Case: "a", Value: 4, Unit: "u", Runs: 1},
		},
		{
			"a yardstick of zero has no ratio", series{name: "a", against: "loop", ours: []float64{4}, theirs: []float64{0}},
			row{Case: "a", Value: 4, Against: "loop", Runs: 1},
		},
	} {
		if got := c.in.row(); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
	got := target("ready_ms", "ms", []float64{100, 150, 200}, 300)
	if want := (row{Case: "ready_ms", Value: 150, Unit: "ms", Against: "target", AgainstValue: 300, Ratio: 0.5, Runs: 3, Noise: 100. / 150, Noisy: true}); got != want {
		t.Errorf("target: %+v", got)
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	s := sample{elapsed: 2 * time.Second, cpu: 30 * time.Microsecond}
	if s.cpuEach() != 0 || s.p(0.5) != 0 {
		t.Error("a sample without operations has no cost of one")
	}
	s.add(time.Millisecond, 2*time.Millisecond, 3*time.Millisecond)
	if s.perSecond() != 1.5 || s.cpuEach() != 10 || s.p(0.5) != 2 || s.p(0.99) != 3 {
		t.Errorf("%v per second, %v µs each, p50 %v ms, p99 %v ms", s.perSecond(), s.cpuEach(), s.p(0.5), s.p(0.99))
	}
}
