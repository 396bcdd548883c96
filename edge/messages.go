package edge

import (
	"context"
	"net/url"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

type messagesInput struct {
	RoomPath
	Before number `query:"before" doc:"a seq: the page ends before it"`
	After  number `query:"after" doc:"a seq: the page begins after it"`
	Around number `query:"around" doc:"a seq: it is in the middle"`
	Limit  number `query:"limit" doc:"1 to 100, 50 if absent"`
}

func (e *Edge) messages(ctx context.Context, in *messagesInput) (*reply[wire.Messages], error) {
	id, err := in.room()
	if err != nil {
		return nil, err
	}
	span, err := in.span()
	if err != nil {
		return nil, err
	}
	_, me, last, err := e.roomOf(ctx, caller(ctx).User, id)
	if err != nil {
		return nil, err
	}
	answer := wire.Messages{Messages: []wire.Message{}}
	first, end := me.Since+1, chat.Seq(0)
	if last != nil {
		end = last.Seq
	}
	from, to := span(first, end)
	if from <= to {
		page, err := e.History.Page(ctx, id, from, to)
		if err != nil {
			return nil, err
		}
		answer.Messages = wireMessages(id, page)
	}
	answer.MoreBefore = from > first && end >= first
	answer.MoreAfter = to < end
	return &reply[wire.Messages]{answer}, nil
}

// span reads the parameters as a function that, given the first and the last
// seq there are, says which to read: from > to for none.
func (in *messagesInput) span() (func(first, last chat.Seq) (from, to chat.Seq), error) {
	limit, err := in.Limit.read("limit", 50, chat.MaxPage)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		return nil, chat.Invalid("limit", "must be at least 1")
	}
	n := chat.Seq(limit)
	below := func(a, b chat.Seq) chat.Seq { return a - min(a, b) } // a-b, not below 0
	type edges = func(first, last chat.Seq) (from, to chat.Seq)
	ways := []struct {
		field string
		value number
		span  func(seq chat.Seq) edges
	}{
		{"before", in.Before, func(seq chat.Seq) edges {
			return func(first, last chat.Seq) (chat.Seq, chat.Seq) {
				to := min(below(seq, 1), last)
				return max(first, below(to+1, n)), to
			}
		}},
		{"after", in.After, func(seq chat.Seq) edges {
			return func(first, last chat.Seq) (chat.Seq, chat.Seq) {
				from := max(first, seq+1)
				return from, min(last, from+n-1)
			}
		}},
		{"around", in.Around, func(seq chat.Seq) edges {
			return func(first, last chat.Seq) (chat.Seq, chat.Seq) {
				from := max(first, below(min(seq, last), n/2))
				return from, min(last, from+n-1)
			}
		}},
	}
	var chosen edges
	for _, way := range ways {
		if way.value == "" {
			continue
		}
		if chosen != nil {
			return nil, chat.Invalid(way.field, "excludes the others of before, after and around")
		}
		seq, err := way.value.read(way.field, 0, maxSeq)
		if err != nil {
			return nil, err
		}
		chosen = way.span(chat.Seq(seq))
	}
	if chosen == nil {
		chosen = func(first, last chat.Seq) (chat.Seq, chat.Seq) { return max(first, below(last+1, n)), last }
	}
	return chosen, nil
}

type postMessageInput struct {
	RoomPath
	Body body[wire.PostMessage]
}

func (e *Edge) postMessage(ctx context.Context, in *postMessageInput) (*made[wire.Message], error) {
	who, b := caller(ctx), &in.Body.Value
	c, old, err := e.send(who, text{in.RoomID, b.ClientID, b.Text, b.ReplyTo})
	if err != nil {
		return nil, err
	}
	if old {
		if first, err := e.first(ctx, c); err != nil {
			return nil, err
		} else if first != nil {
			return created(wireMessage(c.Room, first), true), nil
		}
	}
	result, err := e.Log.Append(ctx, c)
	if err != nil {
		return nil, err
	}
	if result.Retry || len(c.Mentions) > 0 { // the room knows whom it mentions
		m, err := e.ownMessage(ctx, who, c.Room, result.Seq)
		if err != nil {
			return nil, err
		}
		return created(*m, result.Retry), nil
	}
	return created(wireMessage(c.Room, &chat.Message{
		ID: result.ID, Seq: result.Seq, Kind: chat.KindText, Sender: c.By, ClientID: c.ClientID,
		Text: c.Text, ReplyTo: c.ReplyTo, CreatedAt: result.At,
	}), false), nil
}

