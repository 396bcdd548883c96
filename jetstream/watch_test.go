package jetstream

import (
	"fmt"
	"testing"
	"time"

	"natter/chat"
)

// TestWatchesOutliveANode: a node that dies takes the consumers it had along, and JetStream
// gives it more of them for a while. Every watch of the others hears what comes then.
func TestWatchesOutliveANode(t *testing.T) {
	c := openCutThree(t)
	told := make([]chan string, 0, 40)
	for n := range cap(told) {
		one := make(chan string, 64)
		told = append(told, one)
		s := c.at[n%2].Load()
		if n < cap(told)/2 {
			if err := s.Leases().Watch(t.Context(), "node", func(c chat.LeaseChange) {
				if c.Kind == chat.LeasePut {
					one <- c.Key
				}
			}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		err := s.Records("test").Watch(t.Context(), "", func(key string, _ []byte, _ uint64) { one <- key }, func() {})
		if err != nil {
			t.Fatal(err)
		}
	}
	// What is said while the consumers are looked for must not be missed either.
	put := func(n int) {
		key := fmt.Sprintf("node.n%d", n)
		c.until("a lease and a record that are written", func() bool {
			_, err := c.at[0].Load().Leases().Put(t.Context(), key, []byte("x"), 0, chat.AnyRevision)
			return err == nil
		})
		c.until("a record that is written", func() bool {
			_, revision, _ := c.at[1].Load().Records("test").Get(t.Context(), key)
			_, err := c.at[1].Load().Records("test").Put(t.Context(), key, []byte("x"), revision)
			return err == nil
		})
	}
	heard := func(n int) {
		t.Helper()
		late := time.After(30 * time.Second)
		for i, one := range told {
			for want := fmt.Sprintf("node.n%d", n); ; {
				select {
				case got := <-one:
					if got != want {
						continue
					}
				case <-late:
					t.Fatalf("watch %d hasn't heard of %s", i, want)
				}
				break
			}
		}
	}
	put(1)
	heard(1)
	c.nats.Cut(2)
	put(2)
	heard(2)
	put(3)
	heard(3)
}
