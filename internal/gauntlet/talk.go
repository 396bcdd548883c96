//go:build linux

package gauntlet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/wire"
)

const (
	httpBacklog   = 8    // what a person types before the last one is answered; then waits
	socketBacklog = 4000 // an app over a socket goes on for longer
)

// pace sends Rate messages a second, whatever the cluster does.
func (w *crowd) pace(ctx context.Context, random *rand.Rand) {
	defer func() {
		for _, p := range w.people {
			if p.queue != nil {
				close(p.queue)
			}
		}
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	filling := strings.Repeat("말 ", w.traffic.Bytes/4+1)
	for n := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(began).Seconds() * w.traffic.Rate); n < due; n++ {
			p := w.people[random.IntN(len(w.people))]
			w.say(p, client.Outgoing{Room: pickRoom(p, random), ClientID: client.NewKey(), Text: fmt.Sprintf("%s says %d %s", p.name, n, filling)})
		}
	}
}

// pickRoom is the room of all or a small group, one time in four each, else the
// direct room.
func pickRoom(p *person, random *rand.Rand) chat.RoomID {
	switch n := random.IntN(everyNth); {
	case n == 0:
		return p.rooms[len(p.rooms)-1]
	case n == 1 && len(p.rooms) > 2:
		return p.rooms[random.IntN(len(p.rooms)-1)]
	}
	return p.rooms[0]
}

// say sends a message, or doesn't if the person waits for too many answers.
func (w *crowd) say(p *person, m client.Outgoing) {
	if p.queue != nil {
		w.waiting.Add(1)
		p.owed.Add(1)
		select {
		case p.queue <- m:
		default:
			w.waiting.Add(-1)
			p.owed.Add(-1)
		}
		return
	}
	if p.owed.Load() >= socketBacklog {
		return
	}
	w.waiting.Add(1)
	p.owed.Add(1)
	// Many are on their way at once: one that is refused and sent again may stand
	// behind a later one, so that each is a sender of its own.
	w.record.sends(m.ClientID.String(), p.number, p.devices[0].node(), &m)
	p.devices[0].socket.Send(m, func(r client.Receipt, err error) { w.answered(p, &m, r, err) })
}

// post sends a person's messages one after the other, each until it is answered.
// Their order is the sender's.
func (w *crowd) post(p *person) {
	for m := range p.queue {
		w.record.sends(p.name, p.number, "", &m)
		r, err := w.postOne(p.devices[0].account, &m)
		w.answered(p, &m, r, err)
	}
}

func (w *crowd) postOne(a *client.Account, m *client.Outgoing) (client.Receipt, error) {
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(w.ctx, postLimit)
		_, err := a.Token(ctx)
		var got *wire.Message
		if err == nil {
			got, err = a.Post(ctx, m.Room, m.ClientID, m.Text)
		}
		cancel()
		if err == nil {
			return client.Receipt{ID: chat.MessageID(got.ID), Seq: got.Seq, At: chat.Millis(got.CreatedAt)}, nil
		}
		wait := rand.N(min(100*time.Millisecond<<min(try, 6), 2*time.Second))
		var refused *wire.Problem
		if errors.As(err, &refused) {
			if refused.Code != chat.KindUnavailable && refused.Code != chat.KindTooMany && refused.Code != chat.KindInternal {
				return client.Receipt{}, refused
			}
			wait = max(wait, time.Duration(refused.RetryAfterMS)*time.Millisecond)
		}
		if !sleep(w.ctx, wait) {
			return client.Receipt{}, w.ctx.Err()
		}
	}
}

func (w *crowd) answered(p *person, m *client.Outgoing, r client.Receipt, err error) {
	defer w.waiting.Add(-1)
	defer p.owed.Add(-1)
	switch {
	case err == nil:
		w.record.acks(m, r)
	case w.ctx.Err() == nil:
		err = fmt.Errorf("%s's message was refused: %w", p.name, err)
		w.refused.CompareAndSwap(nil, &err)
	}
}

// outsider is somebody who is in none of the rooms, and looks into them.
type outsider struct {
	name    string
	account *client.Account
	random  *rand.Rand
	device  *client.Poller
	looked  int // answers that there is no such room
}

// listen brings the outsider's device online: whatever message it is told is one
// too many.
func (w *crowd) listen(o *outsider) error {
	var cursor string
	err := w.persist("ask for the cursor", func(ctx context.Context) (err error) {
		cursor, err = o.account.Cursor(ctx)
		return err
	})
	if err != nil {
		return err
	}
	reader := check.Reader(o.name)
	o.device = client.Poll(w.online, o.account, client.PollOptions{Cursor: cursor, Wait: pollWait, BackoffCap: backoffCap, Event: func(e *client.Event) {
		if m := &e.Message; e.Type == chat.EventMessage {
			w.record.history.Seen(chat.RoomID(m.Room), reader, m.Seq, m.ID, m.Key())
		}
	}})
	return nil
}

// snoop looks into a room four times a second, through any node.
func (w *crowd) snoop(o *outsider) {
	reader := check.Reader(o.name + "/looking")
	for sleep(w.online, 250*time.Millisecond) {
		room := w.rooms[o.random.IntN(len(w.rooms))]
		ctx, cancel := context.WithTimeout(w.ctx, postLimit)
		page, err := o.account.Messages(ctx, room, client.Span{Limit: chat.MaxPage})
		cancel()
		if client.CodeOf(err) == chat.KindNotFound {
			o.looked++
		}
		if err == nil {
			for _, m := range page.Messages {
				w.record.history.Seen(room, reader, m.Seq, chat.MessageID(m.ID), chat.ClientID(m.ClientID))
			}
		}
	}
}
