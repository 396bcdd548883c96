package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// The streams in memory: leases of nodes, and the places of people's devices.
// They are apart so that a crowd of people can't keep a node from its lease.
const (
	streamLeases = "LEASES"
	streamRoster = "ROSTER"
	// leaseMarker is how long it stays known that a key went away, for watches
	// that hear of it late.
	leaseMarker = time.Minute
	// The bounds of the streams. At the bound a new key is refused, and an old
	// one can still be written.
	leasesBytes = 4 << 20
	rosterBytes = 32 << 20 // about 400,000 devices
	// streamFull and streamFullToo are the server's codes for such a refusal.
	streamFull    = 10077
	streamFullToo = 10023
)

// errNoStream is the server's code for a stream that doesn't exist.
const errNoStream = 10059

const (
	headerTTL       = "Nats-TTL"
	headerMarker    = "Nats-Marker-Reason" // the server's, on what expired
	headerOperation = "KV-Operation"       // PURGE: a marker needs no marker when it expires
)

// Leases are the nodes' leases.
func (s *Store) Leases() chat.Leases { return s.leases }

// Places are the entries of the roster.
func (s *Store) Places() chat.Leases { return s.places }

// leases is a chat.Leases over one stream in memory: <prefix>.<key>.
type leases struct {
	s      *Store
	stream string
	prefix string
	bytes  int64
	// top is the highest sequence seen of the stream: one that is at or below what
	// was seen before shows that the stream has lost everything.
	top atomic.Uint64

	mu      sync.Mutex
	watches map[*leaseWatch]struct{}
}

func newLeases(s *Store, stream, prefix string, size int64) *leases {
	return &leases{s: s, stream: stream, prefix: prefix + ".", bytes: size, watches: map[*leaseWatch]struct{}{}}
}

// config is the stream's. In a cluster it is in files, though nothing in it need
// survive: a group of replicas in memory elects nobody until all of them are
// back, so two nodes that start after a stop of all three would wait for the third.
func (l *leases) config() jetstream.StreamConfig {
	storage := jetstream.MemoryStorage
	if l.s.clustered() {
		storage = jetstream.FileStorage
	}
	return jetstream.StreamConfig{
		Name: l.stream, Subjects: []string{l.prefix + ">"}, Storage: storage, Replicas: l.s.o.Replicas,
		MaxMsgsPerSubject: 1, MaxBytes: l.bytes, Discard: jetstream.DiscardNew,
		AllowMsgTTL: true, SubjectDeleteMarkerTTL: leaseMarker, AllowRollup: true,
	}
}

// Get implements chat.Leases. It asks the leader.
func (l *leases) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, there, err := l.get(ctx, key)
	if err == nil && !there {
		err = chat.NotFound("lease")
	}
	return value, revision, err
}

