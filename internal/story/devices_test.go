package story

import (
	"fmt"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// TestThreeDevices: Ann has a phone and a laptop, Bob a phone. Unread counts
// and read marks are the same on both of Ann's devices; the laptop, closed for
// a while, catches up in order; and all of it outlives a crash.
func TestThreeDevices(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	laptop := ann.AnotherDevice("laptop")
	room := ann.DirectWith(bob)
	if same := bob.DirectWith(ann); same != room {
		t.Fatalf("Bob's room with Ann is %s, Ann's with Bob is %s", same, room)
	}
	start, err := laptop.Cursor(harness.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	annPhone, annLaptop, bobPhone := ann.Online("", nil), laptop.Online(start, nil), bob.Online("", nil)

	// Bob writes three; both of Ann's devices hear them, and Ann has three unread.
	var last client.Receipt
	for i := range 3 {
		last = bobPhone.Says(room, fmt.Sprintf("bob %d", i))
	}
	annPhone.HearsText(room, "bob 2")
	annLaptop.HearsText(room, "bob 2")
	unread(t, ann, room, 3)
	unread(t, laptop, room, 3)
	unread(t, bob, room, 0) // sending moves one's own mark

	// Ann reads two on the phone; the laptop is told.
	if err := annPhone.Read(harness.Context(t), room, last.Seq-1); err != nil {
		t.Fatal(err)
	}
	annLaptop.Hears("Ann's read mark", func(e *wire.Event) bool {
		return e.Type == chat.EventRead && e.RoomID == room && e.UserID == ann.ID() && e.Seq == last.Seq-1
	})
	bobPhone.Hears("Ann's read mark", func(e *wire.Event) bool {
		return e.Type == chat.EventRead && e.UserID == ann.ID() && e.Seq == last.Seq-1
	})
	unread(t, laptop, room, 1)

	// A read mark only moves forward.
	if err := annLaptop.Read(harness.Context(t), room, 1); err != nil {
		t.Fatal(err)
	}
	unread(t, ann, room, 1)

	// The laptop closes; life goes on; it catches up from its cursor.
	cursor := annLaptop.Cursor()
	annLaptop.Close()
	var want []string
	for i := range 30 {
		from, who := bobPhone, "bob"
		if i%2 == 1 {
			from, who = annPhone, "ann"
		}
		text := fmt.Sprintf("%s while away %d", who, i)
		from.Says(room, text)
		want = append(want, text)
	}
	back := laptop.Online(cursor, nil)
	equal(t, back.Texts(room), want)
	if back.Resets() > 0 {
		t.Error("a young cursor was not honoured")
	}
	unread(t, laptop, room, 0) // Ann's last message moved her mark

	// One more from Bob, and the node dies: counts and marks are as they were.
	bobPhone.Says(room, "before the crash")
	back.HearsText(room, "before the crash")
	unread(t, ann, room, 1)
	node.Kill()
	node.Start()
	node.WaitReady()
	unread(t, ann, room, 1)
	unread(t, bob, room, 0)
	bobPhone.Says(room, "after the crash")
	for _, ph := range []*harness.Phone{annPhone, back, bobPhone} {
		ph.HearsText(room, "after the crash")
		texts := ph.Texts(room)
		equal(t, texts[len(texts)-2:], []string{"before the crash", "after the crash"})
	}
	unread(t, ann, room, 2)
}

// TestPollingAndSocketAgree: the events of polling are those of the socket, from
// any place in the queue.
func TestPollingAndSocketAgree(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	start, err := bob.Cursor(harness.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	room := ann.GroupWith("a group", bob)
	phone := ann.Online("", nil)
	for i := range 25 {
		phone.Says(room, fmt.Sprint(i))
	}
	bobPhone := bob.Online(start, nil)
	bobPhone.HearsText(room, "24")
	socket := bobPhone.Events()

	var polled []wire.Event
	for cursor := start; ; {
		answer, err := bob.Sync(harness.Context(t), cursor, 7, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Events) > 7 {
			t.Errorf("%d events, asked for 7", len(answer.Events))
		}
		polled = append(polled, answer.Events...)
		cursor = answer.Cursor
		if !answer.More {
			break
		}
	}
	if len(polled) != len(socket) {
		t.Fatalf("%d events by polling, %d by socket", len(polled), len(socket))
	}
	for i := range polled {
		if got, want := string(wire.Marshal(polled[i])), string(wire.Marshal(socket[i])); got != want {
			t.Errorf("event %d\npolled %s\nsocket %s", i, got, want)
		}
	}
}

func unread(t *testing.T, p *harness.Person, room chat.RoomID, want uint64) {
	t.Helper()
	if got := p.Entry(room).Unread; got != want {
		t.Errorf("%s has %d unread, want %d", p.Username, got, want)
	}
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
