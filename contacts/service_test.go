package contacts

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"natter/chat"
)

const (
	ask, drop, block, unblock = chat.ActAsk, chat.ActDrop, chat.ActBlock, chat.ActUnblock

	ann, bob, eve chat.UserID = "u-ann", "u-bob", "u-eve"
)

// TestTwoNodes: what is done on one is there at once, on the other after the
// watch, and on one that is opened later from the start.
func TestTwoNodes(t *testing.T) {
	story(t, func(h *house) {
		one, two := h.node(), h.node()
		h.does(one, ann, bob, ask)
		h.sees(one, ann, bob, chat.ContactOutgoing)
		h.settle()
		h.sees(two, bob, ann, chat.ContactIncoming)
		h.pass(time.Minute)
		h.does(two, bob, ann, ask)
		h.does(two, eve, ann, ask)
		h.does(two, bob, eve, block)
		h.settle()
		for i, s := range []*Service{one, two, h.node()} {
			h.sees(s, ann, bob, chat.ContactFriend)
			h.sees(s, ann, eve, chat.ContactIncoming)
			h.sees(s, eve, bob, chat.ContactNone)
			if got := s.Contacts(ann); len(got) != 2 || got[0].Since < got[1].Since {
				t.Errorf("node %d: ann's contacts are %+v", i, got)
			}
			if got := s.Friends(ann); !slices.Equal(got, []chat.UserID{bob}) {
				t.Errorf("node %d: ann's friends are %v", i, got)
			}
			if got := s.Blocks(bob); len(got) != 1 || got[0].User != eve || got[0].Since == 0 || len(s.Blocks(eve)) != 0 {
				t.Errorf("node %d: bob blocks %+v, eve %+v", i, got, s.Blocks(eve))
			}
			if pairs, barred := s.Size(); pairs != 3 || barred != 1 {
				t.Errorf("node %d holds %d pairs, %d barred", i, pairs, barred)
			}
		}
	})
}

// TestBar: by the direct room alone, for the two alone.
func TestBar(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		room := chat.DirectRoomID(ann, bob)
		if s.Bar(room, ann) != nil {
			t.Error("barred before anybody blocks")
		}
		h.does(s, ann, bob, block)
		kinds := func() (got [3]chat.Kind) {
			for i, u := range []chat.UserID{ann, bob, eve} {
				if bar := s.Bar(room, u); bar != nil {
					got[i] = bar.Kind
				}
			}
			return got
		}
		if got := kinds(); got != [3]chat.Kind{chat.KindConflict, chat.KindForbidden, ""} {
			t.Errorf("barred as %v", got)
		}
		if s.Bar(chat.DirectRoomID(ann, eve), ann) != nil || s.Bar("g1", ann) != nil {
			t.Error("another room is barred")
		}
		h.does(s, ann, bob, unblock)
		h.settle()
		if got := kinds(); got != [3]chat.Kind{} {
			t.Errorf("barred as %v after unblocking", got)
		}
		if pairs, barred := s.Size(); pairs != 0 || barred != 0 {
			t.Errorf("%d pairs are held, %d barred", pairs, barred)
		}
	})
}

// TestChangesAreTold: who are friends and who is barred, once each, on every node.
func TestChangesAreTold(t *testing.T) {
	story(t, func(h *house) {
		h.does(h.node(), eve, ann, block) // before the others open
		var mu sync.Mutex
		told := make([][]string, 2)
		var nodes []*Service
		for i := range told {
			s := h.node()
			s.OnChange(func(before, p chat.Pair) {
				mu.Lock()
				defer mu.Unlock()
				told[i] = append(told[i], fmt.Sprintf("%s %s: %v %v, was %v %v", p.Low, p.High, p.Friends != 0, p.Barred(), before.Friends != 0, before.Barred()))
			})
			nodes = append(nodes, s)
		}
		for _, one := range []struct {
			by, other chat.UserID
			act       chat.ContactAct
		}{{ann, bob, ask}, {ann, bob, ask}, {bob, ann, ask}, {bob, ann, block}, {ann, bob, block}, {ann, bob, unblock}, {bob, ann, unblock}} {
			h.does(nodes[0], one.by, one.other, one.act)
			h.settle()
		}
		want := []string{"u-ann u-bob: true false, was false false", "u-ann u-bob: false true, was true false", "u-ann u-bob: false false, was false true"}
		for i := range told {
			if !slices.Equal(told[i], want) {
				t.Errorf("node %d told %q, want %q", i, told[i], want)
			}
		}
	})
}

