package check

import (
	"testing"

	"natter/chat"
)

// TestTallyPlantedFaults: the cheap checker finds what the exact one finds.
func TestTallyPlantedFaults(t *testing.T) {
	tests := []struct {
		name  string
		plant func(seq chat.Seq, show func(chat.MessageID, chat.Seq))
		want  Report
	}{
		{name: "nothing", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) { show(chat.MessageID(seq), seq) }},
		{name: "loss", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) {
			if seq != 5 {
				show(chat.MessageID(seq), seq)
			}
		}, want: Report{Lost: 1, Holes: 1}},
		{name: "lost tail", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) {
			if seq < 99 {
				show(chat.MessageID(seq), seq)
			}
		}, want: Report{Lost: 2}},
		{name: "repeat", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) {
			show(chat.MessageID(seq), seq)
			if seq == 5 {
				show(chat.MessageID(seq), seq)
			}
		}, want: Report{Twice: 1}},
		{name: "swap", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) {
			switch seq {
			case 5:
			case 6:
				show(6, 6)
				show(5, 5)
			default:
				show(chat.MessageID(seq), seq)
			}
		}, want: Report{Lost: 1, Order: 1, Holes: 1}},
		{name: "another message", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) {
			if seq == 5 {
				show(4711, 5)
				return
			}
			show(chat.MessageID(seq), seq)
		}, want: Report{Differ: 1}},
		{name: "foreign message", plant: func(seq chat.Seq, show func(chat.MessageID, chat.Seq)) {
			show(chat.MessageID(seq), seq)
			if seq == 100 {
				show(101, 101)
			}
		}, want: Report{Unexpected: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tally := NewTally(room)
			ann, bob := tally.Lane(0), tally.Lane(0)
			for seq := chat.Seq(1); seq <= 100; seq++ {
				ann.Acked(chat.MessageID(seq), seq)
				ann.Seen(chat.MessageID(seq), seq, true)
				tt.plant(seq, func(id chat.MessageID, s chat.Seq) { bob.Seen(id, s, true) })
			}
			rep := &Report{}
			tally.Check(rep)
			got := *rep
			got.Rooms, got.Readers, got.Sent, got.Acked, got.Seen, got.Findings = 0, 0, 0, 0, 0, nil
			if !same(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestTallySendersOrder: answers to one sender must rise.
func TestTallySendersOrder(t *testing.T) {
	tally := NewTally(room)
	ann := tally.Lane(0)
	ann.Acked(2, 2)
	ann.Acked(1, 1)
	ann.Seen(1, 1, true)
	ann.Seen(2, 2, true)
	rep := &Report{}
	if tally.Check(rep); rep.Order != 1 || rep.OK() {
		t.Error(rep)
	}
}

func BenchmarkTallySeen(b *testing.B) {
	l := NewTally(room).Lane(0)
	for i := range b.N {
		l.Seen(chat.MessageID(i+1), chat.Seq(i+1), true)
	}
}
