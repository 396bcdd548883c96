package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
)

// CatchUpResult is what coming back costs, and what it does to others.
type CatchUpResult struct {
	Missed int           `json:"missed"` // for each device
	Steps  []CatchUpStep `json:"steps"`
	// Acknowledgements of others' messages at a steady rate: without anybody
	// coming back; while each device does so once, one after the other over the
	// time; and while all do so again and again, as fast as they can.
	Rate         float64 `json:"rate"`
	AckAlone     Latency `json:"ack_alone"`
	AckInTurn    Latency `json:"ack_while_each_comes_back_once"`
	AckCrowd     Latency `json:"ack_while_all_come_back"`
	Crowd        Latency `json:"hello_to_synced_of_all_at_once"`
	CrowdSeconds float64 `json:"crowd_seconds"`
}

// CatchUpStep is the time from hello to synced with so many messages of others
// in the store: half of what came since the step before lies before what was
// missed, half behind it.
type CatchUpStep struct {
	Others int     `json:"others"`
	First  Latency `json:"first"` // each device's first time back
	Warm   Latency `json:"warm"`  // the rounds after it
}

// away is a device that has missed something.
type away struct {
	person *person
	room   chat.RoomID
	cursor string
}

const (
	catchUpWriters = 10 // who write to those who are away
	catchUpOthers  = 20 // who write to each other, in rooms of two
	otherRooms     = 10 // of each two of them
	comeBackLimit  = time.Minute
)

// catchUp is the workload. Devices come back one after the other, but for the
// last part.
func (w *world) catchUp(ctx context.Context, r *Result) error {
	c := w.config
	people, err := w.signUp(ctx, c.Users+catchUpWriters+catchUpOthers)
	if err != nil {
		return err
	}
	devices, writers, others, err := w.settle(ctx, people)
	if err != nil {
		return err
	}
	result := &CatchUpResult{Missed: c.Missed, Rate: c.Rate}
	r.CatchUp = result
	stored := 0
	for _, goal := range c.Others {
		before := (goal - stored) / 2
		if err := w.pour(ctx, others, before); err != nil {
			return err
		}
		for _, d := range devices {
			if d.cursor, err = d.person.account.Cursor(ctx); err != nil {
				return err
			}
		}
		if err := w.pour(ctx, writers, c.Missed*len(devices)); err != nil {
			return err
		}
		if err := w.pour(ctx, others, goal-stored-before); err != nil {
			return err
		}
		stored = goal
		rest(ctx, settleTime)
		c.say("%d devices come back to %d messages, %d of others stored", len(devices), c.Missed, stored)
		step := CatchUpStep{Others: stored}
		if step.First, err = w.comeBackInTurn(ctx, devices, 1); err != nil {
			return err
		}
		if step.Warm, err = w.comeBackInTurn(ctx, devices, c.Rounds); err != nil {
			return err
		}
		result.Steps = append(result.Steps, step)
	}
	if c.Rate > 0 {
		if err := w.crowd(ctx, devices, others, result); err != nil {
			return err
		}
	}
	w.tellErrors(r)
	return nil
}

