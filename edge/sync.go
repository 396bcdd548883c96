package edge

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"natter/chat"
	"natter/wire"
)

// syncAnswer is wire.SyncAnswer with events that are encoded already.
type syncAnswer struct {
	Events []jsontext.Value `json:"events"`
	Cursor string           `json:"cursor"`
	More   bool             `json:"more"`
	Reset  bool             `json:"reset,omitzero"`
}

// Schema is wire.SyncAnswer's.
func (syncAnswer) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[wire.SyncAnswer](), true, "")
}

type syncInput struct {
	Cursor       string `query:"cursor" doc:"of the answer before; without one, sync starts at now"`
	SinceMessage string `query:"since_message" doc:"for who kept only their highest message id: an overlap, never a gap"`
	Limit        number `query:"limit" doc:"events, at most 500; 100 if absent, 0 for the cursor alone"`
	Wait         number `query:"wait" doc:"seconds to wait for an event, at most 50"`
}

// sync answers a poll. One device has one long poll: a newer one ends the older
// with what it has, so a client that lost an answer leaves nothing behind.
func (e *Edge) sync(ctx context.Context, in *syncInput) (*reply[syncAnswer], error) {
	limit, err := in.Limit.read("limit", 100, chat.MaxSyncEvents)
	if err != nil {
		return nil, err
	}
	wait, err := in.Wait.read("wait", 0, uint64(chat.MaxSyncWait/time.Second))
	if err != nil {
		return nil, err
	}
	who := caller(ctx)
	at, err := e.startOf(ctx, who.User, in.Cursor, in.SinceMessage)
	if err != nil {
		return nil, err
	}
	answer := syncAnswer{Events: []jsontext.Value{}, Cursor: at.String(who.User)}
	if limit == 0 {
		return &reply[syncAnswer]{answer}, nil
	}
	hints, stop := make(chan struct{}, 1), func() {}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin+time.Duration(wait)*time.Second)
	defer cancel()
	if wait > 0 {
		defer e.polls.begin(who.User, who.Device, cancel)()
		if err = e.present(); err != nil { // after begin: the end of all polls may have been before it
			return nil, err
		}
		if stop, err = e.Queues.Follow(who.User, func(*chat.Entry) { nudge(hints) }); err != nil {
			return nil, err
		}
	}
	defer func() { stop() }()
	patience := time.NewTimer(time.Duration(wait) * time.Second)
	defer patience.Stop()
	for {
		if err := e.syncOnce(ctx, who.User, at, int(limit), &answer); err != nil {
			if wait > 0 && ctx.Err() != nil {
				return &reply[syncAnswer]{answer}, nil // superseded: nothing is lost
			}
			return nil, err
		}
		if len(answer.Events) > 0 || answer.Reset || wait == 0 {
			return &reply[syncAnswer]{answer}, nil
		}
		select {
		case <-hints:
			continue
		case <-patience.C:
		case <-ctx.Done():
		case <-e.life.Done():
		}
		return &reply[syncAnswer]{answer}, nil
	}
}

// syncOnce fills an answer with what is in the queue after at.
func (e *Edge) syncOnce(ctx context.Context, u chat.UserID, at chat.Cursor, limit int, answer *syncAnswer) error {
	got, err := e.readQueue(ctx, u, at, min(limit, chat.MaxPage), false)
	if err != nil {
		return err
	}
	answer.Reset, answer.More = got.reset, got.more
	after := got.after
	for i, p := range got.events {
		if i == limit {
			after, answer.More = got.events[i-1].cursor, true
			break
		}
		answer.Events = append(answer.Events, p.json)
	}
	answer.Cursor = after.String(u)
	return nil
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// polls are the long polls and streams under way, one a device.
type polls struct {
	mu sync.Mutex
	of map[chat.DeviceID]*poll
}

type poll struct {
	user chat.UserID
	end  context.CancelFunc
}

// begin enters a poll and ends the one before; the returned function leaves.
func (p *polls) begin(u chat.UserID, d chat.DeviceID, end context.CancelFunc) func() {
	mine := &poll{u, end}
	p.mu.Lock()
	if p.of == nil {
		p.of = map[chat.DeviceID]*poll{}
	}
	before := p.of[d]
	p.of[d] = mine
	p.mu.Unlock()
	if before != nil {
		before.end()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.of[d] == mine {
			delete(p.of, d)
		}
	}
}

// end ends the poll of a device whose session is over.
func (p *polls) end(d chat.DeviceID) {
	p.mu.Lock()
	ended := p.of[d]
	p.mu.Unlock()
	if ended != nil {
		ended.end()
	}
}

// endAll ends every poll and stream there is.
func (p *polls) endAll() {
	p.mu.Lock()
	ended := make([]*poll, 0, len(p.of))
	for _, one := range p.of {
		ended = append(ended, one)
	}
	p.mu.Unlock()
	for _, one := range ended {
		one.end()
	}
}
