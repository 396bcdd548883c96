package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/snowflake"

	"natter/chat"
)

// The ids' lease: a worker number, and a time until which its holder may make
// ids, stored before they are made. Whatever a crash or a wrong clock does, who
// takes the number next makes ids from the stored time on only, so none is made
// twice. That holds between two nodes of different clocks, too, because what is
// compared are the times in the ids and never two clocks:
//
//	stored:  n2 has number 7 until 12:00:20   n2 makes ids of 12:00:00 … 12:00:19.999
//	n3, whose clock says 12:01, takes number 7: from 12:01 until 12:01:20
//	n2, whose clock says 12:00:10, may make ids until 12:00:20, as before; then
//	it must store, finds that the number is n3's, and stops
type leasing struct {
	ahead time.Duration // how far ahead the time is stored
	left  time.Duration // it is stored anew when no more than this is left
	// always: it is kept ahead also while no ids are made, since the store may not
	// answer when the next one is.
	always bool
	// right tells whether the clock is known to be right now; nil: it isn't known.
	right func() bool
}

var (
	// A node alone has its store in the process: a second is enough, and the wait
	// after a crash is as short.
	aloneLeasing = leasing{ahead: time.Second, left: 500 * time.Millisecond}
	// In a cluster the store may be without a leader for two elections, 9 s: what is stored is
	// never less than 15 s ahead.
	clusterLeasing = leasing{ahead: 30 * time.Second, left: 20 * time.Second, always: true}
)

// leaseWait is how long a start waits for the clock; one that is further behind
// is wrong, and waiting for it hopeless.
const leaseWait = 30 * time.Second

func init() { snowflake.Epoch = int64(chat.SnowflakeEpoch) }

// ids makes Snowflakes. Safe for concurrent use.
type ids struct {
	records chat.Records
	node    string
	alive   func(node string) bool // whose lease holds
	log     *slog.Logger
	leasing leasing
	held    atomic.Pointer[number] // nil: none

	mu   sync.Mutex // held while the lease is stored
	over bool       // nothing is stored any more

	stop context.CancelFunc
	done chan struct{}
}

// number is a worker number this node has.
type number struct {
	worker   int
	make     *snowflake.Node
	last     atomic.Int64 // Millis of the last id
	until    atomic.Int64 // Millis before which ids may be made
	revision uint64       // under ids.mu
}

// errNoNumber says that the node has no worker number: it was lost and none could
// be had since.
var errNoNumber = errors.New("the node has no worker number")

// openIDs takes a worker number, and waits if the clock is behind what was made
// before. Others' leases are respected as far as alive says that they live.
func openIDs(ctx context.Context, records chat.Records, node string, l leasing, alive func(string) bool, log *slog.Logger) (*ids, error) {
	g := &ids{records: records, node: node, alive: alive, log: log, leasing: l, done: make(chan struct{})}
	g.mu.Lock()
	err := g.claimLocked(ctx, leaseWait)
	g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	g.stop = stop
	go g.keep(life)
	return g, nil
}

// next makes an id. It stores nothing, save for the first id after a rest of a
// node alone; KindUnavailable when the lease can't be had.
func (g *ids) next() (chat.MessageID, error) {
	for {
		n := g.held.Load()
		if n == nil {
			return 0, chat.Unavailable("no new ids can be made at the moment", time.Second)
		}
		id := chat.MessageID(n.make.Generate())
		if int64(id.Time()) < n.until.Load() {
			n.last.Store(int64(id.Time())) // of concurrent ones any: they are a moment apart
			return id, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := g.renew(ctx)
		cancel()
		if err != nil {
			return 0, chat.Unavailable("no new ids can be made at the moment", time.Second)
		}
	}
}

// worker is the number in this node's ids now, -1 if it has none.
func (g *ids) worker() int {
	if n := g.held.Load(); n != nil {
		return n.worker
	}
	return -1
}

// renew stores that ids up to ahead from now are made. Who comes while it is
// being stored waits and finds it done.
func (g *ids) renew(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.held.Load()
	if n == nil {
		return errNoNumber
	}
	now := chat.MessageID(n.make.Generate()).Time() // by the clock that makes ids
	if n.until.Load() > int64(now)+g.leasing.left.Milliseconds() {
		return nil
	}
	return g.storeLocked(ctx, n, workerLease{Until: now + chat.Millis(g.leasing.ahead.Milliseconds()), At: now})
}

// storeLocked stores a lease of n, which counts once it is stored.
func (g *ids) storeLocked(ctx context.Context, n *number, l workerLease) error {
	l.Version, l.Node = workerFormat, g.node
	for again := false; ; again = true {
		revision, err := g.records.Put(ctx, workerKey(n.worker), l.encode(), n.revision)
		if err == nil {
			n.revision = revision
			n.until.Store(int64(l.Until))
			return nil
		}
		if chat.KindOf(err) != chat.KindConflict {
			return err
		}
		// An earlier try took effect though its answer was lost, or another node
		// has taken the number.
		b, revision, err := g.records.Get(ctx, workerKey(n.worker))
		if err != nil {
			return err
		}
		found, err := parseWorker(b)
		if again || err != nil || found.Node != g.node || found.Until > l.Until {
			n.until.Store(0)
			g.held.Store(nil)
			g.log.Error("the worker number is another node's; no ids are made until there is a new one", "worker", n.worker, "node", found.Node)
			return errNoNumber
		}
		n.revision = revision
	}
}

// keep renews the lease until ctx ends: always, or while ids are being made so
// that next needn't. A lost number is replaced.
func (g *ids) keep(ctx context.Context) {
	defer close(g.done)
	tick := time.NewTicker(g.leasing.left / 4)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		renewing, cancel := context.WithTimeout(ctx, g.leasing.left)
		if n := g.held.Load(); n == nil {
			g.replace(renewing)
		} else if last := n.last.Load(); g.leasing.always || last != seen {
			seen = last
			_ = g.renew(renewing) // next tries again and reports
		}
		cancel()
	}
}

// again has ids made from what the clock says now: they count from when the number was
// taken on, by the clock that doesn't jump. Until there is a number, there are no ids.
func (g *ids) again(ctx context.Context) {
	g.mu.Lock()
	if n := g.held.Swap(nil); n != nil {
		n.until.Store(0) // for whoever holds it still
	}
	g.mu.Unlock()
	g.replace(ctx)
}

func (g *ids) replace(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	if err := g.claimLocked(ctx, 0); err != nil {
		g.log.Warn("no worker number can be had", "err", err)
		return
	}
	g.log.Info("the node has a worker number again", "worker", g.worker())
}

// close gives the number back, so that the next start needn't wait.
func (g *ids) close(ctx context.Context) error {
	g.stop()
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	n := g.held.Swap(nil)
	if n == nil {
		return errNoNumber
	}
	// Whoever holds n still finds from here on that its time is over, so every id
	// is of now or before.
	n.until.Store(0)
	now := chat.MessageID(n.make.Generate()).Time()
	err := g.storeLocked(ctx, n, workerLease{Until: now + 1, At: now, Released: true})
	n.until.Store(0)
	if err != nil {
		return fmt.Errorf("give worker number %d back: %w", n.worker, err)
	}
	return nil
}
