package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"natter/chat"
	"natter/client"
)

// HistoryResult is what reading rooms costs over HTTP, a reader at a time, and
// how long the node takes to be ready with what is stored.
type HistoryResult struct {
	Rooms    int `json:"rooms"`
	Messages int `json:"messages"` // in all rooms together
	Reads    int `json:"reads"`    // rooms that were read, twice

	ReadySeconds      float64 `json:"ready_after_stop_seconds"`  // 0 if the node isn't ours to stop
	ReadyCrashSeconds float64 `json:"ready_after_crash_seconds"` // SIGKILL with the store at rest

	// Cold is the first read of a room after a start: natter's caches are empty,
	// the system's cache of files is as it is. Warm is the same page again.
	ColdLast   Latency `json:"last_50_cold"`
	ColdBefore Latency `json:"50_before_any_cold"`
	WarmLast   Latency `json:"last_50_warm"`
	WarmBefore Latency `json:"50_before_any_warm"`
}

const pageSize = 50

// shelf is a room that is read.
type shelf struct {
	room   chat.RoomID
	reader *person
	last   chat.Seq
	before chat.Seq
}

// history is the workload. Every two people share rooms, and one of them writes.
func (w *world) history(ctx context.Context, r *Result) error {
	c := w.config
	var err error
	if w.people, err = w.signUp(ctx, c.Users); err != nil {
		return err
	}
	c.say("making %d rooms", c.Rooms)
	sources := make([]pouring, min(len(w.people)/2, c.Rooms))
	for i := range sources {
		sources[i].from = &player{world: w, person: w.people[2*i]}
		w.players = append(w.players, sources[i].from)
	}
	rooms := make([]chat.RoomID, c.Rooms)
	err = each(ctx, setupWorkers, c.Rooms, func(i int) error {
		at := i % len(sources) * 2
		var err error
		rooms[i], err = makeRoom(ctx, fmt.Sprintf("shelf %d", i), w.people[at:at+2])
		return err
	})
	if err != nil {
		return fmt.Errorf("making rooms: %w", err)
	}
	for i, room := range rooms {
		s := &sources[i%len(sources)]
		s.rooms = append(s.rooms, room)
	}
	if err := w.connect(ctx, w.players); err != nil {
		return err
	}
	if err := w.pour(ctx, sources, c.Messages); err != nil {
		return err
	}
	w.close()
	w.tellErrors(r)
	shelves := make([]*shelf, c.Reads)
	for i, at := range rand.Perm(c.Rooms)[:c.Reads] {
		shelves[i] = &shelf{room: rooms[at], reader: w.people[at%len(sources)*2+1]}
	}
	return w.readAll(ctx, r, shelves)
}

func (w *world) readAll(ctx context.Context, r *Result, shelves []*shelf) error {
	c, h := w.config, &HistoryResult{Rooms: w.config.Rooms, Messages: w.config.Messages, Reads: w.config.Reads}
	r.History = h
	if w.target.ours() {
		for _, crash := range []bool{true, false} { // the orderly one last: its caches are the cold ones
			c.say("restarting %s", c.what())
			took, err := w.target.restart(ctx, crash)
			if err != nil {
				return err
			}
			if crash {
				h.ReadyCrashSeconds = took.Seconds()
			} else {
				h.ReadySeconds = took.Seconds()
			}
		}
	}
	spent, err := w.target.cost(ctx)
	if err != nil {
		return err
	}
	r.RSSBytes = spent.rss
	c.say("reading %d rooms", len(shelves))
	var cold, warm [2]histogram
	for _, h := range []*[2]histogram{&cold, &warm} {
		for _, s := range shelves {
			if err := w.readShelf(ctx, s, h); err != nil {
				return err
			}
		}
	}
	h.ColdLast, h.ColdBefore = cold[0].latency(), cold[1].latency()
	h.WarmLast, h.WarmBefore = warm[0].latency(), warm[1].latency()
	return nil
}

// readShelf reads a room's end, and a page before a place that is any the first
// time and the same the second.
func (w *world) readShelf(ctx context.Context, s *shelf, h *[2]histogram) error {
	for i := range h {
		span := client.Span{Limit: pageSize}
		if i == 1 {
			if s.before == 0 {
				s.before = 2 + chat.Seq(rand.Uint64N(uint64(s.last)))
			}
			span.Before = s.before
		}
		began := time.Now()
		page, err := s.reader.account.Messages(ctx, s.room, span)
		if err != nil {
			return fmt.Errorf("reading a room: %w", err)
		}
		h[i].record(time.Since(began))
		n := len(page.Messages)
		if n == 0 {
			return fmt.Errorf("a page of room %s before %d has no messages", s.room, span.Before)
		}
		if i == 0 {
			s.last = page.Messages[n-1].Seq
		}
		want := min(pageSize, int(s.last))
		if i == 1 {
			want = min(pageSize, int(s.before)-1)
		}
		if n != want || page.Messages[n-1].Seq-page.Messages[0].Seq != chat.Seq(n-1) {
			w.fail(fmt.Errorf("a page of room %s before %d has %d messages, %d to %d; want %d", s.room, span.Before, n, page.Messages[0].Seq, page.Messages[n-1].Seq, want))
		}
	}
	return nil
}
