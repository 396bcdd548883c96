package edge

import (
	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// The shapes of the wire made of what chat and auth know. None of these wait.

func wireUser(u auth.User) wire.User {
	return wire.User{ID: u.ID, Username: u.Username, Name: u.Name, About: u.About, AvatarID: u.Avatar}
}

// user is a person by id. One whose account this node has not seen yet is only
// an id; who shows it looks again.
func (e *Edge) user(id chat.UserID) wire.User {
	u, ok := e.Auth.User(id)
	if !ok {
		return wire.User{ID: id}
	}
	return wireUser(u)
}

func wireMe(p auth.Profile) wire.Me {
	return wire.Me{
		User: wireUser(p.User), Locale: p.Locale, TimeZone: p.TimeZone,
		PresenceVisibility: p.Visibility, Settings: p.Settings, CreatedAt: wire.Time(p.CreatedAt),
	}
}

// wireMessage is m of a room; what is read from a store may not know its room.
func wireMessage(room chat.RoomID, m *chat.Message) wire.Message {
	w := wire.Message{
		ID: wire.MessageID(m.ID), RoomID: room, Seq: m.Seq, Kind: m.Kind, SenderID: m.Sender,
		ClientID: wire.ClientID(m.ClientID), Text: m.Text, ReplyTo: m.ReplyTo, Mentions: m.Mentions,
		EditedAt: wire.Time(m.EditedAt), DeletedAt: wire.Time(m.DeletedAt), CreatedAt: wire.Time(m.CreatedAt),
	}
	if m.System != nil {
		w.System = &wire.System{Action: m.System.Action, UserIDs: m.System.Users, Name: m.System.Name, Role: m.System.Role}
	}
	for _, r := range m.Reactions {
		w.Reactions = append(w.Reactions, wire.Reaction{Emoji: r.Emoji, UserIDs: r.Users})
	}
	return w
}

func wireMessages(room chat.RoomID, all []chat.Message) []wire.Message {
	list := make([]wire.Message, len(all))
	for i := range all {
		list[i] = wireMessage(room, &all[i])
	}
	return list
}

// wireRoom is r as viewer sees it; without members if it is too large to show
// them all at once.
func (e *Edge) wireRoom(viewer chat.UserID, r *chat.Room) wire.Room {
	w := wire.Room{
		ID: r.ID, Kind: r.Kind, Name: r.Name, Topic: r.Topic, AvatarID: r.Avatar,
		MemberCount: len(r.Members), CreatedAt: wire.Time(r.CreatedAt), History: r.Shows(),
	}
	if m := r.Member(viewer); m != nil {
		w.Role = m.Role
	}
	if len(r.Members) <= chat.MemberPreview {
		w.Members = e.wireMembers(r.Members)
	}
	return w
}

func (e *Edge) wireMembers(members []chat.Member) []wire.Member {
	list := make([]wire.Member, len(members))
	for i, m := range members {
		list[i] = wire.Member{User: e.user(m.User), Role: m.Role, JoinedAt: wire.Time(m.JoinedAt), ReadSeq: m.Read}
	}
	return list
}

// wireEntry is r in the list of one of its members.
func (e *Edge) wireEntry(me *chat.Member, r *chat.Room, last *chat.Message) wire.RoomEntry {
	entry := wire.RoomEntry{Room: e.wireRoom(me.User, r), ReadSeq: me.Read, Muted: me.Muted}
	if last == nil {
		return entry
	}
	entry.LastSeq = last.Seq
	if seen := max(me.Read, me.Since); last.Seq > seen {
		entry.Unread = uint64(last.Seq - seen)
	}
	if last.Seq > me.Since {
		m := wireMessage(r.ID, last)
		entry.LastMessage = &m
	}
	return entry
}
