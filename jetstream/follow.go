package jetstream

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// followers are the sessions of this node that want to hear of a user's queue
// or news. Where the node is alone its tellers call them; in a cluster there is one
// subscription a user, shared. All subscriptions feed two channels, for a goroutine
// each: a goroutine a subscription would cost an idle user 4 KB.
type followers struct {
	s    *Store
	nc   *nats.Conn
	live chan *nats.Msg // of a cluster
	news chan *nats.Msg

	mu    sync.RWMutex
	users map[chat.UserID]*followed
}

type followed struct {
	live, news *nats.Subscription
	hints      []*hint
	listeners  []*listener
}

type hint struct{ deliver func(*chat.Entry) }
type listener struct{ deliver func([]byte) }

// followersBuffer is how many entries may wait for a listener goroutine; beyond
// it NATS drops and everybody is made to look at their queue.
const followersBuffer = 65536

func newFollowers(s *Store) (*followers, error) {
	nc, err := s.connect(connectLive)
	if err != nil {
		return nil, err
	}
	f := &followers{s: s, nc: nc, news: make(chan *nats.Msg, 4096), users: make(map[chat.UserID]*followed)}
	nc.SetErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrSlowConsumer) {
			f.lookAll()
			return
		}
		s.log.Warn("the live connection reports an error", "error", err)
	})
	if _, err := nc.Subscribe(subjectTellAll, f.handleLook); err != nil {
		return nil, err
	}
	if s.clustered() {
		f.live = make(chan *nats.Msg, followersBuffer)
		s.goes(func() { f.run(f.live, f.handleLive) })
	}
	s.goes(func() { f.run(f.news, f.handleNews) })
	return f, nil
}

func (f *followers) run(from <-chan *nats.Msg, handle func(*nats.Msg)) {
	for {
		select {
		case msg := <-from:
			handle(msg)
		case <-f.s.ctx.Done():
			return
		}
	}
}

// handleLive takes what a teller of a cluster published.
func (f *followers) handleLive(msg *nats.Msg) {
	u := chat.UserID(msg.Subject[len("live."):])
	if len(msg.Data) < liveHead {
		f.tell(u, 0, unknown, nil) // nobody knows what that is
		return
	}
	sequence, before := binary.BigEndian.Uint64(msg.Data), binary.BigEndian.Uint64(msg.Data[8:])
	f.s.raise(numbered(streamSync, f.s.userPartition(u)), sequence) // who is made to read must be shown it
	f.tell(u, sequence, before, func() ([]*chat.Event, error) { return f.s.decodeEvents(msg.Data[liveHead:]) })
}

// tell hands a stored entry of u's queue to those of this node who follow it, with the
// sequence of the one before. events are read only if there is anybody. deliver doesn't
// block, and two calls at once are for two users.
func (f *followers) tell(u chat.UserID, sequence, before uint64, events func() ([]*chat.Event, error)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	who := f.users[u]
	if who == nil || len(who.hints) == 0 {
		return
	}
	var entry *chat.Entry // nil: look at the queue
	if before != unknown {
		read, err := events()
		if err == nil {
			entry = &chat.Entry{Cursor: chat.Cursor{Epoch: f.s.epochs.current(), Seq: sequence}, Prev: before, Events: read}
		} else {
			f.s.log.Error("a live entry was not understood", "user", u, "sequence", sequence, "error", err)
		}
	}
	for _, h := range who.hints {
		h.deliver(entry)
	}
}

func (f *followers) handleNews(msg *nats.Msg) {
	u := chat.UserID(msg.Subject[len("news."):])
	f.mu.RLock()
	defer f.mu.RUnlock()
	if who := f.users[u]; who != nil {
		for _, l := range who.listeners {
			l.deliver(msg.Data)
		}
	}
}

// handleLook makes those of one stream look at their queue.
func (f *followers) handleLook(msg *nats.Msg) {
	var m lookMessage
	if err := decode(msg.Data, &m); err != nil {
		f.s.log.Error("a call to look at the queues was not understood", "error", err)
		f.lookAll()
		return
	}
	f.s.raise(numbered(streamSync, m.Queue), m.End)
	f.look(func(u chat.UserID) bool { return f.s.userPartition(u) == m.Queue })
}

// lookAll makes everybody look at their queue.
func (f *followers) lookAll() { f.look(func(chat.UserID) bool { return true }) }

func (f *followers) look(which func(chat.UserID) bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for u, who := range f.users {
		if !which(u) {
			continue
		}
		for _, h := range who.hints {
			h.deliver(nil)
		}
	}
}

// of finds or makes u's entry; the caller holds mu.
func (f *followers) ofLocked(u chat.UserID) *followed {
	who := f.users[u]
	if who == nil {
		who = new(followed)
		f.users[u] = who
	}
	return who
}

// dropLocked forgets u when nobody listens any more.
func (f *followers) dropLocked(u chat.UserID, who *followed) {
	if len(who.hints) == 0 && who.live != nil {
		who.live.Unsubscribe() //nolint:errcheck // it fails only when the connection is gone, and then it is gone too
		who.live = nil
	}
	if len(who.listeners) == 0 && who.news != nil {
		who.news.Unsubscribe() //nolint:errcheck // as above
		who.news = nil
	}
	if len(who.hints) == 0 && len(who.listeners) == 0 && f.users[u] == who {
		delete(f.users, u)
	}
}

// Follow implements chat.Queues.
func (q queues) Follow(u chat.UserID, deliver func(*chat.Entry)) (func(), error) {
	f := q.s.followers
	h := &hint{deliver}
	f.mu.Lock()
	defer f.mu.Unlock()
	who := f.ofLocked(u)
	if who.live == nil && f.s.clustered() {
		sub, err := f.nc.ChanSubscribe(subjectLive(u), f.live)
		if err == nil {
			err = f.nc.Flush() // the server knows of it before the caller reads
		}
		if err != nil {
			f.dropLocked(u, who)
			return nil, unavailable("follow", string(u), err)
		}
		who.live = sub
	}
	who.hints = append(who.hints, h)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		who.hints = slices.DeleteFunc(who.hints, func(x *hint) bool { return x == h })
		f.dropLocked(u, who)
	}, nil
}

// news is the chat.News of a Store.
type news struct{ s *Store }

// Publish implements chat.News.
func (n news) Publish(to []chat.UserID, payload []byte) error {
	for _, u := range to {
		if err := n.s.control.Publish(subjectNews(u), payload); err != nil {
			return unavailable("publish", string(u), err)
		}
	}
	return nil
}

// Listen implements chat.News.
func (n news) Listen(u chat.UserID, deliver func([]byte)) (func(), error) {
	f := n.s.followers
	l := &listener{deliver}
	f.mu.Lock()
	defer f.mu.Unlock()
	who := f.ofLocked(u)
	if who.news == nil {
		sub, err := f.nc.ChanSubscribe(subjectNews(u), f.news)
		if err != nil {
			f.dropLocked(u, who)
			return nil, unavailable("listen", string(u), err)
		}
		who.news = sub
	}
	who.listeners = append(who.listeners, l)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		who.listeners = slices.DeleteFunc(who.listeners, func(x *listener) bool { return x == l })
		f.dropLocked(u, who)
	}, nil
}

// close ends the goroutines' feed; they have been waited for.
func (f *followers) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.users)
}
