package chat_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"natter/chat"
)

// The properties of doc.go that the rules alone hold. world.apply checks every
// command of every story and of everything here: room order, read marks, who is
// told, that a refusal and a retry change nothing.

// byteCommand makes a command of 8 bytes: few people, rooms, ids and texts, so
// that random bytes meet each other often.
func (w *world) byteCommand(b [8]byte) *chat.Command {
	people := []chat.UserID{"ann", "bob", "cat", "dan", "eve"}
	rooms := []chat.RoomID{"g", "h", "d"}
	w.now += chat.Millis(b[0]) * 100
	c := w.command(people[int(b[1])%len(people)], chat.CommandOp(b[2]%17), rooms[int(b[3])%len(rooms)])
	for i := range people {
		if b[4]&(1<<i) != 0 {
			c.Users = append(c.Users, people[i])
		}
	}
	if b[4] >= 0xe0 && len(c.Users) > 0 {
		c.Users = append(c.Users, c.Users[0])
	}
	c.Seq = chat.Seq(b[5])
	if b[6]&7 == 0 {
		c.ReplyTo = c.Seq
	}
	c.ClientID = clientID(fmt.Sprint("c", b[5], b[6]%8), storyBegins)
	c.Text = []string{"hi", "", "hello", "a\xff", "1", "2", "3", "4"}[b[7]%8]
	c.Emoji = []string{"👍", "🎉", "no", "❤️"}[b[7]%4]
	c.Name, c.Topic, c.Fields = c.Text, c.Emoji, b[7]&7
	c.Role = []chat.Role{chat.RoleMember, chat.RoleAdmin, chat.RoleOwner}[b[6]%3]
	c.Flag = b[7]&1 == 0
	c.Mentions, c.Within = c.Users, chat.Millis(b[6]>>6)*5_000
	c.History, c.Fields = []chat.HistoryVisible{"", chat.HistoryAll, chat.HistoryJoined}[b[5]%3], c.Fields|b[5]&8
	return c
}

// told is a random log told to an empty world: every outcome, in order.
func told(t *testing.T, log []byte) (*world, []chat.Outcome) {
	t.Helper()
	w := newWorld()
	var outcomes []chat.Outcome
	for ; len(log) >= 8; log = log[8:] {
		c := w.byteCommand([8]byte(log))
		if c.Op == chat.OpTell {
			c.Room, c.Tell = "", &chat.Event{Type: chat.EventProfile, User: c.By}
			outcomes = append(outcomes, chat.Tell(c))
			continue
		}
		out, err := w.apply(c)
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, out)
		w.room(c.Room).TakePages()
	}
	return w, outcomes
}

// randomLog is n commands of a seed; its first ones make the rooms, so that
// the rest happens in them.
func randomLog(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 22))
	log := make([]byte, 8*n)
	for i := range log {
		log[i] = byte(random.Uint32())
	}
	copy(log, []byte{1, 0, byte(chat.OpCreate), 0, 0x0e, 0, 0, 0, 1, 1, byte(chat.OpCreate), 1, 0x11, 0, 0, 0, 1, 0, byte(chat.OpDirect), 2, 0x02, 0, 0, 0})
	// Most of what people do is talk; more come than go, and a room is closed late.
	for i := 3; i < n; i++ {
		switch op := &log[8*i+2]; {
		case *op&0x30 != 0 || *op%17 == byte(chat.OpClose) && i < n*9/10:
			*op = byte(chat.OpSend)
		case *op%17 == byte(chat.OpRemove) && *op&0xc0 != 0:
			*op = byte(chat.OpAdd)
		}
	}
	return log
}

// TestSameLogSameResult: what a projector does is decided by its log alone.
func TestSameLogSameResult(t *testing.T) {
	applied := 0
	for seed := range uint64(20) {
		log := randomLog(seed, 1000)
		one, first := told(t, log)
		two, second := told(t, log)
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("seed %d: told twice, it came to two things", seed)
		}
		if !reflect.DeepEqual(one.rooms, two.rooms) {
			t.Fatalf("seed %d: told twice, it left two states", seed)
		}
		for i := range first {
			if first[i].Refusal == nil {
				applied++
			}
		}
	}
	if applied < 6_000 {
		t.Errorf("only %d of 20,000 commands took effect: the logs say little", applied)
	}
}

// TestOutcomesAreTheirOwn: what comes later doesn't reach back into what a take
// has collected and not yet written.
func TestOutcomesAreTheirOwn(t *testing.T) {
	log := randomLog(7, 600)
	w := newWorld()
	var before []string
	var outcomes []chat.Outcome
	for rest := log; len(rest) >= 8; rest = rest[8:] {
		c := w.byteCommand([8]byte(rest))
		if c.Op == chat.OpTell {
			continue
		}
		out, err := w.apply(c)
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, out)
		before = append(before, deep(&out))
	}
	for i := range outcomes {
		if now := deep(&outcomes[i]); now != before[i] {
			t.Fatalf("outcome %d was\n  %s\nand became\n  %s", i, before[i], now)
		}
	}
}

