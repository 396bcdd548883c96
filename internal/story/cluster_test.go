package story

import (
	"fmt"
	"testing"

	"natter/client"
	"natter/internal/harness"
)

// Three nodes are one chat: who is on one talks with who is on another; a node
// stops, the others go on, and it comes back and knows all that it missed.
func TestThreeNodesAreOneChat(t *testing.T) {
	c := harness.StartCluster(t, "--partitions=2")
	a, b, third := c.Node("a"), c.Node("b"), c.Node("c")
	minsu, jiwoo, seo := harness.SignUp(t, a, "Minsu"), harness.SignUp(t, b, "Jiwoo"), harness.SignUp(t, third, "Seo")
	room := minsu.GroupWith("all", jiwoo, seo)
	m, j, s := minsu.Online("", nil), jiwoo.Online("", nil), seo.Online("", nil)
	phones := []*harness.Phone{m, j, s}
	hear := func(text string) {
		t.Helper()
		for _, ph := range phones {
			ph.HearsText(room, text)
		}
	}
	m.Says(room, "from a")
	hear("from a")
	j.Says(room, "from b")
	hear("from b")
	s.Says(room, "from c")
	hear("from c")

	cursor := s.Cursor()
	s.Close()
	third.Stop()
	phones = phones[:2]
	for i := range 20 {
		text := fmt.Sprintf("without c: %d", i)
		from := phones[i%2]
		if _, err := from.SendWait(harness.Context(t), client.Outgoing{Room: room, Text: text}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		hear(text)
	}

	third.Start()
	third.WaitReady()
	s = seo.Online(cursor, nil)
	s.HearsText(room, "without c: 19")
	if got := s.Texts(room); len(got) != 20 || s.Resets() != 0 {
		t.Errorf("Seo heard %d messages with %d resets, want 20 and none: %q", len(got), s.Resets(), got)
	}
	// The same person elsewhere has the same past.
	if entry, other := seo.Entry(room), seo.DeviceAt(a, "tablet").Entry(room); entry.LastSeq != other.LastSeq {
		t.Errorf("c's last is %d, a's %d", entry.LastSeq, other.LastSeq)
	}
	s.Says(room, "back")
	for _, ph := range append(phones, s) {
		ph.HearsText(room, "back")
	}
}

// All stop and start again, in another order; everything is as it was.
func TestAClusterStartsInAnyOrder(t *testing.T) {
	c := harness.StartCluster(t, "--partitions=1")
	minsu := harness.SignUp(t, c.Node("a"), "Minsu")
	jiwoo := harness.SignUp(t, c.Node("b"), "Jiwoo")
	room := minsu.DirectWith(jiwoo)
	minsu.Online("", nil).Says(room, "before")
	for _, n := range c.Nodes {
		n.Stop()
	}
	c.Node("c").Start()
	c.Node("a").Start() // two are enough
	c.Node("c").WaitReady()
	c.Node("a").WaitReady()
	if last := minsu.Entry(room).LastSeq; last != 1 {
		t.Errorf("the room's last is %d", last)
	}
	c.Node("b").Start()
	c.Node("b").WaitReady()
	jiwoo.Online("", nil).Says(room, "after")
	if last := minsu.Entry(room).LastSeq; last != 2 {
		t.Errorf("the room's last is %d", last)
	}
}
