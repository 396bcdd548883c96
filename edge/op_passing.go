package edge

import (
	"slices"

	"natter/chat"
	"natter/wire"
)

// onPing proves life.
func (s *session) onPing(_ *wire.Ping, ref string) error {
	s.put(wire.Encode(&wire.Pong{Ref: ref, ServerTime: wire.TimeOf(s.e.Now())}))
	return nil
}

// onTyping tells the others in the room. Nobody answers, and a stranger's is
// refused as any other request on that room.
func (s *session) onTyping(f *wire.Typing, ref string) error {
	room, err := chat.ParseID[chat.RoomID]("room_id", f.RoomID)
	if err != nil {
		return err
	}
	return s.jobs.add(func() {
		members, err := s.e.members.of(s.life, room)
		if err == nil && !slices.Contains(members, s.who.User) {
			err = noRoom()
		}
		if err == nil {
			err = s.e.bar(room, s.who.User)
		}
		if err != nil {
			s.refuse(ref, err)
			return
		}
		others := slices.DeleteFunc(slices.Clone(members), func(u chat.UserID) bool { return u == s.who.User })
		s.publish(others, &wire.TypingFrame{RoomID: room, UserID: s.who.User})
	})
}

// onStatus says whether the person is at this device.
func (s *session) onStatus(f *wire.SetStatus, ref string) error {
	if f.Status != wire.Online && f.Status != wire.Away {
		return chat.Invalid("status", "must be online or away")
	}
	s.e.roster.setStatus(s, f.Status)
	s.put(wire.Encode(&wire.OK{Ref: ref}))
	return nil
}

// onWatch replaces whose presence is pushed to this socket. Those one may not
// look at are taken silently, and never heard of.
func (s *session) onWatch(f *wire.Watch, ref string) error {
	if len(f.UserIDs) > chat.MaxWatch {
		return &chat.Problem{Kind: chat.KindInvalid, Field: "user_ids", Detail: "must be at most 200 people", Limit: chat.MaxWatch}
	}
	users, err := parseUsers("user_ids", f.UserIDs)
	if err != nil {
		return err
	}
	return s.jobs.add(func() {
		people, err := s.e.view(s.life, s.who.User, users)
		if err != nil {
			s.refuse(ref, err)
			return
		}
		now := s.e.roster.watch(s.life, s, people)
		s.put(wire.Encode(&wire.OK{Ref: ref}))
		for _, p := range now {
			s.pass(presenceFrame(p))
		}
	})
}

// parseUsers reads ids; one that stands twice counts once.
func parseUsers(field string, ids []string) ([]chat.UserID, error) {
	users := make([]chat.UserID, 0, len(ids))
	for _, id := range ids {
		u, err := chat.ParseID[chat.UserID](field, id)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	slices.Sort(users)
	return slices.Compact(users), nil
}
