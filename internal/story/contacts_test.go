package story

import (
	"fmt"
	"slices"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// hearsContact waits until the device's newest news of who is that state.
func hearsContact(t *testing.T, ph *harness.Phone, who *harness.Person, state chat.ContactState) {
	t.Helper()
	harness.WaitFor(t, fmt.Sprintf("hears that %s is %s", who.Username, state), func() bool {
		for _, e := range slices.Backward(ph.Events()) {
			if e.Type == chat.EventContact && e.Contact.User.ID == who.ID() {
				return e.Contact.State == state
			}
		}
		return false
	})
}

// contactsOf are a person's, by username and state.
func contactsOf(t *testing.T, p *harness.Person) map[string]chat.ContactState {
	t.Helper()
	list, err := p.Contacts(harness.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]chat.ContactState{}
	for _, c := range list {
		found[c.User.Username] = c.State
	}
	return found
}

func does(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func adds(t *testing.T, p, other *harness.Person) {
	t.Helper()
	_, err := p.AddContact(harness.Context(t), other.ID())
	does(t, err)
}

// TestFriendsAndStrangers: Ann has a phone and a laptop, Bob and Eve a phone each.
// Ann and Bob become friends; Eve asks Ann, is blocked, and can't reach her; all
// of it is there after a crash, on a device that was away too, and Ann lifts the
// block.
func TestFriendsAndStrangers(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob, eve := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob"), harness.SignUp(t, node, "Eve")
	laptop := ann.AnotherDevice("laptop")
	place, err := laptop.Cursor(harness.Context(t))
	does(t, err)
	annPhone, bobPhone, evePhone := ann.Online("", nil), bob.Online("", nil), eve.Online("", nil)

	// Bob asks; Ann hears it on the phone, and accepts on the laptop.
	adds(t, bob, ann)
	hearsContact(t, annPhone, bob, chat.ContactIncoming)
	adds(t, laptop, bob)
	hearsContact(t, annPhone, bob, chat.ContactFriend)
	hearsContact(t, bobPhone, ann, chat.ContactFriend)

	// Eve writes to Ann and asks; Ann blocks her, and Eve hears nothing of it.
	room := eve.DirectWith(ann)
	evePhone.Says(room, "hello")
	annPhone.HearsText(room, "hello")
	adds(t, eve, ann)
	hearsContact(t, annPhone, eve, chat.ContactIncoming)
	hearsContact(t, evePhone, ann, chat.ContactOutgoing)
	does(t, ann.Block(harness.Context(t), eve.ID()))
	hearsContact(t, annPhone, eve, chat.ContactNone)
	annPhone.Hears("her block of Eve", func(e *wire.Event) bool {
		return e.Type == chat.EventBlock && e.UserID == eve.ID() && e.Blocked != nil && *e.Blocked
	})

	check := func(when string) {
		t.Helper()
		if got := contactsOf(t, ann); len(got) != 1 || got[bob.Username] != chat.ContactFriend {
			t.Errorf("%s: Ann's contacts are %v", when, got)
		}
		if got := contactsOf(t, eve); len(got) != 1 || got[ann.Username] != chat.ContactOutgoing {
			t.Errorf("%s: Eve's contacts are %v", when, got)
		}
		blocks, err := ann.Blocks(harness.Context(t))
		if err != nil || len(blocks) != 1 || blocks[0].User.ID != eve.ID() {
			t.Errorf("%s: Ann blocks %v, %v", when, blocks, err)
		}
		if _, err := eve.Post(harness.Context(t), room, client.NewKey(), "let me in"); client.CodeOf(err) != chat.KindForbidden {
			t.Errorf("%s: Eve writes: %v", when, err)
		}
		if _, err := ann.Post(harness.Context(t), room, client.NewKey(), "no"); client.CodeOf(err) != chat.KindConflict {
			t.Errorf("%s: Ann writes: %v", when, err)
		}
		if _, err := eve.Direct(harness.Context(t), ann.ID()); client.CodeOf(err) != chat.KindNotFound {
			t.Errorf("%s: Eve looks for the room: %v", when, err)
		}
		seen, err := eve.Presence(harness.Context(t), ann.ID())
		if err != nil || len(seen) != 1 || seen[0].Status != wire.Offline || seen[0].LastSeen != 0 {
			t.Errorf("%s: Eve sees Ann as %v, %v", when, seen, err)
		}
		seen, err = bob.Presence(harness.Context(t), ann.ID())
		if err != nil || len(seen) != 1 || seen[0].Status != wire.Online {
			t.Errorf("%s: Bob sees Ann as %v, %v", when, seen, err)
		}
	}
	check("before")
	node.Kill()
	node.Start()
	node.WaitReady()
	does(t, annPhone.WaitLive(harness.Context(t)), evePhone.WaitLive(harness.Context(t)))
	check("after a crash")

	// The laptop was away all the time, and hears it all in order.
	annLaptop := laptop.Online(place, nil)
	hearsContact(t, annLaptop, bob, chat.ContactFriend)
	hearsContact(t, annLaptop, eve, chat.ContactNone)

	// Ann lifts the block: what Eve asked is there, and she may write.
	does(t, laptop.Unblock(harness.Context(t), eve.ID()))
	hearsContact(t, annPhone, eve, chat.ContactIncoming)
	hearsContact(t, annLaptop, eve, chat.ContactIncoming)
	evePhone.Says(room, "at last")
	annPhone.HearsText(room, "at last")
	does(t, ann.RemoveContact(harness.Context(t), eve.ID()))
	hearsContact(t, evePhone, ann, chat.ContactNone)
	for _, e := range evePhone.Events() {
		if e.Type == chat.EventBlock || e.Type == chat.EventContact && e.Contact.User.ID != ann.ID() {
			t.Errorf("Eve is told %s", wire.Marshal(e))
		}
	}
}
