//go:build linux

package fault

import (
	"context"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/internal/lossfs"
)

var fullTraffic = traffic{people: 8, rate: 150, group: 4, bytes: 500}

// TestDiskFull: under 150 messages a second the disk runs full, once so fast that
// writes fail in the middle, once slowly enough for the node to stop in time. Sends
// are refused with unavailable, what was said can still be read, and when there is
// room again the node goes on by itself. Then nothing that was acknowledged is
// lost, and what was refused and sent again is there once.
func TestDiskFull(t *testing.T) {
	random := dice(t)
	node := startFragile(t, lossfs.Journaled)
	ann, bob := harness.SignUp(t, node.Node, "Ann"), harness.SignUp(t, node.Node, "Bob")
	room := ann.DirectWith(bob)
	said := ann.Online("", nil).Says(room, "while there is room")
	l := newLoad(t, node.Node, fullTraffic)
	l.jumbled = true
	l.begin(random)
	rounds := []struct {
		how  string
		free int64
	}{{"all at once", random.Int64N(128 << 10)}, {"slowly", 16 << 20}}
	for range long() {
		for _, round := range rounds {
			l.talk(random, 500*time.Millisecond, 1500*time.Millisecond)
			node.disk.SetFree(round.free)
			harness.WaitFor(t, "a send is refused with unavailable", func() bool {
				return client.CodeOf(post(ann, room)) == chat.KindUnavailable
			})
			began := time.Now()
			if err := post(ann, room); client.CodeOf(err) != chat.KindUnavailable {
				t.Errorf("on a full disk a send is answered with %v", err)
			}
			t.Logf("the disk is full (%s): refused in %s", round.how, time.Since(began).Round(time.Millisecond))
			// What fails in the middle of a write may be missing until the node starts
			// anew; a node that stopped in time has it all.
			problem := t.Errorf
			if round.free < 1<<20 {
				problem = t.Logf
			}
			page, err := bob.Messages(harness.Context(t), room, client.Span{Before: said.Seq + 1, Limit: 10})
			if err != nil || len(page.Messages) == 0 || page.Messages[len(page.Messages)-1].Text != "while there is room" {
				problem("reading on a full disk: %v", err)
			}
			if rooms, err := bob.Rooms(harness.Context(t)); err != nil || len(rooms) == 0 {
				problem("the rooms on a full disk: %v", err)
			}
			l.talk(random, 500*time.Millisecond, 1500*time.Millisecond)
			node.disk.SetFree(-1)
			began = time.Now()
			var refusal error
			harness.WaitUpTo(t, time.Minute, "a send is taken again", func() bool {
				err := post(ann, room)
				if err != nil && (refusal == nil || err.Error() != refusal.Error()) {
					t.Logf("there is room again, and a send is answered with %v", err)
					refusal = err
				}
				return err == nil
			})
			t.Logf("there is room again: the first send is taken after %s", time.Since(began).Round(time.Millisecond))
		}
	}
	l.talk(random, 500*time.Millisecond, 1500*time.Millisecond)
	l.kept(l.end())
}

// post sends one message, once.
func post(p *harness.Person, room chat.RoomID) error {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	_, err := p.Post(ctx, room, client.NewKey(), "is there room?")
	return err
}
