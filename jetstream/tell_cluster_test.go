package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"natter/chat"
)

// merged is a teller of a cluster at a test's clock, over a stream of the test's.
type merged struct {
	t      *testing.T
	m      *merging
	now    time.Time
	stream map[uint64]string // subjects, by sequence
	behind bool              // the replica shows nothing
	grown  uint64
	asked  []string
	told   []string
	fails  error
}

func newMerged(t *testing.T) *merged {
	h := &merged{t: t, now: time.Unix(1000, 0), stream: map[uint64]string{}}
	h.m = newMerging(1, newBacklog(), func(e *storedEntry) error {
		from := "handed"
		if e.events == nil {
			from = "read"
		}
		h.told = append(h.told, fmt.Sprint(e.sequence, " ", e.user, " ", from))
		return h.fails
	})
	h.m.known = func() uint64 { return h.grown }
	h.m.ask = func(_ context.Context, after uint64, most int) (found []stored, err error) {
		if h.asked = append(h.asked, fmt.Sprint(after, "+", most)); h.behind {
			return nil, nil
		}
		for _, n := range slices.Sorted(func(yield func(uint64) bool) {
			for n := range h.stream {
				if n > after && !yield(n) {
					return
				}
			}
		}) {
			if len(found) < most {
				found = append(found, stored{Subject: h.stream[n], Sequence: n, Data: []byte("data")})
			}
		}
		return found, nil
	}
	h.m.goesOn(h.now)
	return h
}

// store has a stream hold an entry of u.
func (h *merged) store(n uint64, u chat.UserID) { h.stream[n] = subjectSync(0, u) }

// hand has a projector of this node store and hand over an entry.
func (h *merged) hand(n uint64, u chat.UserID) {
	h.store(n, u)
	h.m.backlog.add(storedEntry{sequence: n, user: u, events: []*event{}, bytes: 10})
}

func (h *merged) goes(after time.Duration) error {
	h.now = h.now.Add(after)
	h.m.handed(h.now)
	return h.m.missing(h.t.Context(), func() time.Time { return h.now })
}

func (h *merged) want(asked, told []string) {
	h.t.Helper()
	if !slices.Equal(h.asked, asked) || !slices.Equal(h.told, told) {
		h.t.Fatalf("asked for %q and told %q, not %q and %q", h.asked, h.told, asked, told)
	}
	h.asked, h.told = nil, nil
}

func (h *merged) well(after time.Duration) {
	h.t.Helper()
	if err := h.goes(after); err != nil {
		h.t.Fatal(err)
	}
}

// What this node's projectors hand over is told without reading anything, in the stream's
// order whatever the order it comes in.
func TestATellerOfAClusterReadsNothingThatItIsHanded(t *testing.T) {
	h := newMerged(t)
	h.m.backlog.expect(1)
	h.hand(3, "a")
	h.hand(1, "a")
	h.well(0)
	h.want(nil, []string{"1 a handed"})
	h.hand(2, "b")
	h.well(ownPatience - 1)
	h.want(nil, []string{"2 b handed", "3 a handed"})
	h.hand(2, "b") // again
	h.well(0)
	h.want(nil, nil)
	if _, bytes := h.m.backlog.take(nil); bytes != 0 {
		t.Errorf("%d bytes are still to be told", bytes)
	}
}

// What another node's projector wrote is missing, and read: just that, at once if nobody
// here may be about to hand it over, else after a moment.
func TestATellerOfAClusterReadsWhatOthersWrote(t *testing.T) {
	h := newMerged(t)
	h.hand(1, "a")
	h.store(2, "b")
	h.store(3, "a")
	h.hand(4, "a")
	h.well(0)
	h.want([]string{"1+2"}, []string{"1 a handed", "2 b read", "3 a read", "4 a handed"})

	h.m.backlog.expect(1)
	h.store(5, "b")
	h.grown = 5
	h.well(0)
	h.want(nil, nil)
	if wait := h.m.patience(h.now); wait != ownPatience {
		t.Errorf("it waits for %v", wait)
	}
	h.well(ownPatience)
	h.want([]string{"4+1"}, []string{"5 b read"})

	h.store(6, "b")
	h.grown = 6
	h.well(0)
	h.want(nil, nil)
	h.m.backlog.expect(-1) // it was none of ours
	select {
	case <-h.m.backlog.wake:
	default:
		t.Error("that the last write ended wakes nobody")
	}
	h.well(0)
	h.want([]string{"5+1"}, []string{"6 b read"})
}

