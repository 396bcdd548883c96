package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newRegistry has the process's own metrics; each part adds its own.
func newRegistry(name string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "natter_build_info", Help: "1; what runs here.",
		ConstLabels: prometheus.Labels{"version": Version, "node": name}})
	info.Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return r
}

// gauge registers a value that is read when it is asked for.
func gauge(r prometheus.Registerer, name, help string, read func() float64) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// watch registers what the NATS server tells of itself.
func (n *natsServer) watch(r prometheus.Registerer) {
	gauge(r, "natter_store_bytes", "Bytes the streams hold on disk.", func() float64 {
		info, err := n.server.Jsz(nil)
		if err != nil {
			return 0
		}
		return float64(info.Store)
	})
	gauge(r, "natter_store_limit_bytes", "Bytes the streams may hold on disk.", func() float64 {
		if c := n.server.JetStreamConfig(); c != nil {
			return float64(c.MaxStore)
		}
		return 0
	})
	gauge(r, "natter_nats_slow_consumers", "Connections inside the node that fell behind, since the start.", func() float64 {
		return float64(n.server.NumSlowConsumers())
	})
}

// admin serves the operator.
func (n *Node) admin() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /cluster", n.serveStatus)
	mux.HandleFunc("POST /cluster/replace/{member}", n.serveReplace)
	if n.drain != nil {
		mux.HandleFunc("POST /drain", n.serveDrain)
	}
	mux.HandleFunc("POST /yield", n.serveYield)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{Handler: guard(n.adminHosts(), mux), ReadHeaderTimeout: 5 * time.Second}
}

// serveAdmin runs until the server is closed.
func (n *Node) serveAdmin(l net.Listener) {
	if err := n.operator.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		n.fail(fmt.Errorf("the admin listener: %w", err))
	}
}

// closeAdmin lets nobody in any more. Who waits for the end of a drain stays until
// endDrains.
func (n *Node) closeAdmin() {
	if n.operator == nil {
		if n.back != nil {
			_ = n.back.Close()
		}
		return
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.operator.Shutdown(over) // which waits for nobody
}