// TestManyAtOnce: friends and strangers act on three nodes at the same time; every
// node ends with what the store has.
func TestManyAtOnce(t *testing.T) {
	story(t, func(h *house) {
		nodes := []*Service{h.node(), h.node(), h.node()}
		people := []chat.UserID{"u1", "u2", "u3", "u4"}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for range 200 {
					by := people[r.IntN(len(people))]
					other := people[r.IntN(len(people))]
					if by == other {
						continue
					}
					if _, err := nodes[i%3].Act(h.Context(), by, other, chat.ContactAct(r.IntN(4))); chat.KindOf(err) == chat.KindInternal && err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		h.settle()
		held := 0
		for i, a := range people {
			for _, b := range people[i+1:] {
				stored, _, err := nodes[0].read(h.Context(), chat.NewPair(a, b))
				if err != nil {
					t.Fatal(err)
				}
				if !stored.Idle() {
					held++
				}
				for n, s := range nodes {
					if got, _ := s.Pair(a, b); got != stored && !(stored.Idle() && got == chat.NewPair(a, b)) {
						t.Errorf("node %d has\n%+v, stored is\n%+v", n, got, stored)
					}
				}
			}
		}
		for n, s := range nodes {
			if pairs, _ := s.Size(); pairs != held {
				t.Errorf("node %d holds %d pairs, %d are not idle", n, pairs, held)
			}
		}
	})
}

// slow is a store whose watch is held back until it is let go, and whose next write
// may be lost or its answer.
type slow struct {
	chat.Records
	gate chan struct{}
	fail func(put func() (uint64, error)) (uint64, error)
}

func (r *slow) Watch(ctx context.Context, prefix string, seen func(string, []byte, uint64), ready func()) error {
	loaded := false
	return r.Records.Watch(ctx, prefix, func(key string, value []byte, revision uint64) {
		if loaded {
			<-r.gate
		}
		seen(key, value, revision)
	}, func() { loaded = true; ready() })
}

func (r *slow) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	put := func() (uint64, error) { return r.Records.Put(ctx, key, value, revision) }
	if fail := r.fail; fail != nil {
		r.fail = nil
		return fail(put)
	}
	return put()
}

// TestTheWatchIsBehind: what this node has done is not undone by being told late
// what was before.
func TestTheWatchIsBehind(t *testing.T) {
	story(t, func(h *house) {
		late := &slow{Records: h.store, gate: make(chan struct{})}
		s := h.node(late)
		h.does(s, ann, bob, block)
		h.does(s, ann, bob, unblock)
		h.does(s, ann, bob, ask)
		h.does(s, ann, bob, drop)
		for range 4 {
			h.sees(s, bob, ann, chat.ContactNone)
			if s.Bar(chat.DirectRoomID(ann, bob), bob) != nil {
				t.Error("a block came back")
			}
			late.gate <- struct{}{}
			h.settle()
		}
		if pairs, _ := s.Size(); pairs != 0 {
			t.Errorf("%d pairs are held of nothing", pairs)
		}
	})
}

// TestAnUnknownFate: a write whose answer was lost is looked for, and is a change
// once it is found; one that was lost itself is made again.
func TestAnUnknownFate(t *testing.T) {
	lost := chat.Unavailable("no answer", 0)
	for what, fail := range map[string]func(put func() (uint64, error)) (uint64, error){
		"the answer was lost": func(put func() (uint64, error)) (uint64, error) { _, _ = put(); return 0, lost },
		"the write was lost":  func(func() (uint64, error)) (uint64, error) { return 0, lost },
	} {
		story(t, func(h *house) {
			store := &slow{Records: h.store, gate: make(chan struct{}, 9), fail: fail}
			close(store.gate)
			s := h.node(store)
			done := h.does(s, ann, bob, ask)
			if done.Before == done.After || done.Revision == 0 {
				t.Errorf("%s: %+v", what, done)
			}
			h.settle()
			h.sees(s, bob, ann, chat.ContactIncoming)
			if p, revision := s.Pair(ann, bob); p != done.After || revision != done.Revision {
				t.Errorf("%s: held at %d, done at %d", what, revision, done.Revision)
			}
		})
	}
}

// TestLimitsAreCounted of what this node knows of both.
func TestLimitsAreCounted(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		someone := func(i int) chat.UserID { return chat.UserID(fmt.Sprintf("v%04d", i)) }
		for i := range chat.MaxOutgoing {
			h.does(s, ann, someone(i), ask)
		}
		refused := func(by, other chat.UserID, act chat.ContactAct, limit int64) {
			t.Helper()
			_, err := s.Act(h.Context(), by, other, act)
			if p := chat.ProblemOf(err); err == nil || p.Kind != chat.KindTooMany || p.Limit != limit {
				t.Errorf("%s, act %d: %v, want too_many of %d", by, act, err, limit)
			}
		}
		refused(ann, bob, ask, chat.MaxOutgoing)
		h.does(s, bob, ann, ask) // others may still ask, and are accepted
		h.does(s, ann, bob, ask)
		h.does(s, ann, someone(0), drop)
		h.does(s, ann, eve, ask)
		for i := range chat.MaxBlocks {
			h.does(s, bob, someone(i), block)
		}
		refused(bob, eve, block, chat.MaxBlocks)
		for i := range chat.MaxIncoming {
			h.does(s, someone(i), "u-star", ask)
		}
		refused(eve, "u-star", ask, chat.MaxIncoming)
		for i := range chat.MaxContacts - 1 {
			h.does(s, someone(i), bob, drop) // nothing
			h.does(s, "u-sun", someone(i), ask)
			h.does(s, someone(i), "u-sun", ask)
		}
		h.does(s, "u-sun", ann, ask)
		h.does(s, ann, "u-sun", ask)
		refused("u-sun", eve, ask, chat.MaxContacts)
	})
}
