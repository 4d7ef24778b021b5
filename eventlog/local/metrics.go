package local

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	registerer prometheus.Registerer // may be nil
	registered []prometheus.Collector

	records prometheus.Counter
	bytes   prometheus.Counter
	seconds prometheus.Histogram
}

// newMetrics registers the metrics of one log; registerer may be nil. diskBytes is asked at every scrape.
func newMetrics(registerer prometheus.Registerer, diskBytes func() float64) (*metrics, error) {
	m := &metrics{
		registerer: registerer,
		records:    prometheus.NewCounter(prometheus.CounterOpts{Name: "evoke_log_records_total", Help: "Records stored."}),
		bytes:      prometheus.NewCounter(prometheus.CounterOpts{Name: "evoke_log_record_bytes_total", Help: "Bytes of the records stored."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "evoke_log_commit_seconds", Help: "Time to store one group of records, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16), // 0.1 ms to 3.3 s
		}),
	}
	disk := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "evoke_log_disk_bytes", Help: "Disk space of the log."}, diskBytes)
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.seconds, disk} {
		if err := registerer.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
}

func (m *metrics) committed(group []chunk, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	for _, c := range group {
		m.records.Add(float64(len(c.records)))
		n := 0
		for i := range c.records {
			n += len(c.records[i].Data)
		}
		m.bytes.Add(float64(n))
	}
}
