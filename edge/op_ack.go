package edge

import (
	"strings"

	"natter/chat"
	"natter/wire"
)

// maxDelivering bounds the messages of direct rooms a session remembers until
// its device has them. Beyond, the oldest are forgotten: their "delivered" is
// said by a later one of the same room.
const maxDelivering = 128

// direct is whom to tell that a message of a direct room is on a device.
type direct struct {
	room chat.RoomID
	to   chat.UserID
	seq  chat.Seq
}

// directOf is ev's, if it is a new message of a direct room from the other one.
func directOf(me chat.UserID, ev *chat.Event) direct {
	m := ev.Message
	if ev.Type != chat.EventMessage || m == nil || m.Sender == me || !strings.HasPrefix(string(ev.Room), "d") {
		return direct{}
	}
	if chat.DirectRoomID(me, m.Sender) != ev.Room {
		return direct{}
	}
	return direct{ev.Room, m.Sender, m.Seq}
}

func (s *session) delivering(at chat.Cursor, d direct) {
	if d.seq == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliveringLocked(at, d)
}

func (s *session) deliveringLocked(at chat.Cursor, d direct) {
	if len(s.underWay) >= maxDelivering {
		s.underWay = append(s.underWay[:0], s.underWay[1:]...)
	}
	s.underWay = append(s.underWay, placed{cursor: at, direct: d})
}

// onAck says that the device has what its cursor covers: a later hello without a
// cursor goes on from there, and senders of direct rooms hear "delivered".
func (s *session) onAck(f *wire.Ack, _ string) error {
	cursor, err := chat.ParseCursor(f.Cursor, s.who.User)
	if err != nil {
		return err
	}
	if s.e.Cursors != nil {
		s.e.Cursors.Put(s.who.User, s.who.Device, cursor)
	}
	newest := map[direct]chat.Seq{} // by room and person; seq 0 in the key
	s.mu.Lock()
	n := 0
	for ; n < len(s.underWay) && !cursor.Before(s.underWay[n].cursor); n++ {
		d := s.underWay[n].direct
		newest[direct{room: d.room, to: d.to}] = d.seq
	}
	s.underWay = s.underWay[n:]
	if len(s.underWay) == 0 {
		s.underWay = nil
	}
	s.mu.Unlock()
	for d, seq := range newest {
		if s.e.bar(d.room, s.who.User) != nil {
			continue
		}
		s.publish([]chat.UserID{d.to}, &wire.Delivered{RoomID: d.room, UserID: s.who.User, Seq: seq})
	}
	return nil
}

// publish sends passing news; losing them is no failure.
func (s *session) publish(to []chat.UserID, f wire.Frame) {
	if err := s.e.News.Publish(to, wire.Encode(f)); err != nil {
		s.e.Logger.Debug("news were not published", "err", err)
	}
}
