package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The operator's drain: POST /drain on the admin listener does what SIGTERM does, and
// its answer says how far it is, a line of JSON each time that changes.
//
//	POST /drain ─▶ drain() ─▶ Stop: clients · what it leads · NATS · disk, mark, lock ─▶ the last line
//
// The last line is written when the mark of a running node is gone and the lock is
// given up, so who has read it knows that the stop was in order, from any machine and
// without asking another node. A connection that ends without it is a stop that wasn't,
// as it is with a second signal, or SIGKILL.

// Drain is how far a node is that was told to drain, a line of POST /drain's answer.
// Fields may be added.
type Drain struct {
	Node        string   `json:"node"`
	Doing       string   `json:"doing"`       // for people
	Connections int      `json:"connections"` // of clients, that are open
	Leads       []string `json:"leads"`       // streams it has not handed over; none when it is alone
	// Stopped says that this is the last line, and Problem, if there is one, why the
	// stop was not in order.
	Stopped bool   `json:"stopped"`
	Problem string `json:"problem,omitempty"`
}

// String is the line for people.
func (d *Drain) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", d.Node, d.Doing)
	sep := ": "
	if d.Connections > 0 {
		fmt.Fprintf(&b, "%sconnections left: %d", sep, d.Connections)
		sep = "; "
	}
	if len(d.Leads) > 0 {
		fmt.Fprintf(&b, "%sleads %s", sep, some(d.Leads))
	}
	return b.String()
}

// equal tells whether a line would say nothing new.
func (d *Drain) equal(other *Drain) bool {
	return d.Doing == other.Doing && d.Connections == other.Connections && slices.Equal(d.Leads, other.Leads)
}

const (
	drainLook = 50 * time.Millisecond
	// drainBeat is how often a line comes if nothing changes: it says that the node lives.
	drainBeat = time.Second
	// drainGoodbye is what those who read an answer of the admin listener have for the
	// rest of it.
	drainGoodbye = time.Second
)

// serveDrain answers POST /drain.
func (n *Node) serveDrain(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get(OrderHeader) != "1":
		refuse(w, http.StatusForbidden, "a drain needs the header "+OrderHeader+": 1")
		return
	case !n.isAdmin(r.Host):
		// A page's own name may be made to stand for this machine, and then its
		// requests bear that name.
		refuse(w, http.StatusMisdirectedRequest, "the host must be an IP address, localhost, or the host in the setting admin")
		return
	}
	n.log.Info("the operator tells the node to drain", "from", r.RemoteAddr)
	last := n.draining()
	n.drain()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	answer, flush := json.NewEncoder(w), http.NewResponseController(w)
	tell := func(d *Drain) bool { return answer.Encode(d) == nil && flush.Flush() == nil }
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	// The first line is of before: those who leave at once are in it.
	if !tell(last) {
		return
	}
	for told := time.Now(); ; {
		if d := n.draining(); !d.equal(last) || time.Since(told) >= drainBeat {
			if last, told = d, time.Now(); !tell(d) {
				return // whoever has left needs no answer
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-n.ended:
			d := &Drain{Node: n.config.Name, Doing: "has stopped in order", Leads: []string{}, Stopped: true}
			if n.stopErr != nil {
				d.Doing, d.Problem = "has stopped, but not in order", n.stopErr.Error()
			}
			tell(d)
			return
		}
	}
}

// draining is how far it is.
func (n *Node) draining() *Drain {
	d := &Drain{Node: n.config.Name, Doing: n.stage.String(), Leads: []string{}}
	started := n.started.Load()
	if started {
		d.Connections = n.listener.open()
		d.Leads = append(d.Leads, n.store.Leading()...)
	}
	switch stopping := n.stopping.Load(); {
	case !stopping && started:
		d.Doing = "is told to stop"
	case !stopping:
		d.Doing = "gives up its start: " + d.Doing
	}
	return d
}

// isAdmin tells whether a request's Host may be the admin listener's.
func (n *Node) isAdmin(host string) bool {
	bare := func(s string) string {
		if name, _, err := net.SplitHostPort(s); err == nil {
			return name
		}
		return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	}
	host = bare(host)
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	return host != "" && strings.EqualFold(host, bare(n.config.Admin))
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

// endDrains has who waits for the end read it, and closes the admin listener's
// connections.
func (n *Node) endDrains() {
	if n.operator == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainGoodbye)
	defer cancel()
	if n.operator.Shutdown(ctx) != nil {
		_ = n.operator.Close()
	}
}
