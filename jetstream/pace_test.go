package jetstream

import (
	"context"
	"testing"
	"time"

	"natter/chat"
)

func TestRoundsRestWhereProcessorsAreShort(t *testing.T) {
	for _, c := range []struct {
		name    string
		pressed bool
		took    time.Duration
		carried int
		want    time.Duration
	}{
		{"processors to spare", false, 20 * time.Millisecond, 500, 0},
		{"as long as it took", true, 20 * time.Millisecond, 500, 20 * time.Millisecond},
		{"never for long", true, time.Second, 500, longestRest},
		{"a few commands", true, 20 * time.Millisecond, restsFrom - 1, 0},
		{"just enough", true, 20 * time.Millisecond, restsFrom, 20 * time.Millisecond},
	} {
		if got := rest(c.pressed, c.took, c.carried); got != c.want {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
	for _, s := range []*Store{
		{o: Options{Replicas: 1, Pressed: func() bool { return true }}},
		{o: Options{Replicas: 3}},
		{o: Options{Replicas: 3, Pressed: func() bool { return false }}},
	} {
		if s.pressed() {
			t.Errorf("with %d replicas rounds rest", s.o.Replicas)
		}
	}
}

// Who rests for more goes on when a batch is full, and not because one was full before.
func TestARestEndsWhenABatchIsFull(t *testing.T) {
	s := &Store{o: Options{Replicas: 3, Pressed: func() bool { return true }}}
	k := newCommitter(s, 0, new(publisher))
	fill := func() {
		for range batchCommands {
			if err := k.add(&chat.Command{Op: chat.OpSend}); err != nil {
				t.Fatal(err)
			}
		}
	}
	ends := func(rest func()) chan struct{} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			rest()
		}()
		return ended
	}
	fill()
	k.take()
	ctx, cancel := context.WithCancel(t.Context())
	begun := time.Now()
	<-ends(func() { k.rest(ctx, longestRest, batchCommands) })
	if rested := time.Since(begun); rested < longestRest {
		t.Errorf("behind a full batch of before it rested for %v only", rested)
	}
	ended := ends(func() { _ = waitOr(ctx, time.Hour, k.full) })
	fill()
	<-ended
	cancel()
	<-ends(func() { k.rest(ctx, time.Hour, batchCommands) })
}
