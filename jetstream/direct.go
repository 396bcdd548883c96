package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// reader asks streams by Direct Get (ADR-31) over connections of its own: an
// in-process request runs in its connection's read loop, so a publisher must
// never share one. Answers are pages of at most readPage messages and readBytes
// bytes; a caller that wants more asks again.
type reader struct {
	conns []*nats.Conn
	next  atomic.Uint32
	// slots bounds how many reads run at once: four readers of one stream took
	// its publishers' p99 from 3 to 104 ms (prior measurements).
	slots chan struct{}
	// In a cluster: what a replica must have got to, and a read that the stream's
	// leader answers. See fresh.go.
	floors floors
	holed  holed // of one node alone
	leader func(ctx context.Context, stream string, a ask) (stored, error)
}

const (
	readPage    = 100
	readBytes   = 4 << 20
	readTimeout = 5 * time.Second
	// In a cluster another replica is asked after askedFirst; each time that passes
	// without an answer it is twice that, up to askedLast.
	askedFirst = 150 * time.Millisecond
	askedLast  = 2 * time.Second
	readAtOnce = 4
	// multiLastMost is the server's limit of subjects a multi_last may match.
	multiLastMost = 1024
)

// stored is one message of a stream.
type stored struct {
	Subject  string
	Sequence uint64
	Data     []byte
	Headers  []byte // only in what a leader answered
}

// ask is a Direct Get request; the fields are the API's.
type ask struct {
	Seq       uint64     `json:"seq,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
	MultiLast []string   `json:"multi_last,omitempty"`
	UpTo      uint64     `json:"up_to_seq,omitempty"`
	// Witness is the message at UpTo, in a cluster.
	Witness stored `json:"-"`
}

// answer is what a batch came to.
type answer struct {
	Messages []stored
	More     bool
	UpTo     uint64 // of multi_last: the stream's last sequence when it was read
}

// errNone is the API's 404: nothing matches.
var errNone = errors.New("no message matches")

// errTooMany is the API's 413: a multi_last matches over multiLastMost subjects.
var errTooMany = errors.New("too many subjects match")

// one asks for a single message; errNone if there is none.
func (r *reader) one(ctx context.Context, stream string, a ask) (stored, error) {
	if err := r.enter(ctx); err != nil {
		return stored{}, err
	}
	defer r.leave()
	body, err := json.Marshal(a)
	if err != nil {
		return stored{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msg, err := r.conn().RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream, body)
	if err != nil {
		return stored{}, unavailable("read", stream, err)
	}
	if status := msg.Header.Get("Status"); status != "" {
		if status == "404" {
			return stored{}, errNone
		}
		return stored{}, unavailable("read", stream, fmt.Errorf("status %s %s", status, msg.Header.Get("Description")))
	}
	return storedOf(msg)
}

// many asks for a batch; nothing matching is an empty answer. In a cluster the answer
// holds what this node knows of.
func (r *reader) many(ctx context.Context, stream string, a ask) (answer, error) {
	if _, checked := r.floors.of(stream); !checked {
		out, err := r.batch(ctx, stream, a)
		if err == nil && len(a.MultiLast) > 0 {
			out, err = r.missed(ctx, stream, a, out)
		}
		return out, err
	}
	if len(a.MultiLast) > 0 {
		return r.newest(ctx, stream, a)
	}
	return r.following(ctx, stream, a)
}

// batch is many of whichever replica answers. In a cluster the one that was asked may
// have gone, and another is asked then.
func (r *reader) batch(ctx context.Context, stream string, a ask) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for patience := askedFirst; ; patience = min(2*patience, askedLast) {
		within, cancel := ctx, context.CancelFunc(func() {})
		if r.floors != nil {
			within, cancel = context.WithTimeout(ctx, patience)
		}
		out, err := r.try(within, stream, a)
		late := within.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return out, err
		}
	}
}

// try is one try of batch, until ctx ends.
func (r *reader) try(ctx context.Context, stream string, a ask) (answer, error) {
	if err := r.enter(ctx); err != nil {
		return answer{}, err
	}
	defer r.leave()
	if a.Batch == 0 && len(a.MultiLast) == 0 {
		a.Batch = readPage
	}
	if a.MaxBytes == 0 {
		a.MaxBytes = readBytes
	}
	body, err := json.Marshal(a)
	if err != nil {
		return answer{}, err
	}
	nc := r.conn()
	inbox := nc.NewRespInbox()
	// As large as the answer can be: what does not fit would be dropped. (A
	// synchronous subscription brings a channel of half a megabyte.)
	arriving := make(chan *nats.Msg, max(a.Batch, len(a.MultiLast))+2)
	if len(a.MultiLast) > 0 && strings.ContainsAny(a.MultiLast[0], "*>") {
		arriving = make(chan *nats.Msg, multiLastMost+2) // a wildcard may match many
	}
	sub, err := nc.ChanSubscribe(inbox, arriving)
	if err != nil {
		return answer{}, unavailable("read", stream, err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // the answer is complete; a leftover subscription dies with the connection
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return answer{}, unavailable("read", stream, err)
	}
	var out answer
	for {
		var msg *nats.Msg
		select {
		case msg = <-arriving:
		case <-ctx.Done():
			return answer{}, unavailable("read", stream, ctx.Err())
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			m, err := storedOf(msg)
			if err != nil {
				return answer{}, err
			}
			out.Messages = append(out.Messages, m)
			if len(a.MultiLast) > 0 && a.Batch == 0 && msg.Header.Get("Nats-Num-Pending") == "" {
				return out, nil
			}
		case "204":
			out.More = numeric(msg, "Nats-Num-Pending") > 0
			out.UpTo = numeric(msg, "Nats-UpTo-Sequence")
			return out, nil
		case "404":
			return out, nil
		case "413":
			return answer{}, errTooMany
		default:
			return answer{}, unavailable("read", stream, fmt.Errorf("status %s %s", status, msg.Header.Get("Description")))
		}
	}
}

// last reads the newest message of a subject; errNone if there is none.
func (r *reader) last(ctx context.Context, stream, subject string) (stored, error) {
	if _, checked := r.floors.of(stream); checked {
		found, err := r.newest(ctx, stream, ask{MultiLast: []string{subject}})
		if err != nil {
			return stored{}, err
		}
		if len(found.Messages) == 0 {
			return stored{}, errNone
		}
		return found.Messages[0], nil
	}
	return r.one(ctx, stream, ask{LastFor: subject})
}

func (r *reader) conn() *nats.Conn {
	return r.conns[int(r.next.Add(1))%len(r.conns)]
}

func (r *reader) enter(ctx context.Context) error {
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return chat.Unavailable("the store is busy", time.Second)
	}
}

func (r *reader) leave() { <-r.slots }

func storedOf(msg *nats.Msg) (stored, error) {
	m := stored{Subject: msg.Header.Get("Nats-Subject"), Sequence: numeric(msg, "Nats-Sequence"), Data: msg.Data}
	if m.Sequence == 0 {
		return stored{}, fmt.Errorf("a direct answer for %q has no sequence", m.Subject)
	}
	return m, nil
}

func numeric(msg *nats.Msg, header string) uint64 {
	n, err := strconv.ParseUint(msg.Header.Get(header), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// unavailable wraps a failure of the store so that callers answer "not now";
// the cause stays in the chain for the log.
func unavailable(what, where string, err error) error {
	return fmt.Errorf("%s %s: %w (%w)", what, where, chat.Unavailable("the store does not answer; try again", time.Second), err)
}
