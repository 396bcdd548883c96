package jetstream

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the store. With a nil registry they count for nobody.
type metrics struct {
	batch    prometheus.Histogram
	take     prometheus.Histogram
	commands *prometheus.CounterVec
	lag      *prometheus.GaugeVec
	leads    *prometheus.GaugeVec
	restarts prometheus.Counter
	early    prometheus.Counter
	backlog  *prometheus.GaugeVec
	looks    prometheus.Counter
	watches  prometheus.Counter

	scrubBytes, scrubDamage, scrubFills prometheus.Counter
	scrubOldest                         prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "natter_batch_commands",
			Help: "Commands that shared one write of the log.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		take: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "natter_take_commands",
			Help: "Commands a projector applied at once.", Buckets: prometheus.ExponentialBuckets(1, 2, 12)}),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "natter_commands_total",
			Help: "Commands projected, by outcome."}, []string{"outcome"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "natter_projector_lag_batches",
			Help: "Batches of the log a projector has yet to finish."}, []string{"partition"}),
		leads: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "natter_projector_leads",
			Help: "1 while this node projects the partition, else 0."}, []string{"partition"}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_projector_restarts_total",
			Help: "Times a projector began again after a failed write."}),
		early: prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_takes_answered_early_total",
			Help: "Takes that were answered before the queues had them: a queue's stream was slow, or without a leader."}),
	}
	m.backlog = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "natter_tell_backlog_bytes",
		Help: "Bytes of entries of a queue stream that this node's projectors stored and its teller hasn't told yet."}, []string{"queue"})
	m.looks = prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_teller_restarts_total",
		Help: "Times a teller began again, after which everybody looked at their queue."})
	m.watches = prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_watch_restarts_total",
		Help: "Times a watch of records, leases or the roster looked for another consumer: the node that had it didn't say a word."})
	m.scrubBytes = prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_scrub_bytes_total",
		Help: "Bytes of replicas that this node has compared."})
	m.scrubDamage = prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_scrub_damaged_total",
		Help: "Replicas that this node has found to differ from the others."})
	m.scrubFills = prometheus.NewCounter(prometheus.CounterOpts{Name: "natter_scrub_refills_total",
		Help: "Replicas that this node has had made anew."})
	m.scrubOldest = prometheus.NewGauge(prometheus.GaugeOpts{Name: "natter_scrub_oldest_timestamp_seconds",
		Help: "When the stream that was compared longest ago was compared, in Unix time; 0: one never was, or this node doesn't compare."})
	if r != nil {
		r.MustRegister(m.batch, m.take, m.commands, m.lag, m.leads, m.restarts, m.early, m.backlog, m.looks, m.watches,
			m.scrubBytes, m.scrubDamage, m.scrubFills, m.scrubOldest)
	}
	return m
}

func (m *metrics) setLag(partition int, batches uint64) {
	m.lag.WithLabelValues(strconv.Itoa(partition)).Set(float64(batches))
}

func (m *metrics) setLeads(partition int, leads bool) {
	value := 0.0
	if leads {
		value = 1
	}
	m.leads.WithLabelValues(strconv.Itoa(partition)).Set(value)
}

// setScrub tells how old the oldest comparison of the streams is.
func (m *metrics) setScrub(known *Scrubbed, streams []string) {
	m.scrubOldest.Set(float64(known.Oldest(streams)) / 1000)
}
