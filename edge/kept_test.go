package edge

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"natter/chat"
	"natter/internal/harness"
	"natter/wire"
)

// What comes while a session reads goes out behind what was read, without one more read;
// where that can't be, because there is too much of it or some was lost, it is read.
func TestWhatComesMeanwhileIsntReadAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		text  string
		loses int // of ten; none: -1
		again bool
	}{
		{"all of it is kept", "", -1, false},
		{"the first is lost", "", 0, true},
		{"one is lost", "", 5, true},
		{"it is too much", strings.Repeat("한", 7900), -1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var hints *capricious
			var reads *gated
			h := open(t, func(o *Options) {
				reads = &gated{Queues: o.Queues, began: make(chan struct{}, 1), on: make(chan struct{})}
				hints = &capricious{Queues: reads}
				o.Queues = hints
			})
			mina, joon := h.person("mina"), h.person("joon")
			room := mina.direct(joon)
			s := joon.connect()
			lose := func(*chat.Entry, func(*chat.Entry)) {}
			hints.set(lose)
			mina.post(room, "lost on the way")
			hints.set(nil)
			reads.shut.Store(true)
			mina.post(room, "a gap before it")
			select {
			case <-reads.began:
			case <-harness.Context(t).Done():
				t.Fatal("the session doesn't read what was lost")
			}
			for i := range 10 {
				if i == c.loses {
					hints.set(lose)
				}
				mina.post(room, strconv.Itoa(i)+c.text)
				hints.set(nil)
			}
			reads.shut.Store(false)
			close(reads.on)
			mina.post(room, "live")
			want := []string{"lost on the way", "a gap before it"}
			for i := range 10 {
				want = append(want, strconv.Itoa(i)+c.text)
			}
			for _, text := range append(want, "live") {
				e := until(s, func(*wire.EventFrame) bool { return true })
				if e.Event.Message.Text != text {
					t.Fatalf("got %.20q for %.20q", e.Event.Message.Text, text)
				}
			}
			s.quiet()
			if again := reads.after.Load() > 0; again != c.again {
				t.Errorf("%d more reads", reads.after.Load())
			}
		})
	}
}

// gated are queues whose reads, while shut, answer when on is closed.
type gated struct {
	chat.Queues
	shut  atomic.Bool
	began chan struct{}
	on    chan struct{}
	after atomic.Int32 // reads since it was shut, but the first
}

func (g *gated) Read(ctx context.Context, u chat.UserID, c chat.Cursor, limit int) (chat.Batch, error) {
	batch, err := g.Queues.Read(ctx, u, c, limit)
	select {
	case <-g.on:
		g.after.Add(1)
	default:
		if g.shut.Load() {
			g.began <- struct{}{}
			<-g.on
		}
	}
	return batch, err
}
