package check

import (
	"strings"
	"testing"
	"time"

	"natter/chat"
)

const room = chat.RoomID("dtest")

// run plays a good run of n messages by two people on three devices, each a
// message in turn, and hands every showing to plant, which may change it.
func run(n int, plant func(reader Reader, s shown, show func(shown))) *History {
	h := NewHistory()
	readers := []Reader{"ann/phone", "ann/web", "bob/phone"}
	for _, r := range readers {
		h.Member(room, r, 0)
	}
	for i := 1; i <= n; i++ {
		by := []string{"ann", "bob"}[i%2]
		key := keyOf(i)
		h.Sent(room, by, key)
		h.Acked(room, key, chat.MessageID(1000+i), chat.Seq(i))
		for _, r := range readers {
			plant(r, shown{chat.Seq(i), chat.MessageID(1000 + i), key}, func(s shown) { h.Seen(room, r, s.seq, s.id, s.key) })
		}
	}
	return h
}

func keyOf(i int) chat.ClientID {
	return chat.NewClientID(time.UnixMilli(int64(1_700_000_000_000+i)), [10]byte{byte(i), byte(i >> 8), 1})
}

func honest(_ Reader, s shown, show func(shown)) { show(s) }

// TestPlantedFaults holds the checker to finding each fault that is planted,
// and only that.
func TestPlantedFaults(t *testing.T) {
	const bob = Reader("bob/phone")
	var held shown
	tests := []struct {
		name  string
		plant func(Reader, shown, func(shown))
		after func(*History)
		want  Report // the counts that must be exactly so
	}{
		{name: "nothing", plant: honest},
		{name: "lost in the middle leaves a hole", plant: func(r Reader, s shown, show func(shown)) {
			if r != bob || s.seq != 50 {
				show(s)
			}
		}, want: Report{Lost: 1, LostMiddle: 1, Holes: 1}},
		{name: "lost prefix", plant: func(r Reader, s shown, show func(shown)) {
			if r != bob || s.seq > 3 {
				show(s)
			}
		}, want: Report{Lost: 3, LostPrefix: 3, Holes: 3}},
		{name: "lost postfix", plant: func(r Reader, s shown, show func(shown)) {
			if r != bob || s.seq <= 98 {
				show(s)
			}
		}, want: Report{Lost: 2, LostTail: 2}},
		{name: "a device that saw nothing lost all", plant: func(r Reader, s shown, show func(shown)) {
			if r != bob {
				show(s)
			}
		}, want: Report{Lost: 100, LostTail: 100}},
		{name: "shown twice", plant: func(r Reader, s shown, show func(shown)) {
			show(s)
			if r == bob && s.seq == 7 {
				show(s)
			}
		}, want: Report{Twice: 1}},
		{name: "stored twice, the second under a new seq", plant: honest, after: func(h *History) {
			for _, r := range []Reader{"ann/phone", "ann/web", bob} {
				h.Seen(room, r, 101, 1101, keyOf(20))
			}
		}, want: Report{Twice: 3}},
		{name: "a retry answered with another seq", plant: honest, after: func(h *History) {
			h.Acked(room, keyOf(20), 1020, 20) // the same again is right
			h.Acked(room, keyOf(20), 1101, 101)
		}, want: Report{Twice: 1}},
		{name: "two messages swapped for one reader", plant: func(r Reader, s shown, show func(shown)) {
			switch {
			case r == bob && s.seq == 30:
				held = s
			case r == bob && s.seq == 31:
				show(s)
				show(held)
			default:
				show(s)
			}
		}, want: Report{Order: 1}},
		{name: "one reader's seqs name other messages", plant: func(r Reader, s shown, show func(shown)) {
			if r == bob && s.seq == 30 {
				s.id = 4711
			}
			show(s)
		}, want: Report{Differ: 1}},
		{name: "a hole that nobody was promised", plant: honest, after: func(h *History) {
			for _, r := range []Reader{"ann/phone", "ann/web", bob} {
				h.Seen(room, r, 102, 1102, chat.ClientID{})
			}
		}, want: Report{Holes: 3}},
		{name: "unexpected", plant: honest, after: func(h *History) {
			h.Seen(room, bob, 101, 1101, keyOf(101))
		}, want: Report{Unexpected: 1}},
		{name: "an answer to nobody", plant: honest, after: func(h *History) {
			h.Acked(room, keyOf(101), 1101, 101)
		}, want: Report{Unexpected: 1}},
		{name: "a stranger sees", plant: honest, after: func(h *History) {
			h.Seen(room, "eve/phone", 1, 1001, keyOf(1))
		}, want: Report{Foreign: 1}},
		{name: "a newcomer sees what was before", plant: honest, after: func(h *History) {
			h.Member(room, "new/phone", 99)
			h.Seen(room, "new/phone", 99, 1099, keyOf(99))
			h.Seen(room, "new/phone", 100, 1100, keyOf(100))
		}, want: Report{Foreign: 1}},
		{name: "a sender's own messages change places", plant: honest, after: func(h *History) {
			h.Sent(room, "ann", keyOf(101))
			h.Sent(room, "ann", keyOf(102))
			h.Acked(room, keyOf(101), 1102, 102)
			h.Acked(room, keyOf(102), 1101, 101)
			for _, r := range []Reader{"ann/phone", "ann/web", bob} {
				h.Seen(room, r, 101, 1101, keyOf(102))
				h.Seen(room, r, 102, 1102, keyOf(101))
			}
		}, want: Report{Order: 1}},
		{name: "the sender was told another place than the readers", plant: honest, after: func(h *History) {
			h.Sent(room, "ann", keyOf(101))
			h.Acked(room, keyOf(101), 1101, 101)
			for _, r := range []Reader{"ann/phone", "ann/web", bob} {
				h.Seen(room, r, 101, 4711, keyOf(101))
			}
		}, want: Report{Differ: 3}},
		{name: "sent and never acknowledged is no promise", plant: honest, after: func(h *History) {
			h.Sent(room, "ann", keyOf(101))
			h.Sent(room, "bob", keyOf(102))
			for _, r := range []Reader{"ann/phone", "ann/web", bob} {
				h.Seen(room, r, 101, 1102, keyOf(102))
			}
		}},
		{name: "a system message has no key", plant: honest, after: func(h *History) {
			for _, r := range []Reader{"ann/phone", "ann/web", bob} {
				h.Seen(room, r, 101, 1101, chat.ClientID{})
				h.Seen(room, r, 102, 1102, chat.ClientID{})
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := run(100, tt.plant)
			if tt.after != nil {
				tt.after(h)
			}
			rep := h.Check()
			got := *rep
			got.Rooms, got.Readers, got.Sent, got.Acked, got.Seen, got.Findings = 0, 0, 0, 0, 0, nil
			if !same(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v\n%s", got, tt.want, rep)
			}
			if rep.OK() != same(tt.want, Report{}) {
				t.Errorf("OK() = %v for %s", rep.OK(), rep)
			}
			if missing := h.Missing(func(Reader) bool { return true }); missing != rep.Lost {
				t.Errorf("%d are missing and %d are lost", missing, rep.Lost)
			}
		})
	}
}

func same(a, b Report) bool { return a.String() == b.String() }

// TestFindingsAreBounded: a run that went all wrong doesn't fill the memory
// with sentences, and its counts are still exact.
func TestFindingsAreBounded(t *testing.T) {
	h := run(1000, func(Reader, shown, func(shown)) {})
	rep := h.Check()
	if rep.Lost != 3000 || len(rep.Findings) != maxFindings {
		t.Errorf("lost %d with %d findings", rep.Lost, len(rep.Findings))
	}
	if !strings.Contains(rep.String(), "never saw it") {
		t.Error(rep)
	}
}
