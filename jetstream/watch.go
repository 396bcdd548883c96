package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// watcher reads a stream's subjects in order by a consumer of its own: the newest of each, or
// from a sequence on, and then what comes.
//
// JetStream puts a consumer on a node of its choice. It may choose one that died up to some
// minutes ago: then nobody answers, not before that node is back. So one that isn't made within
// watchAsk, or doesn't say a word for two heartbeats, is given up for another of another name.
// The library's ordered consumer asks for the same one again and again.
//
// The server sends; nothing is asked for. A request for messages that comes before the servers
// have told each other of a new consumer finds nobody.
type watcher struct {
	s       *Store
	stream  string
	name    string
	made    jetstream.PushConsumer
	pending uint64 // messages that were there when it was made

	trouble chan error // holds one: it can't be relied on any more

	mu      sync.Mutex // held while hear is called
	over    bool
	next    uint64 // of this consumer's own count
	after   uint64 // sequences up to it are known
	running jetstream.ConsumeContext
	stall   *time.Timer
}

const (
	watchAsk = 3 * time.Second
	// watchBeat is how often a server that has nothing to say says so.
	watchBeat = time.Second
	// watchStall is how long the server may keep to itself what it said it has: a word of
	// ours that it waits for was lost.
	watchStall = 5 * time.Second
	// watchAgain is how long is waited before another consumer is asked for.
	watchAgain = 200 * time.Millisecond
	// watchIdle is when a server drops a consumer that nobody reads.
	watchIdle = time.Minute
)

// watcher makes a consumer for what comes after a sequence; after 0, for the newest of each
// subject. hear has it begin.
func (s *Store) watcher(ctx context.Context, stream, filter string, after uint64) (*watcher, error) {
	inbox := s.js.Conn().NewInbox() // _INBOX.<unique>
	w := &watcher{s: s, stream: stream, name: "watch-" + inbox[strings.LastIndexByte(inbox, '.')+1:], after: after, trouble: make(chan error, 1)}
	config := jetstream.ConsumerConfig{Name: w.name, FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy,
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, Replicas: 1, MemoryStorage: true, InactiveThreshold: watchIdle,
		DeliverSubject: inbox, FlowControl: true, IdleHeartbeat: watchBeat}
	if after > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
	}
	asking, cancel := context.WithTimeout(ctx, watchAsk)
	defer cancel()
	made, err := s.js.CreatePushConsumer(asking, stream, config)
	if err != nil {
		w.forget()
		return nil, err
	}
	w.made, w.pending = made, made.CachedInfo().NumPending
	return w, nil
}

// heard is a message as a watcher tells it.
type heard struct {
	jetstream.Msg
	sequence uint64
	pending  uint64 // how many the server had behind it
}

// hear has it read. hear is called by one goroutine at a time, and not after stop.
func (w *watcher) hear(hear func(heard)) error {
	w.stall = time.AfterFunc(watchStall, func() { w.troubled(errWatchStalled) })
	if w.pending == 0 {
		w.stall.Stop()
	}
	running, err := w.made.Consume(func(msg jetstream.Msg) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.over {
			return
		}
		meta, err := msg.Metadata()
		switch {
		case err != nil:
			w.troubled(fmt.Errorf("a message without metadata: %w", err))
		case meta.Sequence.Consumer != w.next+1:
			w.troubled(fmt.Errorf("message %d of the consumer follows %d", meta.Sequence.Consumer, w.next))
		default:
			w.next++
			// A replica that is behind begins before where it was asked to.
			if meta.Sequence.Stream > w.after {
				hear(heard{msg, meta.Sequence.Stream, meta.NumPending})
			}
			if meta.NumPending > 0 {
				w.stall.Reset(watchStall)
			} else {
				w.stall.Stop()
			}
			return
		}
		w.over = true
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { w.troubled(err) }))
	if err != nil {
		w.stall.Stop()
		w.forget()
		return err
	}
	w.mu.Lock()
	w.running = running
	w.mu.Unlock()
	return nil
}

var errWatchStalled = errors.New("the server has more and doesn't send it")

func (w *watcher) troubled(err error) {
	select {
	case w.trouble <- err:
	default: // it has trouble already
	}
}

// stop ends it; hear isn't called any more.
func (w *watcher) stop() {
	w.mu.Lock()
	w.over = true
	running := w.running
	w.mu.Unlock()
	w.stall.Stop()
	if running != nil {
		running.Stop()
	}
	w.forget()
}

// forget has the server drop the consumer, in its own time. The one who would answer may be
// dead, but then the others know that it need not be kept.
func (w *watcher) forget() {
	w.s.goes(func() {
		ctx, cancel := context.WithTimeout(w.s.ctx, watchAsk)
		defer cancel()
		_ = w.s.js.DeleteConsumer(ctx, w.stream, w.name) // it is dropped by itself after watchIdle
	})
}

// keepWatching has watchers follow each other until ctx ends. begin makes the next one; anew
// ends the present one too, and begin is told so.
func (s *Store) keepWatching(ctx context.Context, w *watcher, anew <-chan struct{}, begin func(ctx context.Context, anew bool) (*watcher, error)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for {
		fresh := false
		select {
		case <-ctx.Done():
		case <-anew:
			fresh = true
		case err := <-w.trouble:
			s.log.Info("a watch looks for another consumer", "stream", w.stream, "error", err)
			s.metrics.watches.Inc()
		}
		w.stop()
		for {
			if ctx.Err() != nil {
				return
			}
			next, err := begin(ctx, fresh)
			if err == nil {
				w = next
				break
			}
			s.log.Debug("a watch has no other consumer yet", "stream", w.stream, "error", err)
			select {
			case <-ctx.Done():
			case <-anew:
				fresh = true
			case <-time.After(watchAgain):
			}
		}
	}
}