// ownMessage reads a message of a room who is in, as it is now.
func (e *Edge) ownMessage(ctx context.Context, who auth.Identity, room chat.RoomID, seq chat.Seq) (*wire.Message, error) {
	_, me, _, err := e.roomOf(ctx, who.User, room)
	if err != nil {
		return nil, err
	}
	m, err := e.message(ctx, room, me, seq)
	if err != nil {
		return nil, err
	}
	w := wireMessage(room, m)
	return &w, nil
}

type MessagePath struct {
	RoomPath
	Seq number `path:"seq"`
}

func (in *MessagePath) ids() (room chat.RoomID, seq chat.Seq, err error) {
	if room, err = in.room(); err != nil {
		return "", 0, err
	}
	seq, err = in.Seq.seq("seq")
	return room, seq, err
}

type editInput struct {
	MessagePath
	Body body[wire.PatchMessage]
}

func (e *Edge) editMessage(ctx context.Context, in *editInput) (*reply[wire.Message], error) {
	room, seq, err := in.ids()
	if err != nil {
		return nil, err
	}
	if err := chat.CheckText("text", in.Body.Value.Text); err != nil {
		return nil, err
	}
	c, err := e.command(chat.OpEdit, caller(ctx), room)
	if err == nil {
		c.Seq = seq
		e.edited(c, in.Body.Value.Text)
	}
	if _, err := e.run(ctx, c, err); err != nil {
		return nil, err
	}
	m, err := e.ownMessage(ctx, caller(ctx), room, seq)
	if err != nil {
		return nil, err
	}
	return &reply[wire.Message]{*m}, nil
}

func (e *Edge) deleteMessage(ctx context.Context, in *MessagePath) (*none, error) {
	room, seq, err := in.ids()
	if err != nil {
		return nil, err
	}
	return nil, e.onMessage(ctx, chat.OpDelete, room, seq, "")
}

type reactionInput struct {
	MessagePath
	Emoji string `path:"emoji"`
}

func (in *reactionInput) emoji() (string, error) {
	emoji, err := url.PathUnescape(in.Emoji)
	if err != nil || !chat.ValidEmoji(emoji) {
		return "", errEmoji()
	}
	return emoji, nil
}

func errEmoji() error { return chat.Invalid("emoji", "must be an emoji") }

func (e *Edge) react(ctx context.Context, in *reactionInput) (*none, error) {
	return nil, e.onReaction(ctx, chat.OpReact, in)
}

func (e *Edge) unreact(ctx context.Context, in *reactionInput) (*none, error) {
	return nil, e.onReaction(ctx, chat.OpUnreact, in)
}

func (e *Edge) onReaction(ctx context.Context, op chat.CommandOp, in *reactionInput) error {
	room, seq, err := in.ids()
	if err != nil {
		return err
	}
	emoji, err := in.emoji()
	if err != nil {
		return err
	}
	return e.onMessage(ctx, op, room, seq, emoji)
}

func (e *Edge) onMessage(ctx context.Context, op chat.CommandOp, room chat.RoomID, seq chat.Seq, emoji string) error {
	c, err := e.command(op, caller(ctx), room)
	if err == nil {
		c.Seq, c.Emoji = seq, emoji
	}
	_, err = e.run(ctx, c, err)
	return err
}

type readInput struct {
	RoomPath
	Body body[wire.PutRead]
}

func (e *Edge) read(ctx context.Context, in *readInput) (*none, error) {
	room, err := in.room()
	if err != nil {
		return nil, err
	}
	seq, err := parseSeq("seq", in.Body.Value.Seq)
	if err != nil {
		return nil, err
	}
	return nil, e.onMessage(ctx, chat.OpRead, room, seq, "")
}
