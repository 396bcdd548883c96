package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
)

// pouring is a device that puts messages into rooms as fast as the node takes
// them: many in flight, a room after the other.
type pouring struct {
	from  *player
	rooms []chat.RoomID
}

const (
	pourWindow = 256
	pourLimit  = 20 * time.Minute
)

// pour stores n messages, about as many in each room and the rooms' mixed, and
// returns when each is in the queue of its sender.
func (w *world) pour(ctx context.Context, sources []pouring, n int) error {
	if n <= 0 {
		return nil
	}
	w.config.say("storing %d messages", n)
	ctx, cancel := context.WithTimeout(ctx, pourLimit)
	defer cancel()
	began := time.Now()
	rooms, first := 0, make([]int, len(sources))
	for i, s := range sources {
		first[i] = rooms
		rooms += len(s.rooms)
	}
	failed := make([]error, len(sources))
	var work sync.WaitGroup
	for i, s := range sources {
		work.Go(func() {
			failed[i] = w.pourFrom(ctx, s, func(room int) int { // how many fall to one of its rooms
				at := first[i] + room
				return n*(at+1)/rooms - n*at/rooms
			})
		})
	}
	work.Wait()
	for _, err := range failed {
		if err != nil {
			return fmt.Errorf("storing messages: %w", err)
		}
	}
	w.config.say("stored them in %s", time.Since(began).Round(100*time.Millisecond))
	return ctx.Err()
}

func (w *world) pourFrom(ctx context.Context, s pouring, share func(room int) int) error {
	flight := make(chan struct{}, pourWindow)
	var failed atomic.Pointer[error]
	had, sent := s.from.own.Load(), int64(0)
	for round, more := 0, true; more; round++ {
		more = false
		for i, room := range s.rooms {
			if round >= share(i) {
				continue
			}
			more = true
			select {
			case flight <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			sent++
			s.from.device.Send(client.Outgoing{Room: room, Text: w.stamp(w.now())}, func(_ client.Receipt, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				<-flight
			})
		}
		if err := failed.Load(); err != nil {
			return *err
		}
	}
	return until(ctx, func() bool {
		return len(flight) == 0 && s.from.own.Load()-had >= sent || failed.Load() != nil
	})
}

// until waits for a condition, as long as ctx lasts.
func until(ctx context.Context, is func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
