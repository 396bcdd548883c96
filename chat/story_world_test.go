package chat_test

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"natter/chat"
)

// storyBegins is the time of every story's first command.
var storyBegins = chat.MillisOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))

// world is a partition: rooms under the names a story gives them, one window,
// a clock that only the story moves, and ids that count from 1.
type world struct {
	now    chat.Millis
	lastID chat.MessageID
	window *chat.Window
	rooms  map[chat.RoomID]*chat.RoomState
	// read is each member's read mark as it was after the last command.
	read map[string]chat.Seq
	// ids are the ids of all messages, by room and seq.
	ids map[string]chat.MessageID
}

func newWorld() *world {
	return &world{now: storyBegins, window: chat.NewWindow(), rooms: map[chat.RoomID]*chat.RoomState{},
		read: map[string]chat.Seq{}, ids: map[string]chat.MessageID{}}
}

// room is the state of a room, made empty on first touch as a projector does.
func (w *world) room(id chat.RoomID) *chat.RoomState {
	r := w.rooms[id]
	if r == nil {
		r = chat.NewRoomState(nil, 0)
		r.Room.ID = id
		w.rooms[id] = r
	}
	return r
}

// command begins a command as the edge does: with its own id and the time.
func (w *world) command(by chat.UserID, op chat.CommandOp, room chat.RoomID) *chat.Command {
	w.lastID++
	return &chat.Command{ID: w.lastID, At: w.now, Op: op, Room: room, By: by}
}

// apply decides a command and holds the outcome to what is always true.
func (w *world) apply(c *chat.Command) (chat.Outcome, error) {
	r := w.room(c.Room)
	before := keep(r)
	out := r.Apply(c, w.window)
	return out, w.check(c, r, &out, &before)
}

// kept is what a room held before a command.
type kept struct {
	room   chat.Room
	last   chat.Seq
	lastAt chat.Millis
	tail   []chat.Message
}

func keep(r *chat.RoomState) kept {
	return kept{r.Room.Clone(), r.Last, r.LastAt, slices.Clone(r.Tail)}
}

// same tells whether the room is as it was. A changed message has other values
// or another slice of reactions.
func (k *kept) same(r *chat.RoomState) bool {
	members := slices.Equal(k.room.Members, r.Room.Members)
	before, now := k.room, r.Room
	before.Members, now.Members = nil, nil
	return members && k.last == r.Last && k.lastAt == r.LastAt && reflect.DeepEqual(before, now) &&
		slices.EqualFunc(k.tail, r.Tail, func(a, b chat.Message) bool {
			return a.ID == b.ID && a.Seq == b.Seq && a.Text == b.Text && slices.Equal(a.Mentions, b.Mentions) && a.EditedAt == b.EditedAt && a.DeletedAt == b.DeletedAt &&
				len(a.Reactions) == len(b.Reactions) && (len(a.Reactions) == 0 || &a.Reactions[0] == &b.Reactions[0])
		})
}

