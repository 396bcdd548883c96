package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/chat"
)

// Rosters are those of nodes a and b, and what happens to b.
type Rosters struct {
	A, B chat.Roster
	// Die ends b's lease without a word, Revive has it back.
	Die, Revive func()
}

// RosterSuite holds a chat.Roster to its contract. open makes the rosters of two
// nodes that know nobody, and cleans up after itself through t.Cleanup.
func RosterSuite(t *testing.T, open func(t *testing.T) Rosters) {
	r := open(t)
	fold := &fold{live: map[string]string{}, placed: map[string]chat.RosterChange{}, changed: make(chan struct{}, 1), do: make(chan func())}
	go fold.run()
	t.Cleanup(func() { close(fold.do) })
	stop, err := r.A.Watch(fold.told)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	stopB, err := r.B.Watch(func(chat.RosterChange) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stopB)
	fold.wait(t, "")
	r.B.Set("minsu", "phone", chat.Here)
	fold.wait(t, "minsu/phone=2")
	r.A.Set("jiwoo", "laptop", chat.Here) // one's own aren't told
	r.B.Set("minsu", "phone", chat.Away)
	r.B.Set("minsu", "laptop", chat.Here)
	r.B.Set("hana", "phone", chat.Here)
	fold.wait(t, "hana/phone=2 minsu/laptop=2 minsu/phone=1")
	r.B.Set("minsu", "laptop", chat.Gone)
	fold.wait(t, "hana/phone=2 minsu/phone=1")
	r.Die()
	fold.wait(t, "")
	r.Revive()
	fold.wait(t, "hana/phone=2 minsu/phone=1")
	r.B.Set("minsu", "phone", chat.Gone)
	r.B.Set("hana", "phone", chat.Gone)
	fold.wait(t, "")
}

// fold is what a node makes of what it is told. One goroutine owns it.
type fold struct {
	live    map[string]string
	placed  map[string]chat.RosterChange
	fresh   map[string]bool
	changed chan struct{}
	do      chan func()
}

func (f *fold) run() {
	for do := range f.do {
		do()
	}
}

func (f *fold) told(c chat.RosterChange) {
	done := make(chan struct{})
	f.do <- func() {
		f.takeOver(c)
		close(done)
	}
	<-done
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *fold) takeOver(c chat.RosterChange) {
	key := fmt.Sprintf("%s %s/%s", c.Node, c.User, c.Device)
	switch c.Kind {
	case chat.RosterLives:
		f.live[c.Node] = c.Run
	case chat.RosterEnds:
		if f.live[c.Node] == c.Run {
			delete(f.live, c.Node)
		}
	case chat.RosterBegan:
		f.fresh = map[string]bool{}
	case chat.RosterReady:
		for key := range f.placed {
			if !f.fresh[key] {
				delete(f.placed, key)
			}
		}
	case chat.RosterPlaced:
		f.placed[key] = c
		if f.fresh[key] = true; c.Standing == chat.Gone {
			delete(f.placed, key)
		}
	}
}

// here is who counts, in order.
func (f *fold) here() string {
	text := make(chan string, 1)
	f.do <- func() {
		var all []string
		for _, c := range f.placed {
			if f.live[c.Node] == c.Run {
				all = append(all, fmt.Sprintf("%s/%s=%d", c.User, c.Device, c.Standing))
			}
		}
		slices.Sort(all)
		text <- strings.Join(all, " ")
	}
	return <-text
}

func (f *fold) wait(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(2 * patience)
	for {
		got := f.here()
		if got == want {
			return
		}
		select {
		case <-f.changed:
		case <-deadline:
			t.Fatalf("here are %q, want %q", got, want)
		}
	}
}
