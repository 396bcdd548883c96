package chat

import (
	"fmt"
	"slices"
	"time"
)

// MaxReactions bounds the different emoji on one message.
const MaxReactions = 50

// amend finds the message a command changes (see RoomState.Reach).
func (r *RoomState) amend(c *Command) (*Message, *Problem) {
	m, p := r.member(c)
	if p != nil {
		return nil, p
	}
	if c.Seq <= m.Since || c.Seq > r.Last {
		return nil, NotFound("message")
	}
	message := r.Find(c.Seq)
	switch {
	case message == nil:
		return nil, NotFound("message")
	case message.DeletedAt != 0:
		return nil, &Problem{Kind: KindGone, Detail: "the message has been deleted"}
	}
	return message, nil
}

// Amends tells whether c changes a message that history already holds, which
// must then be in the tail or in reach when Apply is called.
func Amends(c *Command) bool {
	return c.Op == OpEdit || c.Op == OpDelete || c.Op == OpReact || c.Op == OpUnreact
}

// amended reports a changed message to everybody who may see it.
func (r *RoomState) amended(c *Command, m *Message, t EventType) Outcome {
	now := *m
	now.Reactions = slices.Clone(m.Reactions)
	return Outcome{
		Result:   Result{ID: now.ID, Seq: now.Seq},
		Messages: []Message{now},
		Events:   []Addressed{{To: r.seeing(m.Seq), Event: Event{Type: t, Room: r.Room.ID, Message: &now}}},
	}
}

// seeing are the members who may see a message.
func (r *RoomState) seeing(seq Seq) []UserID {
	who := make([]UserID, 0, len(r.Room.Members))
	for i := range r.Room.Members {
		if m := &r.Room.Members[i]; seq > m.Since {
			who = append(who, m.User)
		}
	}
	return who
}

// edit gives one's own text message another text, as long as that may be done.
func (r *RoomState) edit(c *Command, _ *Window) Outcome {
	m, p := r.amend(c)
	if p != nil {
		return refuse(p)
	}
	if m.Sender != c.By || m.Kind != KindText {
		return refuse(Forbidden("only its author edits a message"))
	}
	if err := CheckText("text", c.Text); err != nil {
		return refuse(ProblemOf(err))
	}
	if m.Text == c.Text {
		return Outcome{Result: Result{ID: m.ID, Seq: m.Seq, Retry: true}}
	}
	if c.Within > 0 && c.At-m.CreatedAt > c.Within {
		return refuse(&Problem{Kind: KindForbidden, Field: "seq", Limit: int64(c.Within),
			Detail: fmt.Sprintf("a message can be edited for %s after it was sent", time.Duration(c.Within)*time.Millisecond)})
	}
	m.Text, m.EditedAt, m.Mentions = c.Text, c.At, r.mentioned(c)
	return r.amended(c, m, EventEdited)
}

// delete takes a message's content away for everybody; its place stays. Its
// author may, and an officer of a group.
func (r *RoomState) delete(c *Command, _ *Window) Outcome {
	m, p := r.amend(c)
	if p != nil {
		return refuse(p)
	}
	if m.Kind != KindText {
		return refuse(Forbidden("a system message stays"))
	}
	if m.Sender != c.By && (r.Room.Kind == RoomDirect || r.Room.Member(c.By).Role == RoleMember) {
		return refuse(Forbidden("only its author, an owner or an admin deletes a message"))
	}
	m.Text, m.DeletedAt, m.Reactions, m.Mentions = "", c.At, nil, nil
	return r.amended(c, m, EventDeleted)
}

// react puts an emoji on a message, once a person and emoji.
func (r *RoomState) react(c *Command, _ *Window) Outcome {
	m, p := r.amend(c)
	if p != nil {
		return refuse(p)
	}
	if !ValidEmoji(c.Emoji) {
		return refuse(Invalid("emoji", "must be an emoji"))
	}
	at := slices.IndexFunc(m.Reactions, func(x Reaction) bool { return x.Emoji == c.Emoji })
	if at >= 0 && slices.Contains(m.Reactions[at].Users, c.By) {
		return Outcome{Result: Result{ID: m.ID, Seq: m.Seq, Retry: true}}
	}
	if at < 0 && len(m.Reactions) >= MaxReactions {
		return refuse(&Problem{Kind: KindInvalid, Field: "emoji", Detail: "the message has as many different emoji as it can hold", Limit: MaxReactions})
	}
	m.Reactions = slices.Clone(m.Reactions)
	if at < 0 {
		m.Reactions = append(m.Reactions, Reaction{Emoji: c.Emoji, Users: []UserID{c.By}})
	} else {
		m.Reactions[at].Users = append(slices.Clone(m.Reactions[at].Users), c.By)
	}
	return r.amended(c, m, EventReaction)
}

// unreact takes one's emoji back.
func (r *RoomState) unreact(c *Command, _ *Window) Outcome {
	m, p := r.amend(c)
	if p != nil {
		return refuse(p)
	}
	at := slices.IndexFunc(m.Reactions, func(x Reaction) bool { return x.Emoji == c.Emoji })
	if at < 0 || !slices.Contains(m.Reactions[at].Users, c.By) {
		return Outcome{Result: Result{ID: m.ID, Seq: m.Seq, Retry: true}}
	}
	m.Reactions = slices.Clone(m.Reactions)
	m.Reactions[at].Users = slices.DeleteFunc(slices.Clone(m.Reactions[at].Users), func(u UserID) bool { return u == c.By })
	if len(m.Reactions[at].Users) == 0 {
		m.Reactions = slices.Delete(m.Reactions, at, at+1)
	}
	return r.amended(c, m, EventReaction)
}
