package jetstream

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"natter/chat"
)

// Who follows a queue, at any node, is told each entry once and in order, with what the
// stream has and where; nobody hears it twice because his node tells it.
func (c *three) whoFollowsIsToldOnce(t *testing.T) {
	const each = 40
	people := []chat.UserID{"told0", "told1", "told2", "told3"}
	type follower struct {
		u     chat.UserID
		heard chan *chat.Entry
		saw   map[string]bool
	}
	var followers []*follower
	for i := range c.at {
		for _, u := range people {
			f := &follower{u, make(chan *chat.Entry, 10_000), map[string]bool{}}
			stop, err := c.at[i].Load().Queues().Follow(u, func(e *chat.Entry) { f.heard <- e })
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			followers = append(followers, f)
		}
	}
	var rooms []chat.RoomID
	for n := range 2 * clusterPartitions {
		room := chat.RoomID(fmt.Sprint("gtold", n))
		rooms = append(rooms, room)
		c.do(n, chat.Command{Op: chat.OpCreate, Room: room, By: people[0], Name: "r", Users: people[1:]})
	}
	var saying sync.WaitGroup
	for i, room := range rooms {
		saying.Go(func() {
			for n := range each {
				c.say(i+n, room, people[n%len(people)], fmt.Sprint(room, " ", n))
			}
		})
	}
	saying.Wait()
	stored := map[chat.UserID]map[uint64][]string{} // what the queues hold, by sequence
	for _, u := range people {
		stored[u] = map[uint64][]string{}
		for at, more := (chat.Cursor{}), true; more; {
			batch, err := c.any(0).Queues().Read(t.Context(), u, at, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range batch.Entries {
				stored[u][e.Cursor.Seq], at = messagesOf(t, e.Events), e.Cursor
			}
			more = batch.More
		}
	}
	for i, f := range followers {
		var last uint64
		for looked := false; !looked && len(f.saw) < each*len(rooms); {
			e := next(t, f.heard)
			if e == nil { // its teller began with this one, or it doesn't know
				looked = last > 0
				continue
			}
			if e.Cursor.Seq <= last || e.Prev < last && last > 0 || !slices.Equal(messagesOf(t, e.Events), stored[f.u][e.Cursor.Seq]) {
				t.Fatalf("follower %d of %s was told %v at %d (after %d) behind %d; the queue has %v there", i, f.u, messagesOf(t, e.Events), e.Cursor.Seq, e.Prev, last, stored[f.u][e.Cursor.Seq])
			}
			for _, text := range messagesOf(t, e.Events) {
				f.saw[text] = true
			}
			last = e.Cursor.Seq
		}
		if last == 0 {
			t.Errorf("follower %d of %s was told nothing", i, f.u)
		}
	}
}