// Of what nobody says that it is there, a teller learns by looking.
func TestATellerOfAClusterLooksByItself(t *testing.T) {
	h := newMerged(t)
	h.store(1, "a")
	h.well(tailEvery - 1)
	h.want(nil, nil)
	if wait := h.m.patience(h.now); wait != 1 {
		t.Errorf("it waits for %v", wait)
	}
	h.well(1)
	h.want([]string{fmt.Sprint("0+", missedMost)}, []string{"1 a read"})
	h.well(tailEvery)
	h.want([]string{fmt.Sprint("1+", missedMost)}, nil)
	h.well(tailEvery - 1)
	h.want(nil, nil)
}

// Claims are for nobody, and what has gone from a stream isn't waited for.
func TestATellerOfAClusterPassesWhatIsForNobody(t *testing.T) {
	h := newMerged(t)
	h.stream[1] = subjectFence("SYNC-0", 1)
	h.hand(2, "a")
	h.well(0)
	h.want([]string{"0+1"}, []string{"2 a handed"})
	h.stream[3] = subjectFence("SYNC-0", 0)
	h.store(9, "b") // 4 to 8 have gone
	h.hand(10, "a")
	h.hand(11, "a")
	h.hand(13, "c") // 12 too
	h.store(14, "b")
	h.grown = 14
	h.well(0)
	h.want([]string{"2+7"}, []string{"9 b read", "10 a handed", "11 a handed", "13 c handed", "14 b read"})
}

// A replica that lags is asked again, ever more rarely; where none shows what must be
// there, everybody looks at their queue.
func TestATellerOfAClusterGivesUpOnWhatIsNotShown(t *testing.T) {
	h := newMerged(t)
	h.behind = true
	h.hand(2, "a")
	h.well(0)
	h.want([]string{"0+1"}, nil)
	h.well(stalePause - 1)
	h.want(nil, nil)
	h.well(1)
	h.want([]string{"0+1"}, nil)
	if wait := h.m.patience(h.now); wait != 2*stalePause {
		t.Errorf("it is asked again after %v", wait)
	}
	if err := h.goes(gapPatience); err == nil {
		t.Error("it goes on")
	}
	h.behind, h.asked = false, nil
	h.store(1, "b")
	h.well(stalePauses)
	h.want([]string{"0+1"}, []string{"1 b read", "2 a handed"})
	h.fails = errors.New("the test's")
	h.hand(3, "a")
	h.hand(4, "a")
	if err := h.goes(0); !errors.Is(err, h.fails) || len(h.told) != 1 {
		t.Errorf("what wasn't told: %v, %q", err, h.told)
	}
}

// A backlog that nobody tells of takes nothing and holds up nobody.
func TestABacklogIsShutWhereNobodyTells(t *testing.T) {
	b := newBacklog()
	if !b.add(storedEntry{sequence: 1, bytes: backlogBytes}) {
		t.Error("an open one takes nothing")
	}
	waited := make(chan error)
	go func() { waited <- b.room(context.Background()) }()
	b.open(false)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if b.add(storedEntry{sequence: 2, bytes: backlogBytes}) {
		t.Error("a shut one takes entries")
	}
	b.open(true)
	if some, bytes := b.take(nil); len(some) != 0 || bytes != 0 {
		t.Errorf("it holds %d bytes, %+v", bytes, some)
	}
}

func TestEntriesOfABatchArePlaced(t *testing.T) {
	var got []uint64
	for _, e := range placed(make([]storedEntry, 3), 9) {
		got = append(got, e.sequence)
	}
	if !slices.Equal(got, []uint64{7, 8, 9}) {
		t.Errorf("%v", got)
	}
}