func (w *world) check(c *chat.Command, r *chat.RoomState, out *chat.Outcome, before *kept) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("after %+v: "+format, append([]any{*c}, args...)...)
	}
	if out.Refusal != nil {
		if !reflect.DeepEqual(*out, chat.Outcome{Refusal: out.Refusal}) {
			return fail("a refusal came with something else: %+v", *out)
		}
		if !before.same(r) {
			return fail("a refusal changed the room")
		}
		return nil
	}
	if out.Result.ID == 0 || out.Result.At == 0 {
		return fail("the result lacks an id or a time: %+v", out.Result)
	}
	if out.Result.Retry && (!before.same(r) || len(out.Events)+len(out.Messages)+len(out.Marks)+len(out.Left) > 0 || out.Changed || out.Draft != nil) {
		return fail("a retry changed something")
	}
	// Room order: new messages take the next seqs, and nothing else does.
	last := before.last
	for _, m := range out.Messages {
		key := fmt.Sprint(c.Room, m.Seq)
		if m.Seq == last+1 {
			last++
			w.ids[key] = m.ID
		} else if m.Seq > last || m.Seq == 0 {
			return fail("message %d comes after %d", m.Seq, last)
		}
		if m.ID != w.ids[key] {
			return fail("message %d has another id: %d, not %d", m.Seq, m.ID, w.ids[key])
		}
		if m.Room != c.Room {
			return fail("message %d is of %q", m.Seq, m.Room)
		}
		if err := checkMentions(r, &m); err != nil {
			return fail("message %d %w", m.Seq, err)
		}
	}
	if r.Last != last {
		return fail("the room's last seq is %d; its messages end at %d", r.Last, last)
	}
	for i, m := range r.Tail {
		if i > 0 && (m.Seq != r.Tail[i-1].Seq+1 || m.CreatedAt < r.Tail[i-1].CreatedAt) {
			return fail("the tail is out of order at %d", m.Seq)
		}
	}
	// Only who is in the room now, or has just left it, is told.
	told := append(before.room.UserIDs(), r.Room.UserIDs()...)
	for _, e := range out.Events {
		if len(e.To) == 0 {
			return fail("an event goes to nobody")
		}
		for i, u := range e.To {
			if !slices.Contains(told, u) {
				return fail("%s is told and not in the room", u)
			}
			if slices.Contains(e.To[:i], u) {
				return fail("%s is told twice", u)
			}
			m := r.Room.Member(u)
			if e.Event.Type != chat.EventRoomLeft && m == nil {
				return fail("%s has left and is told of a %s", u, e.Event.Type)
			}
			if e.Event.Message != nil && e.Event.Message.Seq <= m.Since {
				return fail("%s is told of message %d and may see what is after %d", u, e.Event.Message.Seq, m.Since)
			}
			if e.Event.Type == chat.EventDraft && (u != c.By || len(e.To) > 1) {
				return fail("%s is told of %s's draft", u, c.By)
			}
		}
	}
	return w.checkMembers(c, r, out, fail)
}

// checkMentions: a message that is new or edited names members, each once.
func checkMentions(r *chat.RoomState, m *chat.Message) error {
	if len(m.Mentions) > chat.MaxMentions || len(m.Mentions) > 0 && (m.DeletedAt != 0 || m.Kind != chat.KindText) {
		return fmt.Errorf("mentions %d", len(m.Mentions))
	}
	for i, u := range m.Mentions {
		if u == m.Sender || slices.Contains(m.Mentions[:i], u) {
			return fmt.Errorf("mentions %s", u)
		}
	}
	return nil
}

func (w *world) checkMembers(c *chat.Command, r *chat.RoomState, out *chat.Outcome, fail func(string, ...any) error) error {
	owners := 0
	for i, m := range r.Room.Members {
		for _, other := range r.Room.Members[:i] {
			if m.User == other.User {
				return fail("%s is in the room twice", m.User)
			}
		}
		if m.Role == chat.RoleOwner {
			owners++
		}
		key := string(c.Room) + " " + string(m.User)
		if m.Read < m.ReadFrom() {
			return fail("%s joined after %d and has read %d", m.User, m.ReadFrom(), m.Read)
		}
		if m.Read < w.read[key] || m.Read > r.Last {
			return fail("%s's read mark went from %d to %d, of %d", m.User, w.read[key], m.Read, r.Last)
		}
		if m.Read != w.read[key] && !slices.Contains(out.Marks, m.User) {
			return fail("%s's read mark moved and isn't in Marks", m.User)
		}
		w.read[key] = m.Read
	}
	if n := len(r.Room.Members); n > chat.MaxMembers || n == 0 && r.Exists() {
		return fail("the room has %d members", n)
	}
	if r.Room.Kind == chat.RoomGroup && r.Exists() && owners != 1 {
		return fail("the group has %d owners", owners)
	}
	return nil
}
