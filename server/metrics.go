package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	// deliveries are counted by what became of them: accepted, duplicate, handshake, or why they were refused.
	deliveries *prometheus.CounterVec
	// strangers are requests that auth did not let in.
	strangers *prometheus.CounterVec
}

// newMetrics registers the server's metrics. Routes are patterns and codes are HTTP's, so the number of series is bounded.
func newMetrics(reg prometheus.Registerer, b *bodies) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evoke_http_requests_total",
			Help: "Requests answered, by side (gateway, admin), route pattern and status code.",
		}, []string{"side", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "evoke_http_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"side", "route"}),
	}
	m.deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "evoke_webhook_deliveries_total",
		Help: "Deliveries of webhooks, by trigger and result: accepted, duplicate, handshake, or why they were refused.",
	}, []string{"namespace", "trigger", "result"})
	m.strangers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "evoke_http_strangers_total",
		Help: "Requests to the gateway that auth did not let in, by the type of their answer.",
	}, []string{"problem"})
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "evoke_http_buffered_bytes",
		Help: "Bytes of request bodies held in memory.",
	}, func() float64 { return float64(b.held.Load()) })
	reg.MustRegister(m.requests, m.duration, m.deliveries, m.strangers, held)
	return m
}

// forgetWebhook removes what is counted of a trigger that has gone.
func (m *metrics) forgetWebhook(h *hook) {
	m.deliveries.DeletePartialMatch(prometheus.Labels{"namespace": h.namespace, "trigger": h.trigger.Name})
}

func (m *metrics) observe(side, route string, code int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(side, route, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(side, route).Observe(took.Seconds())
}
