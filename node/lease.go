package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"sync"
	"time"

	"natter/chat"
)

// The node's lease: node.<name>, a small record that says where the node is and
// how full, written anew each third of its time.
//
//	holder    ├──Put──────Put──────Put──╳ (cut off)          ├─ knows: leaseTTL after the last Put began
//	watchers     ├──saw─────saw─────saw─────────────────────────├─ counts as gone: leaseTTL after they saw it
//
// Both go by their own clock that doesn't jump, and the holder's time begins
// earlier: it knows first. Nobody's time of day is compared with anybody's.
const (
	leaseTTL = 6 * time.Second
	// leaseKept is when the store forgets a lease that isn't renewed. It is longer
	// than leaseTTL, because the store goes by the time of day of whoever leads it.
	leaseKept = 30 * time.Second
	runBytes  = 8
	// leaseFormat is the version of the record.
	leaseFormat = 1
)

// ErrNameTaken says that another process is the node of this name.
var ErrNameTaken = errors.New("another natter is running under this name")

// leaseRecord is what a node says of itself, JSON. Later versions add fields.
type leaseRecord struct {
	Version  int     `json:"version"`
	Name     string  `json:"name"`
	Run      string  `json:"run"` // made anew each time the lease is taken
	URL      string  `json:"url"`
	Region   string  `json:"region,omitempty"`
	Load     float64 `json:"load"`     // share of Capacity that is taken
	Capacity int     `json:"capacity"` // connections
	Ready    bool    `json:"ready"`
	Draining bool    `json:"draining,omitempty"`
	Natter   string  `json:"natter"` // what runs
	Format   int     `json:"format"` // of the data directory
	Wire     int     `json:"wire"`
	// WireOldest is the oldest wire version it understands; 0 in old records: its own.
	WireOldest int         `json:"wire_oldest,omitempty"`
	Worker     int         `json:"worker"` // the number in its ids, -1 while it has none
	Started    chat.Millis `json:"started"`
	Free       *int64      `json:"free,omitempty"` // bytes, on the disk of its data; nil: not known
	// Connections is how many are open; nil: not known, a natter before it was told.
	Connections *int `json:"connections,omitempty"`
}

// The most a lease's record may be, and the fields in it.
const (
	maxLeaseBytes = 4 << 10
	maxURLBytes   = 1 << 10
)

// parseLease reads the record of the node name.
func parseLease(name string, b []byte) (leaseRecord, error) {
	var l leaseRecord
	if len(b) > maxLeaseBytes {
		return l, fmt.Errorf("the lease of %q is %d bytes", name, len(b))
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("the lease of %q can't be read: %w", name, err)
	}
	u, err := url.Parse(l.URL)
	switch {
	case l.Version != leaseFormat:
		return l, fmt.Errorf("the lease of %q is of version %d, this natter reads %d", name, l.Version, leaseFormat)
	case l.Name != name || !chat.ValidID(l.Name) || !chat.ValidID(l.Run) || l.Region != "" && !chat.ValidID(l.Region):
		return l, fmt.Errorf("the lease of %q names %q, its run %q and region %q", name, l.Name, l.Run, l.Region)
	case len(l.URL) > maxURLBytes || err != nil || u.Scheme != "http" && u.Scheme != "https":
		return l, fmt.Errorf("the lease of %q names the address %q", name, l.URL)
	case math.IsNaN(l.Load) || l.Load < 0 || l.Capacity < 0:
		return l, fmt.Errorf("the lease of %q has a load of %v of %d", name, l.Load, l.Capacity)
	case l.Free != nil && *l.Free < 0:
		return l, fmt.Errorf("the lease of %q has %d bytes free", name, *l.Free)
	case l.Connections != nil && *l.Connections < 0:
		return l, fmt.Errorf("the lease of %q has %d connections", name, *l.Connections)
	}
	return l, nil
}

func leaseKey(name string) string { return "node." + name }

