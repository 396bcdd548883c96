package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

// The clocks of the other nodes. Nothing that must hold depends on them agreeing;
// but ids and the times people see come from them, so a wrong one is told.
const (
	clockLimit   = 500 * time.Millisecond // beyond, a clock is wrong
	clockEach    = 5 * time.Second        // between two measurements
	clockAsks    = 5                      // of which the quickest counts
	clockAskWait = time.Second
)

func clockSubject(node string) string { return "clock." + node }

// clockOffset is how far a node's clock is ahead of this one's, to half of the
// time the quickest answer took. nc is of the nodes' account.
func clockOffset(ctx context.Context, nc *nats.Conn, node string) (offset, within time.Duration, err error) {
	var failed error
	for range clockAsks {
		asking, cancel := context.WithTimeout(ctx, clockAskWait)
		sent := time.Now()
		answer, err := nc.RequestWithContext(asking, clockSubject(node), nil)
		took := time.Since(sent)
		cancel()
		if err != nil {
			failed = err
			continue
		}
		micros, err := strconv.ParseInt(string(answer.Data), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("the clock of %q answers %.40q", node, answer.Data)
		}
		if within == 0 || took/2 < within {
			offset, within = time.UnixMicro(micros).Sub(sent.Round(0).Add(took/2)), max(took/2, 1)
		}
	}
	if within == 0 {
		return 0, 0, fmt.Errorf("the clock of %q doesn't answer: %w", node, failed)
	}
	return offset, within, nil
}

// answerClock answers clockOffset for a node.
func answerClock(nc *nats.Conn, node string, now func() time.Time) error {
	_, err := nc.Subscribe(clockSubject(node), func(msg *nats.Msg) {
		_ = msg.Respond(strconv.AppendInt(nil, now().UnixMicro(), 10))
	})
	return err
}

// offset is how far a clock is ahead of this node's, give or take within.
type offset struct{ ahead, within time.Duration }

// clocks measures the other nodes' clocks. Safe for concurrent use.
type clocks struct {
	nc    *nats.Conn
	node  string
	log   *slog.Logger
	peers func() []string // who lives, beside this node
	gauge *prometheus.GaugeVec

	mu      sync.Mutex
	offsets map[string]offset
	forgot  int // how often; what was asked before isn't kept

	stop context.CancelFunc
	done chan struct{}
}

// watchClocks answers and measures until close. It owns nc.
func watchClocks(nc *nats.Conn, node string, peers func() []string, log *slog.Logger, to prometheus.Registerer) (*clocks, error) {
	c := &clocks{nc: nc, node: node, log: log, peers: peers, offsets: map[string]offset{}, done: make(chan struct{}),
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "natter_clock_offset_seconds",
			Help: "How far another node's clock is ahead of this one's."}, []string{"peer"})}
	to.MustRegister(c.gauge)
	if err := answerClock(nc, node, time.Now); err != nil {
		nc.Close()
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.run(life)
	return c, nil
}

func (c *clocks) run(ctx context.Context) {
	defer close(c.done)
	every(ctx, clockEach, func() { c.measure(ctx) })
}

// measure asks every node that lives.
func (c *clocks) measure(ctx context.Context) {
	live := map[string]bool{}
	for _, name := range c.peers() {
		live[name] = true
		asked := c.forgotten()
		ahead, within, err := clockOffset(ctx, c.nc, name)
		if err != nil {
			c.log.Debug("a node's clock can't be measured", "node", name, "err", err)
			continue
		}
		c.gauge.WithLabelValues(name).Set(ahead.Seconds())
		before, known := c.keep(name, offset{ahead, within}, asked)
		switch was, is := known && beyond(before.ahead, 0), beyond(ahead, within); {
		case is && !was:
			c.log.Warn("another node's clock differs: set the clocks right (NTP)", "node", name, "ahead_ms", ahead.Milliseconds(), "limit_ms", clockLimit.Milliseconds())
		case was && !is:
			c.log.Info("another node's clock is right again", "node", name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.offsets {
		if !live[name] {
			delete(c.offsets, name)
			c.gauge.DeleteLabelValues(name)
		}
	}
}

func beyond(offset, within time.Duration) bool { return offset.Abs()-within > clockLimit }

// apart tells whether this node's clock differs from most others' by more than limit, and
// by how much it is ahead of the one in their middle. Of two alone nobody can tell.
func (c *clocks) apart(limit time.Duration) (ahead time.Duration, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var differ []time.Duration
	for _, one := range c.offsets {
		if one.ahead.Abs() > limit {
			differ = append(differ, -one.ahead)
		}
	}
	if len(differ) < 2 || 2*len(differ) <= len(c.offsets) {
		return 0, false
	}
	slices.Sort(differ)
	return differ[len(differ)/2], true
}

// forget takes what was measured as unknown, and what is being measured now: it is of
// before.
func (c *clocks) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgot++
	clear(c.offsets)
}

func (c *clocks) forgotten() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgot
}

// keep has a node's offset known, unless it was forgotten since it was asked for, and
// returns what was known of it.
func (c *clocks) keep(name string, is offset, asked int) (before offset, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known = c.offsets[name]
	if asked == c.forgot {
		c.offsets[name] = is
	}
	return before, known
}

// agree is how many others' clocks are not far from this node's.
func (c *clocks) agree() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.offsets {
		if one.ahead.Abs() <= clockFar {
			n++
		}
	}
	return n
}

// known is how far each node's clock was ahead of this one's when it was measured last.
func (c *clocks) known() map[string]offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.offsets)
}

// close stops measuring and answering.
func (c *clocks) close() {
	c.stop()
	<-c.done
	c.nc.Close()
}
