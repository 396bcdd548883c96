package contacts

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
)

// Options are what a Service needs. Records must be set.
type Options struct {
	Records chat.Records
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default slog.Default
}

// maxRaces is how often an act is tried again when another came first. With two
// people behind a record, more than a few means a fault.
const maxRaces = 20

// Service is everybody's contacts and blocks. All methods are safe for concurrent
// use; those with a context wait for the store, the others don't.
type Service struct {
	o      Options
	index  *index
	loaded atomic.Bool
	stop   context.CancelFunc

	mu       sync.Mutex
	handlers []func(before, after chat.Pair)
}

// Open follows the records and returns when it knows all that were there. ctx
// bounds the opening only.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Records == nil {
		panic("contacts: Options.Records must be set")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	s := &Service{o: o, index: newIndex()}
	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	ready := make(chan struct{})
	if err := o.Records.Watch(life, pairPrefix, s.seen, func() { close(ready) }); err != nil {
		stop()
		return nil, err
	}
	select {
	case <-ready:
		s.loaded.Store(true)
		return s, nil
	case <-ctx.Done():
		stop()
		return nil, chat.Unavailable("the contacts could not be read in time", time.Second)
	}
}

// Close stops following.
func (s *Service) Close() { s.stop() }

// seen is what the watch tells.
func (s *Service) seen(key string, value []byte, revision uint64) {
	p, ok := pairOf(key)
	if !ok {
		s.o.Log.Error("a record of contacts has no pair's key", "key", key)
		return
	}
	if value != nil { // deleted: nothing is between them
		var err error
		if p, err = decode(key, value); err != nil {
			s.o.Log.Error("a record of contacts can't be read", "key", key, "err", err)
			return
		}
	}
	s.put(p, revision, true)
}

// put takes a pair into the index and tells who wants to know.
func (s *Service) put(p chat.Pair, revision uint64, byWatch bool) {
	before, ok := s.index.put(p, revision, byWatch)
	if !ok || !s.loaded.Load() || (before.Friends != 0) == (p.Friends != 0) && before.Barred() == p.Barred() {
		return
	}
	s.mu.Lock()
	handlers := s.handlers
	s.mu.Unlock()
	for _, handle := range handlers {
		handle(before, p)
	}
}

// OnChange has handle called when two people become friends or cease to be, and
// when the first block between them begins or the last ends: at once when it was
// done on this node, within the watch's delay otherwise. handle must not block.
// Add handlers before there is traffic.
func (s *Service) OnChange(handle func(before, after chat.Pair)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A copy, because put calls the slice it saw without the lock.
	s.handlers = append(s.handlers[:len(s.handlers):len(s.handlers)], handle)
}

// Done is what an act came to. Before and After are the same if it changed
// nothing.
type Done struct {
	Before, After chat.Pair
	Revision      uint64 // of After's record
}

// Act does what by wants about other, who must be somebody else. It is on disk
// when Act returns. A refusal by the rules is a *chat.Problem. How much the two
// have is counted in memory, so people who act on several nodes in the same moment
// may pass a limit by as many as they are.
func (s *Service) Act(ctx context.Context, by, other chat.UserID, act chat.ContactAct) (Done, error) {
	fresh := chat.NewPair(by, other)
	var tried Done // whose fate isn't known
	for range maxRaces {
		before, revision, err := s.read(ctx, fresh)
		if err != nil {
			return Done{}, err
		}
		if tried.Revision != 0 && before == tried.After {
			tried.Revision = revision // it was written after all
			s.put(tried.After, revision, false)
			return tried, nil
		}
		after := before
		if refusal := after.Apply(act, by, chat.MillisOf(s.o.Now()), s.index.counts(by), s.index.counts(other)); refusal != nil {
			return Done{}, refusal
		}
		if after == before {
			s.put(before, revision, false)
			return Done{before, before, revision}, nil
		}
		next, err := s.o.Records.Put(ctx, pairKey(&after), encode(after), revision)
		switch chat.KindOf(err) {
		case chat.KindConflict:
			continue
		case chat.KindUnavailable:
			if tried.Revision != 0 || ctx.Err() != nil {
				return Done{}, err
			}
			tried = Done{before, after, revision + 1}
			continue
		}
		if err != nil {
			return Done{}, err
		}
		s.put(after, next, false)
		return Done{before, after, next}, nil
	}
	return Done{}, chat.Unavailable("too many changes at once", time.Second)
}

// read is a pair's record, revision 0 if there is none.
func (s *Service) read(ctx context.Context, fresh chat.Pair) (chat.Pair, uint64, error) {
	key := pairKey(&fresh)
	b, revision, err := s.o.Records.Get(ctx, key)
	if chat.KindOf(err) == chat.KindNotFound {
		return fresh, 0, nil
	}
	if err != nil {
		return fresh, 0, err
	}
	p, err := decode(key, b)
	return p, revision, err
}

// Seen is a person as another sees them.
type Seen struct {
	User chat.UserID
	chat.Contact
}

// Contacts are u's friends and requests, newest first.
func (s *Service) Contacts(u chat.UserID) []Seen {
	return s.list(u, func(h *held) chat.Contact { return h.Contact(u) })
}

// Blocks are the people u has blocked, newest first. Their state is none.
func (s *Service) Blocks(u chat.UserID) []Seen {
	return s.list(u, func(h *held) chat.Contact {
		return chat.Contact{State: chat.ContactNone, Since: h.BlockedBy(u)}
	})
}

// list is those of u's pairs that how gives a time.
func (s *Service) list(u chat.UserID, how func(*held) chat.Contact) []Seen {
	var all []Seen
	for _, h := range s.index.pairsOf(u) {
		if c := how(h); c.Since != 0 {
			all = append(all, Seen{h.Other(u), c})
		}
	}
	slices.SortStableFunc(all, func(a, b Seen) int { return cmp.Compare(b.Since, a.Since) })
	return all
}

// Friends are u's, by id.
func (s *Service) Friends(u chat.UserID) []chat.UserID {
	var all []chat.UserID
	for _, h := range s.index.pairsOf(u) {
		if h.Friends != 0 {
			all = append(all, h.Other(u))
		}
	}
	return all
}

// Pair is what this node knows of two people, and as of which revision: the newest
// one it has seen, if nothing is between them.
func (s *Service) Pair(a, b chat.UserID) (chat.Pair, uint64) { return s.index.pair(a, b) }

// Bar is why u may put nothing new into room; nil if no block is in the way. It
// knows direct rooms only, and says nothing to who isn't of the two.
func (s *Service) Bar(room chat.RoomID, u chat.UserID) *chat.Problem {
	h := s.index.bar(room)
	if h == nil || u != h.Low && u != h.High {
		return nil
	}
	return h.Bar(u)
}

// Size is how many pairs this node holds, and between how many a block is.
func (s *Service) Size() (pairs, barred int) {
	return int(s.index.pairs.Load()), int(s.index.bars.Load())
}