// get tells the revision of a marker too.
func (l *leases) get(ctx context.Context, key string) (value []byte, revision uint64, there bool, err error) {
	body, err := json.Marshal(map[string]string{"last_by_subj": l.prefix + key})
	if err != nil {
		return nil, 0, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msg, err := l.s.control.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+l.stream, body)
	if err != nil {
		return nil, 0, false, unavailable("read", key, err)
	}
	var reply struct {
		Message *struct {
			Seq     uint64 `json:"seq"`
			Data    []byte `json:"data"`
			Headers []byte `json:"hdrs"`
		} `json:"message"`
		Error *struct {
			Code        int    `json:"code"`
			Number      int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return nil, 0, false, fmt.Errorf("read %s: %w", key, err)
	}
	switch {
	case reply.Error != nil && reply.Error.Code == 404 && reply.Error.Number != errNoStream:
		return nil, 0, false, nil
	case reply.Error != nil:
		return nil, 0, false, unavailable("read", key, errors.New(reply.Error.Description))
	case reply.Message == nil:
		return nil, 0, false, unavailable("read", key, errors.New("an empty answer"))
	}
	m := reply.Message
	gone := bytes.Contains(m.Headers, []byte(headerDeleted)) || bytes.Contains(m.Headers, []byte(headerMarker))
	return m.Data, m.Seq, !gone, nil
}

// Put implements chat.Leases.
func (l *leases) Put(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	header := nats.Header{}
	if ttl > 0 {
		header.Set(headerTTL, strconv.Itoa(max(1, int(ttl/time.Second))))
	}
	next, err := l.write(ctx, key, value, header, revision)
	if revision != 0 || chat.KindOf(err) != chat.KindConflict {
		return next, err
	}
	// The key may have gone away, which left a marker with a revision.
	if _, marker, there, e := l.get(ctx, key); e == nil && !there && marker != 0 {
		return l.write(ctx, key, value, header, marker)
	}
	return next, err
}

// Delete implements chat.Leases.
func (l *leases) Delete(ctx context.Context, key string, revision uint64) error {
	_, err := l.write(ctx, key, nil, nats.Header{
		headerDeleted: {"1"}, headerOperation: {"PURGE"}, headerTTL: {strconv.Itoa(int(leaseMarker / time.Second))},
	}, revision)
	return err
}

func (l *leases) write(ctx context.Context, key string, value []byte, header nats.Header, revision uint64) (uint64, error) {
	if revision != chat.AnyRevision {
		header.Set(headerGuard, strconv.FormatUint(revision, 10))
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	before := l.top.Load()
	ack, err := l.s.js.PublishMsg(ctx, &nats.Msg{Subject: l.prefix + key, Data: value, Header: header})
	if err == nil {
		if ack.Sequence <= before {
			l.lost()
		}
		l.reached(ack.Sequence)
		return ack.Sequence, nil
	}
	if wrongRevision(err) {
		return 0, chat.Conflict("", "somebody else changed it at the same time")
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == streamFull || api.ErrorCode == streamFullToo) {
		return 0, chat.TooLarge("", "there is no room for another one", l.bytes)
	}
	return 0, unavailable("write", key, err)
}

// reached notes a sequence of the stream.
func (l *leases) reached(sequence uint64) {
	for {
		top := l.top.Load()
		if sequence <= top || l.top.CompareAndSwap(top, sequence) {
			return
		}
	}
}

// lost has every watch begin again: the stream has lost what it held.
func (l *leases) lost() {
	l.top.Store(0)
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watches {
		select {
		case w.again <- struct{}{}:
		default:
		}
	}
}

// leasesLook is how often is looked whether the stream is still the same.
const leasesLook = 2 * time.Second

// keep looks after the stream until ctx ends: it makes it again if it is gone,
// and has the watches begin again if it is another one or has lost what it held.
func (l *leases) keep(ctx context.Context) {
	tick := time.NewTicker(leasesLook)
	defer tick.Stop()
	var made time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := l.top.Load()
		asking, cancel := context.WithTimeout(ctx, leasesLook)
		stream, err := l.s.js.Stream(asking, l.stream)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			if err := l.s.createStream(asking, l.config()); err != nil {
				l.s.log.Warn("a stream in memory is gone and can't be made again now", "stream", l.stream, "error", err)
			} else {
				l.s.log.Warn("a stream in memory was gone; it is made again", "stream", l.stream)
				l.lost()
			}
		case err == nil:
			info := stream.CachedInfo()
			if info.State.LastSeq < before || !made.IsZero() && !info.Created.Equal(made) {
				l.s.log.Warn("a stream in memory has lost what it held", "stream", l.stream)
				l.lost()
			}
			made = info.Created
		} // anything else: nobody leads it now
		cancel()
	}
}

func changeOf(key string, header nats.Header, data []byte, revision uint64) chat.LeaseChange {
	c := chat.LeaseChange{Kind: chat.LeasePut, Key: key, Revision: revision}
	switch {
	case header.Get(headerDeleted) != "":
		c.Kind = chat.LeaseDeleted
	case header.Get(headerMarker) != "":
		c.Kind = chat.LeaseExpired
	case data == nil:
		c.Value = []byte{}
	default:
		c.Value = data
	}
	return c
}
