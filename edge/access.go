package edge

import (
	"context"

	"natter/chat"
)

// noRoom is what a stranger gets, and what there is for an unknown room: the
// same bytes.
func noRoom() error { return chat.NotFound("room") }

// roomOf reads a room for one of its members; for anybody else there is none.
func (e *Edge) roomOf(ctx context.Context, u chat.UserID, id chat.RoomID) (*chat.Room, *chat.Member, *chat.Message, error) {
	r, last, err := e.History.Room(ctx, id)
	if chat.KindOf(err) == chat.KindNotFound {
		return nil, nil, nil, noRoom()
	}
	if err != nil {
		return nil, nil, nil, err
	}
	m := r.Member(u)
	if r.Closed || m == nil {
		return nil, nil, nil, noRoom()
	}
	return r, m, last, nil
}

// message reads one message a member may see.
func (e *Edge) message(ctx context.Context, id chat.RoomID, m *chat.Member, seq chat.Seq) (*chat.Message, error) {
	if seq <= m.Since {
		return nil, chat.NotFound("message")
	}
	page, err := e.History.Page(ctx, id, seq, seq)
	if err != nil {
		return nil, err
	}
	if len(page) == 0 || page[0].Seq != seq {
		return nil, chat.NotFound("message")
	}
	return &page[0], nil
}
