package story

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
)

// TestOneClientIDOneMessage: the same client_id is the same message: asked
// again at once, over another transport, after a reconnect, after a crash; and
// just so when its own time lies so far back that the server's memory no longer
// covers it.
func TestOneClientIDOneMessage(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	room := ann.DirectWith(bob)
	phone, other := ann.Online("", nil), bob.Online("", nil)
	ages := map[string]time.Duration{"young": 0, "three minutes": 3 * time.Minute, "eight days": 8 * 24 * time.Hour}
	keys, first := map[string]client.Outgoing{}, map[string]client.Receipt{}
	for name, age := range ages {
		m := client.Outgoing{Room: room, Text: name, ClientID: chat.NewClientID(time.Now().Add(-age), [10]byte{1, byte(age >> 32), byte(age >> 40)})}
		r, err := phone.SendWait(harness.Context(t), m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		keys[name], first[name] = m, r
	}
	again := func(when string) {
		t.Helper()
		for name, m := range keys {
			r, err := phone.SendWait(harness.Context(t), m)
			if err != nil || r.ID != first[name].ID || r.Seq != first[name].Seq || r.At != first[name].At {
				t.Errorf("%s, sent again %s: %+v, %v; was %+v", name, when, r, err, first[name])
			}
			posted, err := ann.Post(harness.Context(t), room, m.ClientID, m.Text)
			if err != nil || chat.MessageID(posted.ID) != first[name].ID || posted.Seq != first[name].Seq {
				t.Errorf("%s, posted again %s: %+v, %v; was %+v", name, when, posted, err, first[name])
			}
		}
	}
	again("at once")
	phone.Close()
	phone = ann.Online("", nil)
	again("after a reconnect")
	node.Kill()
	node.Start()
	node.WaitReady()
	again("after a crash")
	node.Stop()
	node.Start()
	node.WaitReady()
	again("after a restart")

	// Another text under the same key doesn't change the message.
	m := keys["young"]
	m.Text = "something else"
	if r, err := phone.SendWait(harness.Context(t), m); err != nil || r.ID != first["young"].ID {
		t.Errorf("another text: %+v, %v", r, err)
	}
	// Another sender's same client_id is another message.
	if r, err := other.SendWait(harness.Context(t), client.Outgoing{Room: room, ClientID: m.ClientID, Text: "bob's own"}); err != nil || r.ID == first["young"].ID {
		t.Errorf("Bob's message: %+v, %v", r, err)
	}

	phone.Says(room, "the end") // behind it nothing more can come
	other.HearsText(room, "the end")
	count := map[string]int{}
	for _, text := range other.Texts(room) {
		count[text]++
	}
	page, err := bob.Messages(harness.Context(t), room, client.Span{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]int{}
	for _, m := range page.Messages {
		stored[m.Text]++
	}
	for _, name := range []string{"young", "three minutes", "eight days", "bob's own", "the end"} {
		if count[name] != 1 || stored[name] != 1 {
			t.Errorf("%q was told %d times and stored %d times", name, count[name], stored[name])
		}
	}
	if count["something else"]+stored["something else"] > 0 {
		t.Error("a retry's text was taken")
	}
}

// TestManyAtOnce: one client_id sent by several connections at the same moment
// is one message, with one answer.
func TestManyAtOnce(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	room := ann.DirectWith(bob)
	other := bob.Online("", nil)
	for round := range 20 {
		key, text := client.NewKey(), fmt.Sprintf("round %d", round)
		var all sync.WaitGroup
		ids := make([]chat.MessageID, 6)
		for i := range ids {
			all.Go(func() {
				m, err := ann.Post(harness.Context(t), room, key, text)
				if err != nil {
					t.Errorf("post %d: %v", i, err)
					return
				}
				ids[i] = chat.MessageID(m.ID)
			})
		}
		all.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("round %d was answered with %v", round, ids)
			}
		}
	}
	ann.Online("", nil).Says(room, "the end")
	other.HearsText(room, "the end")
	if texts := other.Texts(room); len(texts) != 21 {
		t.Errorf("Bob was told %q", texts)
	}
}

// TestClockAhead: a key from the future is refused with the server's time.
func TestClockAhead(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	room := ann.DirectWith(bob)
	ahead := chat.NewClientID(time.Now().Add(chat.MaxClockAhead+time.Minute), [10]byte{9})
	if _, err := ann.Post(harness.Context(t), room, ahead, "from tomorrow"); client.CodeOf(err) != chat.KindClockAhead {
		t.Errorf("posting: %v", err)
	}
	if _, err := ann.Online("", nil).SendWait(harness.Context(t), client.Outgoing{Room: room, ClientID: ahead, Text: "from tomorrow"}); client.CodeOf(err) != chat.KindClockAhead {
		t.Errorf("sending: %v", err)
	}
}
