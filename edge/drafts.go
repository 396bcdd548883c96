package edge

import (
	"context"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// A draft goes the way of a mute: a command of its person on the room, told to
// their own devices. It is written while somebody types, so beside the rate of
// reading it has one of its own for each person and room: who is over it keeps the
// newest text and brings that when retry_after_ms is over.

type putDraftInput struct {
	RoomPath
	Body body[wire.PutDraft]
}

func (e *Edge) putDraft(ctx context.Context, in *putDraftInput) (*none, error) {
	c, err := e.draft(caller(ctx), in.RoomID, in.Body.Value.Text, in.Body.Value.ReplyTo)
	_, err = e.run(ctx, c, err)
	return nil, err
}

func (e *Edge) deleteDraft(ctx context.Context, in *RoomPath) (*none, error) {
	c, err := e.draft(caller(ctx), in.RoomID, "", 0)
	_, err = e.run(ctx, c, err)
	return nil, err
}

func (s *session) onDraft(f *wire.SetDraft, ref string) error {
	c, err := s.e.draft(s.who, f.RoomID, f.Text, f.ReplyTo)
	if err != nil {
		return err
	}
	return s.commit(ref, c, func(chat.Result) []byte { return wire.Encode(&wire.OK{Ref: ref}) }, nil)
}

// draft checks a draft's form and makes its command.
func (e *Edge) draft(who auth.Identity, room, text string, replyTo uint64) (*chat.Command, error) {
	id, err := chat.ParseID[chat.RoomID]("room_id", room)
	if err != nil {
		return nil, err
	}
	if err := chat.CheckDraft("text", text); err != nil {
		return nil, err
	}
	if replyTo > maxSeq {
		return nil, errReply()
	}
	if err := e.limits.take(RateDraft, string(who.User)+" "+room); err != nil {
		return nil, err
	}
	c, err := e.command(chat.OpDraft, who, id)
	if err == nil {
		c.Text, c.ReplyTo = text, chat.Seq(replyTo)
	}
	return c, err
}

func errReply() error { return chat.Invalid("reply_to", "is not a message of this room") }

// draftOf is one's own draft of a room; nil if there is none.
func (e *Edge) draftOf(ctx context.Context, u chat.UserID, room chat.RoomID) (*wire.Draft, error) {
	held, err := e.Drafts.Of(ctx, u, room)
	if err != nil {
		return nil, err
	}
	d, ok := held[room]
	if !ok {
		return nil, nil
	}
	return wireDraft(&d), nil
}

// addDrafts puts one's drafts into a page of one's rooms.
func (e *Edge) addDrafts(ctx context.Context, u chat.UserID, entries []wire.RoomEntry) error {
	if len(entries) == 0 {
		return nil
	}
	rooms := make([]chat.RoomID, len(entries))
	for i := range entries {
		rooms[i] = entries[i].Room.ID
	}
	held, err := e.Drafts.Of(ctx, u, rooms...)
	if err != nil {
		return err
	}
	for i := range entries {
		if d, ok := held[rooms[i]]; ok {
			entries[i].Draft = wireDraft(&d)
		}
	}
	return nil
}

// wireDraft is d, which may be nil.
func wireDraft(d *chat.Draft) *wire.Draft {
	if d == nil {
		return nil
	}
	return &wire.Draft{Text: d.Text, ReplyTo: d.ReplyTo, UpdatedAt: wire.Time(d.At)}
}
