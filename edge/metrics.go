package edge

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/wire"
)

// metrics are the edge's counts. Labels have few values: routes, ops, codes.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	sockets   prometheus.Gauge
	framesIn  *prometheus.CounterVec
	framesOut prometheus.Counter
	closes    *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "natter_http_requests_total", Help: "HTTP requests answered.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "natter_http_seconds", Help: "Time to the answer, long polls included.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 60},
		}, []string{"route"}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{Name: "natter_sockets", Help: "WebSockets open now."}),
		framesIn: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "natter_frames_in_total", Help: "Frames from clients.",
		}, []string{"op"}),
		framesOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "natter_frames_out_total", Help: "Frames and events to clients, before they are joined.",
		}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "natter_socket_closes_total", Help: "WebSockets closed; 4001 is an outbox that overflowed.",
		}, []string{"code"}),
	}
	if to != nil {
		to.MustRegister(m.requests, m.seconds, m.sockets, m.framesIn, m.framesOut, m.closes)
	}
	return m
}

// methods that have a label of their own; a client may make up others.
var methods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true}

func (m *metrics) answered(r *request, method string, status int, now time.Time) {
	route := r.route
	if route == "" {
		route = "none"
	}
	if !methods[method] {
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(now.Sub(r.began).Seconds())
}

func (m *metrics) frameIn(op wire.Op) { m.framesIn.WithLabelValues(string(op)).Inc() }

func (m *metrics) closed(code wire.CloseCode) {
	m.closes.WithLabelValues(strconv.Itoa(int(code))).Inc()
}