func newRun() string {
	var b [runBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// nodeLease is this node's own. Safe for concurrent use.
type nodeLease struct {
	leases   chat.Leases
	name     string
	describe func() leaseRecord // as of now; Run is the lease's
	log      *slog.Logger
	taken    func(error)      // the name is another's: the node must stop
	runs     func(run string) // a run begins, also when a lost lease is had again
	before   *runs            // of this and of earlier processes; nil: not known

	mu       sync.Mutex // held while the lease is written
	revision uint64
	closed   bool

	state sync.Mutex
	run   string
	own   map[string]bool // every run of this process
	until time.Time       // by the clock that doesn't jump; zero: never held

	stop context.CancelFunc
	done chan struct{}
}

// take takes the lease of the node's name. A lease of a run before, of a process that had the
// data directory, is over and taken at once. Anybody else's is, when it hasn't been renewed
// for leaseTTL; ErrNameTaken if it is.
func (k *nodeLease) take(ctx context.Context) error {
	revision, err := k.vacant(ctx)
	if err != nil {
		return err
	}
	run := newRun()
	if err := k.before.add(run); err != nil {
		return err
	}
	k.begin(run)
	k.revision = revision
	if err := k.put(ctx); err != nil {
		if chat.KindOf(err) == chat.KindConflict {
			return fmt.Errorf("%w: %q", ErrNameTaken, k.name)
		}
		return err
	}
	life, stop := context.WithCancel(context.Background())
	k.stop, k.done = stop, make(chan struct{})
	go k.keep(life)
	return nil
}

// leasePoll is how often a start looks whether somebody else's lease is renewed.
const leasePoll = 250 * time.Millisecond

// vacant waits until the lease can be taken, and tells the revision to take it
// at.
func (k *nodeLease) vacant(ctx context.Context) (uint64, error) {
	var first uint64
	var since time.Time
	for {
		value, revision, err := k.leases.Get(ctx, leaseKey(k.name))
		switch {
		case chat.KindOf(err) == chat.KindNotFound:
			return 0, nil
		case err != nil:
			return 0, err
		}
		held, err := parseLease(k.name, value)
		switch {
		case err == nil && k.before.has(held.Run):
			return revision, nil
		case since.IsZero():
			k.log.Info("waiting whether another node of this name lives", "name", k.name, "url", held.URL, "at_most", leaseTTL)
			first, since = revision, time.Now()
		case revision != first:
			return 0, fmt.Errorf("%w: %q, at %s", ErrNameTaken, k.name, held.URL)
		case time.Since(since) > leaseTTL:
			return revision, nil
		}
		select {
		case <-time.After(leasePoll):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// put writes the lease at the revision it has.
func (k *nodeLease) put(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.putLocked(ctx)
}

func (k *nodeLease) putLocked(ctx context.Context) error {
	if k.closed {
		return nil
	}
	l := k.describe()
	l.Version, l.Name, l.Run = leaseFormat, k.name, k.Run()
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	began := time.Now()
	revision, err := k.leases.Put(ctx, leaseKey(k.name), b, leaseKept, k.revision)
	if err != nil {
		return err
	}
	k.revision = revision
	k.state.Lock()
	fresh := k.until.IsZero()
	k.until = began.Add(leaseTTL)
	k.state.Unlock()
	if fresh {
		k.runs(l.Run)
	}
	return nil
}

// Run is the lease's present run.
func (k *nodeLease) Run() string {
	k.state.Lock()
	defer k.state.Unlock()
	return k.run
}

// held tells whether the others count on this node: false as soon as they may
// not any more.
func (k *nodeLease) held() bool {
	k.state.Lock()
	defer k.state.Unlock()
	return time.Now().Before(k.until)
}

// keep renews the lease until ctx ends.
func (k *nodeLease) keep(ctx context.Context) {
	defer close(k.done)
	tick := time.NewTicker(leaseTTL / 3)
	defer tick.Stop()
	lost := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := k.renew(ctx)
		switch held := k.held(); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrNameTaken):
			k.taken(err)
			return
		case !held && !lost:
			lost = true
			k.log.Error("the node's lease is lost: the others count it as gone", "err", err)
		case held && lost:
			lost = false
			k.log.Info("the node has its lease again")
		}
	}
}

// renew writes the lease once; after it was lost, under a new run.
func (k *nodeLease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTTL/3)
	defer cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.held() {
		run := newRun()
		if err := k.before.add(run); err != nil {
			k.log.Warn("the run isn't remembered; after a crash the next start waits for its lease", "err", err)
		}
		k.begin(run)
	}
	err := k.putLocked(ctx)
	if chat.KindOf(err) != chat.KindConflict {
		return err
	}
	// Somebody else's, or an earlier try took effect and its answer was lost, or
	// the store has forgotten it.
	value, revision, err := k.leases.Get(ctx, leaseKey(k.name))
	switch {
	case chat.KindOf(err) == chat.KindNotFound:
		k.revision = 0
	case err != nil:
		return err
	default:
		if other, err := parseLease(k.name, value); err != nil || !k.mine(other.Run) {
			return fmt.Errorf("%w: %q, at %s", ErrNameTaken, k.name, other.URL)
		}
		k.revision = revision
	}
	return k.putLocked(ctx)
}

// begin begins a run, which counts once it is written.
func (k *nodeLease) begin(run string) {
	k.state.Lock()
	defer k.state.Unlock()
	if k.own == nil {
		k.own = map[string]bool{}
	}
	k.own[run] = true
	k.run, k.until = run, time.Time{}
}

// mine tells whether a run is one of this process's.
func (k *nodeLease) mine(run string) bool {
	k.state.Lock()
	defer k.state.Unlock()
	return k.own[run]
}

// close gives the lease back: from now on the others count the node as gone.
// Again is fine.
func (k *nodeLease) close(ctx context.Context) error {
	if k.stop == nil {
		return nil
	}
	k.stop()
	<-k.done
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	k.closed = true
	k.state.Lock()
	held := time.Now().Before(k.until)
	k.until = time.Time{}
	k.state.Unlock()
	if !held {
		return nil
	}
	return k.leases.Delete(ctx, leaseKey(k.name), k.revision)
}
