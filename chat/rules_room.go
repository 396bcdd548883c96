package chat

import (
	"fmt"
	"slices"
)

// direct makes the one room of two people; when it is there, it is the answer.
func (r *RoomState) direct(c *Command, _ *Window) Outcome {
	if len(c.Users) != 1 || c.Users[0] == c.By {
		return refuse(Invalid("user_id", "must be another person"))
	}
	if r.Room.Kind != "" {
		return Outcome{Result: Result{ID: c.ID, Retry: true}}
	}
	r.Room = Room{ID: c.Room, Kind: RoomDirect, CreatedAt: c.At, CreatedBy: c.By, Members: []Member{
		{User: c.By, Role: RoleMember, JoinedAt: c.At},
		{User: c.Users[0], Role: RoleMember, JoinedAt: c.At},
	}}
	out := Outcome{Result: Result{ID: c.ID}, Changed: true, Marks: r.Room.UserIDs()}
	r.tellRoom(&out, r.Room.UserIDs())
	return out
}

// create makes a group; its first message says so.
func (r *RoomState) create(c *Command, _ *Window) Outcome {
	if r.Room.Kind != "" {
		return Outcome{Result: Result{ID: c.ID, Retry: true}} // the log said it twice
	}
	if p := checkMembers(c, nil); p != nil {
		return refuse(p)
	}
	r.Room = Room{ID: c.Room, Kind: RoomGroup, Name: c.Name, Topic: c.Topic, Avatar: c.Avatar, CreatedAt: c.At, CreatedBy: c.By, History: storedHistory(c.History),
		Members: []Member{{User: c.By, Role: RoleOwner, JoinedAt: c.At}}}
	for _, u := range c.Users {
		r.Room.Members = append(r.Room.Members, Member{User: u, Role: RoleMember, JoinedAt: c.At})
	}
	out := Outcome{Result: Result{ID: c.ID}, Changed: true, Marks: r.Room.UserIDs()}
	r.tellRoom(&out, r.Room.UserIDs())
	r.say(&out, c, System{Action: ActionCreated, Users: slices.Clone(c.Users), Name: c.Name})
	return out
}

// checkMembers checks people to add to a room of the present ones.
func checkMembers(c *Command, present []Member) *Problem {
	const field = "member_ids"
	total := max(len(present), 1) + len(c.Users) // the creator is one
	if total > MaxMembers {
		return &Problem{Kind: KindInvalid, Field: field, Detail: fmt.Sprintf("a room holds at most %d people", MaxMembers), Limit: MaxMembers}
	}
	for i, u := range c.Users {
		if slices.Contains(c.Users[:i], u) || len(present) == 0 && u == c.By {
			return Invalid(field, "must name each person once, and not yourself")
		}
	}
	return nil
}

// storedHistory is how a setting is kept: what holds by default is nothing.
func storedHistory(h HistoryVisible) HistoryVisible {
	if h == HistoryAll {
		return HistoryAll
	}
	return ""
}

// change sets the room's name, topic, avatar, or what its new members see.
func (r *RoomState) change(c *Command, _ *Window) Outcome {
	if _, p := r.officer(c); p != nil {
		return refuse(p)
	}
	var out Outcome
	said := []System{}
	if c.Fields&FieldName != 0 && c.Name != r.Room.Name {
		r.Room.Name = c.Name
		said = append(said, System{Action: ActionRenamed, Name: c.Name})
	}
	if c.Fields&FieldTopic != 0 && c.Topic != r.Room.Topic {
		r.Room.Topic = c.Topic
		said = append(said, System{Action: ActionTopic, Name: c.Topic})
	}
	if c.Fields&FieldAvatar != 0 && c.Avatar != r.Room.Avatar {
		r.Room.Avatar = c.Avatar
		said = append(said, System{Action: ActionAvatar})
	}
	if h := storedHistory(c.History); c.Fields&FieldHistory != 0 && h != r.Room.History {
		r.Room.History = h
		said = append(said, System{Action: ActionHistory, Name: string(r.Room.Shows())})
	}
	out.Result = Result{ID: c.ID, Retry: len(said) == 0}
	if len(said) == 0 {
		return out
	}
	out.Changed = true
	r.tellRoom(&out, r.Room.UserIDs())
	// One command is one message: several changes at once are told by the last,
	// for a message id is the command's and stands for one message only.
	r.say(&out, c, said[len(said)-1])
	return out
}

// close deletes the room for everybody.
func (r *RoomState) close(c *Command, _ *Window) Outcome {
	m, p := r.officer(c)
	if p != nil {
		return refuse(p)
	}
	if m.Role != RoleOwner {
		return refuse(Forbidden("only the owner may delete the room"))
	}
	everybody := r.Room.UserIDs()
	r.Room.Closed = true
	r.Room.Members = nil
	return Outcome{
		Result: Result{ID: c.ID}, Changed: true, Left: everybody,
		Events: []Addressed{{To: everybody, Event: Event{Type: EventRoomLeft, Room: r.Room.ID}}},
	}
}