// deep is an outcome as text, with what its pointers point to.
func deep(o *chat.Outcome) string {
	s := fmt.Sprintf("%+v %+v %v %v %v", o.Result, o.Messages, o.Changed, o.Marks, o.Left)
	for _, e := range o.Events {
		s += fmt.Sprintf(" | %v %s", e.To, e.Event.Type)
		if e.Event.Message != nil {
			s += fmt.Sprintf(" %+v", *e.Event.Message)
		}
		if e.Event.Snapshot != nil {
			s += fmt.Sprintf(" %+v", *e.Event.Snapshot)
		}
		if e.Event.Draft != nil {
			s += fmt.Sprintf(" %+v", *e.Event.Draft)
		}
	}
	return s
}

// TestRoomOrderSurvives: each member's queue holds the room's messages from
// their joining on, each seq once, in order.
func TestRoomOrderSurvives(t *testing.T) {
	for seed := range uint64(20) {
		_, outcomes := told(t, randomLog(seed, 1000))
		type place struct {
			u    chat.UserID
			room chat.RoomID
		}
		last := map[place]chat.Seq{}
		for _, out := range outcomes {
			for _, e := range out.Events {
				for _, u := range e.To {
					at := place{u, e.Event.Room}
					switch e.Event.Type {
					case chat.EventRoomLeft:
						delete(last, at)
					case chat.EventMessage:
						if before, ok := last[at]; ok && e.Event.Message.Seq != before+1 {
							t.Fatalf("seed %d: %s hears %d after %d in %s", seed, u, e.Event.Message.Seq, before, e.Event.Room)
						}
						last[at] = e.Event.Message.Seq
					}
				}
			}
		}
	}
}

// TestOneClientIDOneMessage: within the window, of one sender and room, every
// use of a client_id comes to the first one's id and seq.
func TestOneClientIDOneMessage(t *testing.T) {
	type key struct {
		room chat.RoomID
		by   chat.UserID
		id   chat.ClientID
	}
	random := rand.New(rand.NewPCG(3, 22))
	w := newWorld()
	for _, line := range []string{`ann create g "G" bob cat`, `bob create h "H" ann cat`} {
		if _, err := w.do(line); err != nil {
			t.Fatal(err)
		}
	}
	first := map[key]chat.Result{}
	retries := 0
	for range 2000 {
		c := w.command([]chat.UserID{"ann", "bob", "cat"}[random.IntN(3)], chat.OpSend, []chat.RoomID{"g", "h"}[random.IntN(2)])
		c.Text, c.ClientID = fmt.Sprint(c.ID), clientID(fmt.Sprint(random.IntN(400)), storyBegins)
		w.now += chat.Millis(random.IntN(50))
		out, err := w.apply(c)
		if err != nil || out.Refusal != nil {
			t.Fatal(err, out.Refusal)
		}
		k := key{c.Room, c.By, c.ClientID}
		before, known := first[k]
		if out.Result.Retry != known {
			t.Fatalf("%+v: retry %v, known %v", k, out.Result.Retry, known)
		}
		if known && (out.Result.ID != before.ID || out.Result.Seq != before.Seq || out.Result.At != before.At) {
			t.Fatalf("%+v came to %+v, first to %+v", k, out.Result, before)
		}
		if !known {
			first[k] = out.Result
		} else {
			retries++
		}
	}
	if retries < 200 {
		t.Errorf("only %d retries", retries)
	}
}

// TestStrangersLearnNothing: whatever a stranger asks of a room, the answer is
// the one for a room that isn't there.
func TestStrangersLearnNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 22))
	w := newWorld()
	for _, line := range []string{`ann create g "G" bob`, `ann send g "hi"`, `ann send g "there"`, `bob leave g`} {
		if _, err := w.do(line); err != nil {
			t.Fatal(err)
		}
	}
	for range 5000 {
		var b [8]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		c := w.byteCommand(b)
		if slices.Contains([]chat.CommandOp{chat.OpTell, chat.OpCreate, chat.OpDirect, 0}, c.Op) {
			continue // on no room, or on one that the edge names
		}
		c.By = []chat.UserID{"zoe", "bob"}[b[1]%2]
		c.Room = "g"
		here, err := w.apply(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Room = "nowhere"
		nowhere, err := w.apply(c)
		if err != nil {
			t.Fatal(err)
		}
		if here.Refusal == nil || !reflect.DeepEqual(here, nowhere) {
			t.Fatalf("%+v: %+v here, %+v nowhere", c, here.Refusal, nowhere.Refusal)
		}
	}
}

// FuzzRules: no log breaks what world.apply checks, and each comes to the same
// twice.
func FuzzRules(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(randomLog(seed, 40))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		if len(log) > 8*200 {
			return
		}
		_, first := told(t, log)
		_, second := told(t, log)
		if !reflect.DeepEqual(first, second) {
			t.Error("told twice, it came to two things")
		}
	})
}
