package chat

import "slices"

// add brings people in. They see what is said from now on, or everything if the
// room says so; what was said before isn't unread to them.
func (r *RoomState) add(c *Command, _ *Window) Outcome {
	if _, p := r.officer(c); p != nil {
		return refuse(p)
	}
	newcomers := []UserID{}
	for _, u := range c.Users {
		if r.Room.Member(u) == nil {
			newcomers = append(newcomers, u)
		}
	}
	if len(newcomers) == 0 {
		return Outcome{Result: Result{ID: c.ID, Retry: true}}
	}
	adding := *c
	adding.Users = newcomers
	if p := checkMembers(&adding, r.Room.Members); p != nil {
		return refuse(p)
	}
	before := r.Room.UserIDs()
	for _, u := range newcomers {
		m := Member{User: u, Role: RoleMember, JoinedAt: c.At, Since: r.Last, Read: r.Last}
		if r.Room.Shows() == HistoryAll {
			m.Since, m.Joined = 0, r.Last
		}
		r.Room.Members = append(r.Room.Members, m)
	}
	out := Outcome{Changed: true, Marks: slices.Clone(newcomers)}
	r.tellRoom(&out, newcomers)
	for _, u := range newcomers {
		r.tellMember(&out, before, u, ChangeJoined, RoleMember)
	}
	r.say(&out, c, System{Action: ActionJoined, Users: newcomers})
	return out
}

// remove takes one person out: oneself is leaving, another is for officers. An
// owner who leaves is followed by the longest-standing admin, else member; the
// last to leave closes the room.
func (r *RoomState) remove(c *Command, _ *Window) Outcome {
	m, p := r.member(c)
	if p != nil {
		return refuse(p)
	}
	if r.Room.Kind == RoomDirect {
		return refuse(Forbidden("nobody leaves a direct room"))
	}
	if len(c.Users) != 1 {
		return refuse(Invalid("user_id", "must be one person"))
	}
	target := c.Users[0]
	leaving := r.Room.Member(target)
	action := System{Action: ActionLeft, Users: []UserID{target}}
	if target != c.By {
		switch {
		case m.Role == RoleMember:
			return refuse(Forbidden("only an owner or an admin may remove people"))
		case leaving == nil:
			return refuse(NotFound("member"))
		case leaving.Role == RoleOwner || m.Role == RoleAdmin && leaving.Role == RoleAdmin:
			return refuse(Forbidden("only the owner may remove an admin, and nobody the owner"))
		}
		action.Action = ActionRemoved
	}
	wasOwner := leaving.Role == RoleOwner
	r.Room.Members = slices.DeleteFunc(r.Room.Members, func(m Member) bool { return m.User == target })
	out := Outcome{Result: Result{ID: c.ID}, Changed: true, Left: []UserID{target}}
	out.Events = append(out.Events, Addressed{To: []UserID{target}, Event: Event{Type: EventRoomLeft, Room: r.Room.ID}})
	if len(r.Room.Members) == 0 {
		r.Room.Closed = true
		return out
	}
	rest := r.Room.UserIDs()
	r.tellMember(&out, rest, target, ChangeLeft, "")
	if wasOwner {
		heir := r.heir()
		heir.Role = RoleOwner
		r.tellMember(&out, rest, heir.User, ChangeRole, RoleOwner)
	}
	r.say(&out, c, action)
	return out
}

// heir is who follows the owner: the first admin in order of joining, else the
// first member.
func (r *RoomState) heir() *Member {
	for i := range r.Room.Members {
		if r.Room.Members[i].Role == RoleAdmin {
			return &r.Room.Members[i]
		}
	}
	return &r.Room.Members[0]
}

// role gives a member another role. Making another the owner hands the room
// over: there is one owner.
func (r *RoomState) role(c *Command, _ *Window) Outcome {
	m, p := r.officer(c)
	if p != nil {
		return refuse(p)
	}
	if m.Role != RoleOwner {
		return refuse(Forbidden("only the owner gives roles"))
	}
	if len(c.Users) != 1 {
		return refuse(Invalid("user_id", "must be one person"))
	}
	target := r.Room.Member(c.Users[0])
	switch {
	case target == nil:
		return refuse(NotFound("member"))
	case target.Role == c.Role:
		return Outcome{Result: Result{ID: c.ID, Retry: true}}
	case target.User == c.By:
		return refuse(Forbidden("the owner hands the room over by making another the owner"))
	}
	out := Outcome{Changed: true}
	everybody := r.Room.UserIDs()
	target.Role = c.Role
	if c.Role == RoleOwner {
		m.Role = RoleAdmin
		r.tellMember(&out, everybody, m.User, ChangeRole, RoleAdmin)
	}
	r.tellMember(&out, everybody, target.User, ChangeRole, c.Role)
	r.say(&out, c, System{Action: ActionRole, Users: []UserID{target.User}, Role: c.Role})
	return out
}
