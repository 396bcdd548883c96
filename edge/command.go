package edge

import (
	"context"
	"crypto/rand"
	"time"

	"natter/auth"
	"natter/chat"
)

// command begins a command of who's: with its Snowflake and the time.
func (e *Edge) command(op chat.CommandOp, who auth.Identity, room chat.RoomID) (*chat.Command, error) {
	id, err := e.NewID()
	if err != nil {
		return nil, err
	}
	return &chat.Command{ID: id, At: chat.MillisOf(e.Now()), Op: op, Room: room, By: who.User, Device: who.Device}, nil
}

// run commits a command that begin has begun, and answers with its result.
func (e *Edge) run(ctx context.Context, c *chat.Command, err error) (chat.Result, error) {
	if err != nil {
		return chat.Result{}, err
	}
	return e.Log.Append(ctx, c)
}

// tell puts an event of a person's own into the queues of to. What it reports
// has happened and is stored; if it can't be told now, that is logged, and the
// others learn it when they look again.
func (e *Edge) tell(ctx context.Context, who auth.Identity, event chat.Event, to ...chat.UserID) {
	c, err := e.command(chat.OpTell, who, "")
	if err == nil {
		c.Users, c.Tell = to, &event
		_, err = e.Log.Append(ctx, c)
	}
	if err != nil {
		e.Logger.Warn("an event could not be told", "type", event.Type, "user", who.User, "err", err)
	}
}

// text is a message as it came, by frame or by HTTP.
type text struct {
	RoomID   string
	ClientID string // empty only over HTTP: one is made
	Text     string
	ReplyTo  uint64
}

// send checks a message's form and makes its command. old tells that the log's
// window may have forgotten its client_id, so that first must be asked before
// the command is committed.
func (e *Edge) send(who auth.Identity, t text) (c *chat.Command, old bool, err error) {
	room, err := chat.ParseID[chat.RoomID]("room_id", t.RoomID)
	if err != nil {
		return nil, false, err
	}
	now := e.Now()
	client, old, err := clientID(t.ClientID, now)
	if err != nil {
		return nil, false, err
	}
	if err := chat.CheckText("text", t.Text); err != nil {
		return nil, false, err
	}
	if t.ReplyTo > maxSeq {
		return nil, false, errReply()
	}
	c, err = e.command(chat.OpSend, who, room)
	if err != nil {
		return nil, false, err
	}
	c.ClientID, c.Text, c.ReplyTo = client, t.Text, chat.Seq(t.ReplyTo)
	c.Mentions = e.Auth.Mentioned(t.Text)
	return c, old, nil
}

// edited gives c, an edit, the new text, whom it names now, and until when the
// message may be edited: the rules have no settings.
func (e *Edge) edited(c *chat.Command, text string) {
	c.Text, c.Mentions, c.Within = text, e.Auth.Mentioned(text), chat.Millis(e.EditWindow.Milliseconds())
}

// clientID reads a client_id and holds its time against ours.
func clientID(s string, now time.Time) (id chat.ClientID, old bool, err error) {
	if s == "" {
		var random [10]byte
		_, _ = rand.Read(random[:]) // never fails
		return chat.NewClientID(now, random), false, nil
	}
	if id, err = chat.ParseClientID("client_id", s); err != nil {
		return id, false, err
	}
	age := now.Sub(id.Time().Time())
	if age < -chat.MaxClockAhead {
		return id, false, &chat.Problem{Kind: chat.KindClockAhead, Field: "client_id", Detail: "was made over two minutes in the future; set the clock"}
	}
	return id, age > chat.WindowSpan, nil
}

// first finds the message of an old client_id; nil if it was never sent. A
// client's clock may have been behind by as much as it may be ahead.
func (e *Edge) first(ctx context.Context, c *chat.Command) (*chat.Message, error) {
	since := c.ClientID.Time() - chat.Millis(chat.MaxClockAhead.Milliseconds())
	m, err := e.History.Find(ctx, c.Room, c.By, c.ClientID, max(since, 0))
	if chat.KindOf(err) == chat.KindNotFound {
		return nil, noRoom()
	}
	return m, err
}