// settle makes the rooms, and brings those online who write.
func (w *world) settle(ctx context.Context, people []*person) (devices []*away, writers, others []pouring, err error) {
	n := w.config.Users
	for _, p := range people[n:] {
		w.players = append(w.players, &player{world: w, person: p})
	}
	for _, p := range w.players[:min(catchUpWriters, n)] {
		writers = append(writers, pouring{from: p})
	}
	pairs := w.players[catchUpWriters:]
	for i := 0; i < len(pairs); i += 2 {
		others = append(others, pouring{from: pairs[i], rooms: make([]chat.RoomID, otherRooms)})
	}
	devices = make([]*away, n)
	err = each(ctx, setupWorkers, n, func(i int) error {
		room, err := makeRoom(ctx, "", []*person{people[i], writers[i%len(writers)].from.person})
		devices[i] = &away{person: people[i], room: room}
		return err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	for i, d := range devices {
		writer := &writers[i%len(writers)]
		writer.rooms = append(writer.rooms, d.room)
	}
	err = each(ctx, setupWorkers, len(others)*otherRooms, func(i int) error {
		o, at := others[i/otherRooms], i/otherRooms*2
		var err error
		o.rooms[i%otherRooms], err = makeRoom(ctx, fmt.Sprintf("others %d", i), []*person{pairs[at].person, pairs[at+1].person})
		return err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return devices, writers, others, w.connect(ctx, w.players)
}

func (w *world) comeBackInTurn(ctx context.Context, devices []*away, rounds int) (Latency, error) {
	var h histogram
	for range rounds {
		for _, d := range devices {
			if err := w.comeBack(ctx, d, &h); err != nil {
				return Latency{}, err
			}
		}
	}
	return h.latency(), nil
}

// comeBack has a device come back, times it, and checks what it was told.
func (w *world) comeBack(ctx context.Context, a *away, h *histogram) error {
	r := returner{URL: a.person.account.Base(), Cursor: a.cursor, Room: a.room}
	took, err := r.comeBack(ctx, a.person.account.Token, w.config.Missed)
	var wrong *wrongCatchUp
	if errors.As(err, &wrong) {
		w.fail(err)
	} else if err != nil {
		return err
	}
	h.record(took)
	return nil
}

// crowd measures what coming back does to others.
func (w *world) crowd(ctx context.Context, devices []*away, others []pouring, result *CatchUpResult) error {
	c := w.config
	c.say("others send %.0f/s for %s alone, then while %d devices come back in turn, then while all do so again and again", c.Rate, c.Duration, len(devices))
	var err error
	if result.AckAlone, err = w.publish(ctx, others); err != nil {
		return err
	}
	if result.AckInTurn, _, err = w.publishBeside(ctx, devices, others, false); err != nil {
		return err
	}
	var back *returned
	result.AckCrowd, back, err = w.publishBeside(ctx, devices, others, true)
	if err == nil {
		result.Crowd, result.CrowdSeconds = back.Latency, back.Seconds
	}
	return err
}

// publishBeside is publish while devices come back, in another process: once each, at even
// distances, or all again and again.
func (w *world) publishBeside(ctx context.Context, devices []*away, others []pouring, again bool) (Latency, *returned, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	child, err := w.startReturning(ctx, devices, again)
	if err != nil {
		return Latency{}, nil, err
	}
	acks, err := w.publish(ctx, others)
	back, failed := child.stop()
	if failed != nil {
		return acks, nil, errors.Join(err, failed)
	}
	for _, wrong := range back.Wrong {
		w.fail(errors.New(wrong))
	}
	return acks, back, err
}

// publish sends Rate messages a second for Duration and tells how long their
// acknowledgements took, from when they were to be sent.
func (w *world) publish(ctx context.Context, others []pouring) (Latency, error) {
	var h histogram
	var flying atomic.Int64
	next := time.NewTimer(0)
	defer next.Stop()
	start := w.now()
	for n, all := 0, int(w.config.Rate*w.config.Duration.Seconds()); n < all && ctx.Err() == nil; {
		due := func() int64 { return start + int64(float64(n)/w.config.Rate*float64(time.Second)) }
		for ; n < all && due() <= w.now(); n++ {
			at := due()
			from := others[n%len(others)]
			flying.Add(1)
			from.from.device.Send(client.Outgoing{Room: from.rooms[n/len(others)%len(from.rooms)], Text: w.stamp(at)}, func(_ client.Receipt, err error) {
				h.record(time.Duration(w.now() - at))
				if err != nil {
					w.fail(err)
				}
				flying.Add(-1)
			})
		}
		next.Reset(max(time.Duration(due()-w.now()), shortestPause))
		<-next.C
	}
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	err := until(ctx, func() bool { return flying.Load() == 0 })
	return h.latency(), err
}
