package edge

import (
	"context"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// What a block between two people stops is stopped here, before a command is
// committed: the rules of a room know nothing of blocks. A message that is on its
// way to the log while the other one blocks still arrives, as if it had been sent
// a moment earlier. Groups are untouched.

// stoppable are the commands that put something new before the other one of a
// direct room. Taking back (a message, a reaction) stays allowed; a read mark
// moves and is told to nobody else.
var stoppable = map[chat.CommandOp]bool{chat.OpSend: true, chat.OpEdit: true, chat.OpReact: true}

// bar is why u may put nothing new into room; nil if no block is in the way.
func (e *Edge) bar(room chat.RoomID, u chat.UserID) error {
	if p := e.Contacts.Bar(room, u); p != nil {
		return p
	}
	return nil
}

// stopped tells, from memory, whether a block is in c's way.
func (e *Edge) stopped(c *chat.Command) bool {
	return stoppable[c.Op] && e.Contacts.Bar(c.Room, c.By) != nil
}

// stop is the refusal of a command that is stopped. A room that was never made
// isn't there, block or not.
func (e *Edge) stop(ctx context.Context, c *chat.Command) error {
	if _, _, _, err := e.roomOf(ctx, c.By, c.Room); err != nil {
		return err
	}
	return e.bar(c.Room, c.By)
}

// asking is what a socket asks before it commits c; nil if there is nothing to ask.
func (e *Edge) asking(c *chat.Command) func(context.Context) (bool, error) {
	if !e.stopped(c) {
		return nil
	}
	return func(ctx context.Context) (bool, error) { return false, e.stop(ctx, c) }
}

// barredDirect answers who wants the direct room with a person of whom a block
// makes a stranger. Who has blocked finds the room that is there; to who is
// blocked there is no such person.
func (e *Edge) barredDirect(ctx context.Context, who auth.Identity, other chat.UserID) (*made[wire.Room], error) {
	p, _ := e.Contacts.Pair(who.User, other)
	if p.BlockedBy(who.User) == 0 {
		return nil, noUser()
	}
	room, _, _, err := e.roomOf(ctx, who.User, chat.DirectRoomID(who.User, other))
	switch {
	case err == nil:
		return created(e.wireRoom(who.User, room), true), nil
	case chat.KindOf(err) != chat.KindNotFound:
		return nil, err
	}
	bar := *p.Bar(who.User)
	bar.Field = "user_id"
	return nil, &bar
}

// untold takes out of a room's members how far the other one has read, while a
// block is between them.
func (e *Edge) untold(viewer chat.UserID, room chat.RoomID, members []wire.Member) []wire.Member {
	if e.Contacts.Bar(room, viewer) == nil {
		return members
	}
	for i := range members {
		if members[i].User.ID != viewer {
			members[i].ReadSeq = 0
		}
	}
	return members
}

// strangers tells whether a block makes two people strangers.
func (e *Edge) strangers(a, b chat.UserID) bool {
	p, _ := e.Contacts.Pair(a, b)
	return p.Barred()
}
