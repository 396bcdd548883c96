package edge

import (
	"context"

	"natter/chat"
	"natter/wire"
)

// onSend answers with sent: it is on disk.
func (s *session) onSend(f *wire.Send, ref string) error {
	if f.ClientID == "" {
		return chat.Invalid("client_id", "must be given")
	}
	c, old, err := s.e.send(s.who, text{f.RoomID, f.ClientID, f.Text, f.ReplyTo})
	if err != nil {
		return err
	}
	answer := func(r chat.Result) []byte { return wire.AppendSent(nil, ref, r.ID, r.Seq, r.At) }
	if !old {
		return s.commit(ref, c, answer, nil)
	}
	return s.commit(ref, c, answer, func(ctx context.Context) (bool, error) {
		first, err := s.e.first(ctx, c)
		if first == nil {
			return false, err
		}
		s.put(wire.AppendSent(nil, ref, first.ID, first.Seq, first.CreatedAt))
		return true, nil
	})
}

func (s *session) onRead(f *wire.Read, ref string) error {
	return s.amend(chat.OpRead, f.RoomID, f.Seq, ref, nil)
}

func (s *session) onEdit(f *wire.Edit, ref string) error {
	if err := chat.CheckText("text", f.Text); err != nil {
		return err
	}
	return s.amend(chat.OpEdit, f.RoomID, f.Seq, ref, func(c *chat.Command) { s.e.edited(c, f.Text) })
}

func (s *session) onDelete(f *wire.Delete, ref string) error {
	return s.amend(chat.OpDelete, f.RoomID, f.Seq, ref, nil)
}

func (s *session) onReact(f *wire.React, ref string) error {
	return s.emote(chat.OpReact, f.RoomID, f.Seq, f.Emoji, ref)
}

func (s *session) onUnreact(f *wire.Unreact, ref string) error {
	return s.emote(chat.OpUnreact, f.RoomID, f.Seq, f.Emoji, ref)
}

func (s *session) emote(op chat.CommandOp, room string, seq uint64, emoji, ref string) error {
	if !chat.ValidEmoji(emoji) {
		return errEmoji()
	}
	return s.amend(op, room, seq, ref, func(c *chat.Command) { c.Emoji = emoji })
}

// amend commits a command on one message of a room; ok is its answer.
func (s *session) amend(op chat.CommandOp, room string, seq uint64, ref string, more func(*chat.Command)) error {
	id, err := chat.ParseID[chat.RoomID]("room_id", room)
	if err != nil {
		return err
	}
	at, err := parseSeq("seq", seq)
	if err != nil {
		return err
	}
	c, err := s.e.command(op, s.who, id)
	if err != nil {
		return err
	}
	c.Seq = at
	if more != nil {
		more(c)
	}
	return s.commit(ref, c, func(chat.Result) []byte { return wire.Encode(&wire.OK{Ref: ref}) }, nil)
}
