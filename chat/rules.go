package chat

import "slices"

// rules is the dispatch table of the commands on rooms: one small function
// each, in the files rules_*.go.
var rules = map[CommandOp]func(*RoomState, *Command, *Window) Outcome{
	OpSend:    (*RoomState).send,
	OpRead:    (*RoomState).read,
	OpDirect:  (*RoomState).direct,
	OpCreate:  (*RoomState).create,
	OpChange:  (*RoomState).change,
	OpAdd:     (*RoomState).add,
	OpRemove:  (*RoomState).remove,
	OpRole:    (*RoomState).role,
	OpMute:    (*RoomState).mute,
	OpClose:   (*RoomState).close,
	OpEdit:    (*RoomState).edit,
	OpDelete:  (*RoomState).delete,
	OpReact:   (*RoomState).react,
	OpUnreact: (*RoomState).unreact,
	OpDraft:   (*RoomState).draft,
}

// Apply decides one command on this room and, unless it refuses, changes the
// state. It depends on the state, the command and the window alone: the same
// commands in the same order always come to the same.
func (r *RoomState) Apply(c *Command, w *Window) Outcome {
	rule, ok := rules[c.Op]
	if !ok {
		return refuse(Invalid("op", "is not a command on a room"))
	}
	out := rule(r, c, w)
	if out.Refusal == nil && out.Result.At == 0 {
		out.Result.At = c.At
	}
	return out
}

// Tell is Apply for a person's own matter (OpTell).
func Tell(c *Command) Outcome {
	if c.Tell == nil || len(c.Users) == 0 {
		return refuse(Invalid("op", "has nothing to tell"))
	}
	return Outcome{Result: Result{ID: c.ID, At: c.At}, Events: []Addressed{{To: c.Users, Event: *c.Tell}}}
}

func refuse(p *Problem) Outcome { return Outcome{Refusal: p} }

// member finds the command's author in the room. Who is no member learns
// nothing, not even that the room exists.
func (r *RoomState) member(c *Command) (*Member, *Problem) {
	if !r.Exists() {
		return nil, NotFound("room")
	}
	m := r.Room.Member(c.By)
	if m == nil {
		return nil, NotFound("room")
	}
	return m, nil
}

// officer is member for what only an owner or an admin may do in a group.
func (r *RoomState) officer(c *Command) (*Member, *Problem) {
	m, p := r.member(c)
	if p != nil {
		return nil, p
	}
	if r.Room.Kind == RoomDirect {
		return nil, Forbidden("a direct room can't be changed")
	}
	if m.Role == RoleMember {
		return nil, Forbidden("only an owner or an admin may do this")
	}
	return m, nil
}

// append puts new messages into the tail and the outcome, and tells everybody
// who is a member now.
func (r *RoomState) append(out *Outcome, m Message) {
	r.Tail = append(r.Tail, m)
	out.Messages = append(out.Messages, m)
	out.Events = append(out.Events, Addressed{To: r.Room.UserIDs(), Event: Event{Type: EventMessage, Room: r.Room.ID, Message: &m}})
	if sender := r.Room.Member(m.Sender); sender != nil {
		sender.Read = m.Seq
		out.Marks = append(out.Marks, m.Sender)
	}
	out.Result.ID, out.Result.Seq, out.Result.At = m.ID, m.Seq, m.CreatedAt
}

// mentioned are those of a text's names who are members now, its author excepted:
// each once, in order, at most MaxMentions.
func (r *RoomState) mentioned(c *Command) []UserID {
	var who []UserID
	for _, u := range c.Mentions {
		if len(who) == MaxMentions {
			break
		}
		if u != c.By && r.Room.Member(u) != nil && !slices.Contains(who, u) {
			who = append(who, u)
		}
	}
	return who
}

// say appends a system message.
func (r *RoomState) say(out *Outcome, c *Command, s System) {
	m := r.message(c, KindSystem)
	m.System = &s
	r.append(out, m)
}

// snapshot is the room's record as an event carries it.
func (r *RoomState) snapshot() *Room {
	s := r.Room.Clone()
	return &s
}

// tellRoom adds a room event for the given people.
func (r *RoomState) tellRoom(out *Outcome, to []UserID) {
	if len(to) > 0 {
		out.Events = append(out.Events, Addressed{To: to, Event: Event{Type: EventRoom, Room: r.Room.ID, Snapshot: r.snapshot()}})
	}
}

func (r *RoomState) tellMember(out *Outcome, to []UserID, u UserID, change MemberChange, role Role) {
	if len(to) > 0 {
		out.Events = append(out.Events, Addressed{To: to, Event: Event{
			Type: EventMember, Room: r.Room.ID, User: u, Change: change, Role: role, Count: len(r.Room.Members)}})
	}
}
