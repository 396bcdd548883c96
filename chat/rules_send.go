package chat

// send appends a text message. The same sender, room and client_id is the same
// message for ever: within the window the first one's answer is given again.
func (r *RoomState) send(c *Command, w *Window) Outcome {
	if _, p := r.member(c); p != nil {
		return refuse(p)
	}
	if first, ok := w.find(c); ok {
		first.Retry = true
		return Outcome{Result: first}
	}
	if c.ReplyTo > r.Last {
		return refuse(Invalid("reply_to", "is not a message of this room"))
	}
	if err := CheckText("text", c.Text); err != nil {
		return refuse(ProblemOf(err))
	}
	var out Outcome
	m := r.message(c, KindText)
	m.ClientID, m.Text, m.ReplyTo, m.Mentions = c.ClientID, c.Text, c.ReplyTo, r.mentioned(c)
	r.append(&out, m)
	w.add(c, out.Result)
	return out
}

// read moves the member's read mark, forward only. The person's other devices
// hear of it, and the room unless it is larger than MaxReadTold.
func (r *RoomState) read(c *Command, _ *Window) Outcome {
	m, p := r.member(c)
	if p != nil {
		return refuse(p)
	}
	if c.Seq > r.Last {
		return refuse(Invalid("seq", "is beyond the room's last message"))
	}
	if c.Seq <= m.Read {
		return Outcome{Result: Result{ID: c.ID, Seq: m.Read, Retry: true}}
	}
	m.Read = c.Seq
	to := []UserID{c.By}
	if len(r.Room.Members) <= MaxReadTold {
		to = r.Room.UserIDs()
	}
	return Outcome{
		Result: Result{ID: c.ID, Seq: c.Seq},
		Events: []Addressed{{To: to, Event: Event{Type: EventRead, Room: r.Room.ID, User: c.By, Seq: c.Seq}}},
		Marks:  []UserID{c.By},
	}
}

// mute sets whether the room may call for the person's attention.
func (r *RoomState) mute(c *Command, _ *Window) Outcome {
	m, p := r.member(c)
	if p != nil {
		return refuse(p)
	}
	if m.Muted == c.Flag {
		return Outcome{Result: Result{ID: c.ID, Retry: true}}
	}
	m.Muted = c.Flag
	out := Outcome{Result: Result{ID: c.ID}, Marks: []UserID{c.By}}
	r.tellRoom(&out, []UserID{c.By})
	return out
}
