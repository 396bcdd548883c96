package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/snowflake"

	"natter/chat"
)

// The ids' lease: a time until which this worker may make ids, stored before
// they are made. Whatever a crash or a wrong clock does, the next start waits
// until the stored time is past, so no id is made twice.
//
//	stored:  12:00:01.400    ids of 12:00:00.4 … 12:00:01.3 are made
//	crash, restart, the clock says 12:00:01.2: ids of that very time were made
//	wait until 12:00:01.400
const (
	leaseAhead = time.Second
	leaseRenew = 500 * time.Millisecond // when less is left of it
	// leaseWait is how long a start waits for the clock; one that is further
	// behind is wrong, and waiting for it hopeless.
	leaseWait = 30 * time.Second
)

// worker is the number in every id; a single node is number 0.
const worker = 0

func init() { snowflake.Epoch = int64(chat.SnowflakeEpoch) }

// lease is the stored record, JSON.
type lease struct {
	Version int         `json:"version"`
	Until   chat.Millis `json:"until"`
}

// ids makes Snowflakes. Safe for concurrent use.
type ids struct {
	records chat.Records
	key     string
	make    *snowflake.Node
	last    atomic.Int64 // Millis of the last id
	until   atomic.Int64 // Millis before which ids may be made

	mu       sync.Mutex // held while the lease is stored
	revision uint64

	stop context.CancelFunc
	done chan struct{}
}

// openIDs reads the lease, waits until it is past, and takes one.
func openIDs(ctx context.Context, records chat.Records) (*ids, error) {
	g := &ids{records: records, key: fmt.Sprintf("worker.%d", worker), done: make(chan struct{})}
	b, revision, err := records.Get(ctx, g.key)
	var old lease
	if err == nil {
		if old, err = parseLease(b); err != nil {
			return nil, err
		}
	} else if chat.KindOf(err) != chat.KindNotFound {
		return nil, err
	}
	g.revision = revision
	if wait := time.Until(old.Until.Time()); wait > leaseWait {
		return nil, fmt.Errorf("this machine's clock is %s behind the last id that was made: set it right", wait.Round(time.Second))
	} else if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	// Only now: it counts time from here on by the clock that doesn't jump.
	if g.make, err = snowflake.NewNode(worker); err != nil {
		return nil, err
	}
	if err := g.renew(ctx, leaseAhead); err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	g.stop = stop
	go g.keep(life)
	return g, nil
}

// parseLease reads the stored record.
func parseLease(b []byte) (l lease, err error) {
	if err := json.Unmarshal(b, &l); err != nil || l.Version != 1 {
		return lease{}, fmt.Errorf("the ids' lease can't be read: %q", b)
	}
	return l, nil
}

// next makes an id. It stores nothing, save for the first id after a rest;
// KindUnavailable when the lease can't be had.
func (g *ids) next() (chat.MessageID, error) {
	id := chat.MessageID(g.make.Generate())
	for at := int64(id.Time()); at >= g.until.Load(); {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := g.renew(ctx, leaseAhead)
		cancel()
		if err != nil {
			return 0, chat.Unavailable("no new ids can be made at the moment", time.Second)
		}
	}
	g.last.Store(int64(id.Time())) // of concurrent ones any: they are a moment apart
	return id, nil
}

// renew stores that ids up to ahead from now are made. Who comes while it is
// being stored waits and finds it done.
func (g *ids) renew(ctx context.Context, ahead time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := chat.MessageID(g.make.Generate()).Time() // by the clock that makes ids
	if g.until.Load() > int64(now)+leaseRenew.Milliseconds() {
		return nil
	}
	until := now + chat.Millis(ahead.Milliseconds())
	if err := g.storeLocked(ctx, until); err != nil {
		return err
	}
	g.until.Store(int64(until))
	return nil
}

func (g *ids) storeLocked(ctx context.Context, until chat.Millis) error {
	b, err := json.Marshal(lease{1, until})
	if err != nil {
		return err
	}
	revision, err := g.records.Put(ctx, g.key, b, g.revision)
	if chat.KindOf(err) == chat.KindConflict {
		// An earlier try took effect though its answer was lost; nobody else
		// writes this key, the data directory is locked.
		if _, g.revision, err = g.records.Get(ctx, g.key); err == nil {
			revision, err = g.records.Put(ctx, g.key, b, g.revision)
		}
	}
	if err != nil {
		return err
	}
	g.revision = revision
	return nil
}

// keep renews the lease while ids are being made, so that next needn't.
func (g *ids) keep(ctx context.Context) {
	defer close(g.done)
	tick := time.NewTicker(leaseRenew / 3)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if last := g.last.Load(); last != seen {
			seen = last
			renewing, cancel := context.WithTimeout(ctx, leaseRenew)
			_ = g.renew(renewing, leaseAhead) // next tries again and reports
			cancel()
		}
	}
}

// close gives the rest of the lease back, so that the next start needn't wait.
func (g *ids) close(ctx context.Context) error {
	g.stop()
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until.Store(0)
	if g.revision == 0 {
		return errors.New("the ids' lease was never stored")
	}
	return g.storeLocked(ctx, chat.Millis(g.last.Load())+1)
}
