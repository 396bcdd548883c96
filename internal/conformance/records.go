// Package conformance holds one suite of tests for each seam of chat. Every
// implementation runs it, so that what passes in memory passes on JetStream.
package conformance

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"natter/chat"
)

// patience is how long a condition may take before the test gives up.
const patience = 10 * time.Second

// RecordsSuite holds a chat.Records to its contract. open makes an empty store
// and cleans up after itself through t.Cleanup.
func RecordsSuite(t *testing.T, open func(t *testing.T) chat.Records) {
	for name, story := range map[string]func(*testing.T, chat.Records){
		"what was put is there":                    recordsPut,
		"revision 0 makes a key once":              recordsCreate,
		"of two writers one wins":                  recordsRace,
		"a stale revision is refused":              recordsStale,
		"a deleted key can be made again":          recordsDelete,
		"a watch tells what is, then what changes": recordsWatch,
		"a prefix ends at a dot":                   recordsPrefix,
		"an empty watch is ready":                  recordsEmpty,
		"a watch ends with its context":            recordsWatchEnds,
	} {
		t.Run(name, func(t *testing.T) { story(t, open(t)) })
	}
}

func recordsPut(t *testing.T, r chat.Records) {
	if _, _, err := r.Get(t.Context(), "account.u1"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("an absent key: %v, want not_found", err)
	}
	value := []byte{0, 1, 2, 255}
	first := put(t, r, "account.u1", value, 0)
	got, revision, err := r.Get(t.Context(), "account.u1")
	if err != nil || !bytes.Equal(got, value) || revision != first {
		t.Errorf("Get: %v, %d, %v; want %v, %d", got, revision, err, value, first)
	}
	second := put(t, r, "account.u1", []byte("more"), first)
	if second <= first {
		t.Errorf("revisions: %d after %d", second, first)
	}
	got[0] = 9 // the caller owns what Get gave
	if got, _, _ := r.Get(t.Context(), "account.u1"); string(got) != "more" {
		t.Errorf("Get after a change: %q", got)
	}
}

func recordsCreate(t *testing.T, r chat.Records) {
	put(t, r, "name.kim", []byte("a"), 0)
	if _, err := r.Put(t.Context(), "name.kim", []byte("b"), 0); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("the second maker: %v, want conflict", err)
	}
	if _, err := r.Put(t.Context(), "name.lee", []byte("b"), 7); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a change of what is not there: %v, want conflict", err)
	}
}

func recordsRace(t *testing.T, r chat.Records) {
	base := put(t, r, "counter.one", []byte("0"), 0)
	var wins sync.Map
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if _, err := r.Put(t.Context(), "counter.one", []byte{byte(i)}, base); err == nil {
				wins.Store(i, true)
			} else if chat.KindOf(err) != chat.KindConflict {
				t.Errorf("writer %d: %v, want conflict", i, err)
			}
		})
	}
	all.Wait()
	won := 0
	wins.Range(func(any, any) bool { won++; return true })
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
}

func recordsStale(t *testing.T, r chat.Records) {
	first := put(t, r, "session.u1.v1", []byte("a"), 0)
	put(t, r, "session.u1.v1", []byte("b"), first)
	if _, err := r.Put(t.Context(), "session.u1.v1", []byte("c"), first); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("Put: %v, want conflict", err)
	}
	if err := r.Delete(t.Context(), "session.u1.v1", first); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("Delete: %v, want conflict", err)
	}
}

func recordsDelete(t *testing.T, r chat.Records) {
	first := put(t, r, "session.u1.v1", []byte("a"), 0)
	if err := r.Delete(t.Context(), "session.u1.v1", first); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Get(t.Context(), "session.u1.v1"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("a deleted key: %v, want not_found", err)
	}
	if err := r.Delete(t.Context(), "session.u1.v1", first); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("Delete again: %v, want conflict", err)
	}
	if again := put(t, r, "session.u1.v1", []byte("b"), 0); again <= first {
		t.Errorf("made again at revision %d, first was %d", again, first)
	}
}

func recordsWatch(t *testing.T, r chat.Records) {
	one := put(t, r, "account.u1", []byte("one"), 0)
	put(t, r, "account.u2", []byte("two"), 0)
	put(t, r, "session.u1.v1", []byte("other"), 0)
	w := watch(t, r, "account")
	w.wait(t, "account.u1=one", "account.u2=two", "ready")
	one = put(t, r, "account.u1", []byte("uno"), one)
	put(t, r, "session.u1.v2", []byte("other"), 0)
	put(t, r, "account.u3", []byte(""), 0)
	if err := r.Delete(t.Context(), "account.u1", one); err != nil {
		t.Fatal(err)
	}
	w.wait(t, "account.u1=uno", "account.u3=", "account.u1 deleted")
}

func recordsPrefix(t *testing.T, r chat.Records) {
	put(t, r, "session.u1.v1", []byte("a"), 0)
	put(t, r, "session.u10.v2", []byte("b"), 0)
	put(t, r, "sessions.x", []byte("c"), 0)
	watch(t, r, "session.u1").wait(t, "session.u1.v1=a", "ready")
	watch(t, r, "session").wait(t, "session.u1.v1=a", "session.u10.v2=b", "ready")
}

func recordsEmpty(t *testing.T, r chat.Records) {
	w := watch(t, r, "revoked")
	w.wait(t, "ready")
	put(t, r, "revoked.v1", []byte("x"), 0)
	w.wait(t, "revoked.v1=x")
}

func recordsWatchEnds(t *testing.T, r chat.Records) {
	ctx, cancel := context.WithCancel(t.Context())
	w := watchUntil(t, ctx, r, "account")
	w.wait(t, "ready")
	cancel()
	// The barrier: a second watch, made later, has the write; what the first
	// one is told in the instant of ending is not promised either way.
	other := watch(t, r, "account")
	other.wait(t, "ready")
	put(t, r, "account.u1", []byte("late"), 0)
	other.wait(t, "account.u1=late")
	if err := r.Watch(ctx, "account", func(string, []byte, uint64) {}, func() {}); err == nil {
		t.Error("a watch under an ended context stands")
	}
}

func put(t *testing.T, r chat.Records, key string, value []byte, revision uint64) uint64 {
	t.Helper()
	next, err := r.Put(t.Context(), key, value, revision)
	if err != nil {
		t.Fatalf("Put %s at %d: %v", key, revision, err)
	}
	return next
}

// watching collects what a watch is told.
type watching struct {
	told chan string
	last uint64
}

func watch(t *testing.T, r chat.Records, prefix string) *watching {
	t.Helper()
	return watchUntil(t, t.Context(), r, prefix)
}

func watchUntil(t *testing.T, ctx context.Context, r chat.Records, prefix string) *watching { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	w := &watching{told: make(chan string, 64)}
	seen := func(key string, value []byte, revision uint64) {
		if revision <= w.last {
			t.Errorf("revision %d told after %d", revision, w.last)
		}
		w.last = revision
		if value == nil {
			w.told <- key + " deleted"
			return
		}
		w.told <- fmt.Sprintf("%s=%s", key, value)
	}
	if err := r.Watch(ctx, prefix, seen, func() { w.told <- "ready" }); err != nil {
		t.Fatal(err)
	}
	return w
}

// wait reads exactly these, in this order.
func (w *watching) wait(t *testing.T, want ...string) {
	t.Helper()
	for _, one := range want {
		select {
		case got := <-w.told:
			if got != one {
				t.Fatalf("the watch tells %q, want %q", got, one)
			}
		case <-time.After(patience):
			t.Fatalf("the watch doesn't tell %q", one)
		}
	}
}
