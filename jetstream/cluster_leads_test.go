package jetstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Three stores take commands for the same rooms; all show the same.
func TestThreeNodesAreOneStore(t *testing.T) {
	w := openThree(t).crowd()
	w.more(300)
	w.judge()
}

// The leader of each stream steps down thirty times while people talk.
func TestEveryLeaderStepsDownThirtyTimes(t *testing.T) {
	w := openThree(t).crowd()
	names := w.any(0).streams()
	moved := 0
	for range 30 {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var asking sync.WaitGroup
		for _, name := range names {
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				w.any(0).askToStepDown(ctx, name) //nolint:errcheck // who has no leader now has had its turn
			})
		}
		asking.Wait()
		w.more(20)
		moved++
	}
	if moved != 30 {
		t.Fatalf("the leaders stepped down %d times", moved)
	}
	w.judge()
}

// Every node believes that it leads everything: six projectors write two partitions,
// and six tellers tell of two streams.
func TestTwoProjectorsAtOnce(t *testing.T) {
	w := openThree(t).crowd()
	for range 2 {
		w.lies.Store(true)
		w.more(150)
		w.lies.Store(false)
		w.more(50)
	}
	w.judge()
}

// A node's server goes away under its store, and comes again as another run.
func TestANodeGoesAndComes(t *testing.T) {
	c := openThree(t)
	w := c.crowd()
	for i := range c.at {
		if i == 2 {
			break // twice tells enough
		}
		w.more(50)
		store := c.at[i].Swap(nil)
		c.nats.Nodes[i].Stop()
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if err := store.Close(gone); err != nil {
			t.Error(err)
		}
		w.more(100)
		c.nats.Start(i)
		c.open(i)
		w.more(50)
	}
	w.judge()
}

// A node that hands over leads nothing, and the others go on.
func TestStepDown(t *testing.T) {
	w := openThree(t).crowd()
	for i := range w.at {
		w.more(30)
		store := w.at[i].Load()
		begun := time.Now()
		if err := store.StepDown(t.Context()); err != nil {
			t.Fatal(err)
		}
		handed := time.Now()
		w.more(30)
		t.Logf("%s handed over in %v; 30 more messages took %v", w.nats.Name(i), handed.Sub(begun), time.Since(handed))
	}
	for i := range w.at {
		w.until("every node is ready", func() bool { return w.at[i].Load().Ready() == nil })
	}
	for _, l := range w.at[0].Load().Leaders(t.Context()) {
		if l.Leader == "" || len(l.Replicas) != 2 || isLog(l.Stream) == 1 && l.Projector == "" {
			t.Errorf("%+v", l)
		}
	}
	w.judge()
}
