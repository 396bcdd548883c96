package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/wire"
)

// world is everybody who takes part.
type world struct {
	config  *Config
	target  *target
	http    *http.Client
	filler  string
	rooms   []*room
	players []*player

	began   time.Time    // what the stamps in texts count from
	opens   atomic.Int64 // the measured window, in nanoseconds since began; 0 is not yet
	closes  atomic.Int64
	stopped atomic.Bool // no new messages

	acked, delivered, shown, flying, errors atomic.Int64
	firstError                              atomic.Pointer[error]
	toAck, toDelivery                       histogram
}

// room is one room and its judge.
type room struct {
	id    chat.RoomID
	tally *check.Tally
	size  int64
	acked atomic.Int64
}

// player is one person with one device.
type player struct {
	world   *world
	account *client.Account
	id      string
	room    *room       // nil when idle
	lane    *check.Lane // the device's goroutine's own
	device  *client.Device
}

const (
	setupWorkers  = 4
	setupLimit    = 10 * time.Minute
	connectLimit  = 5 * time.Minute
	benchPassword = "a password of the benchmark"
)

func newWorld(c *Config, t *target) *world {
	return &world{
		config: c, target: t, began: time.Now(), filler: filler(c.TextBytes),
		http: &http.Client{
			Timeout:   time.Minute,
			Transport: &http.Transport{MaxIdleConnsPerHost: 2 * setupWorkers, MaxConnsPerHost: 2 * setupWorkers},
		},
	}
}

// close ends every device and waits for it.
func (w *world) close() {
	var all sync.WaitGroup
	for _, p := range w.players {
		if p.device != nil {
			all.Go(p.device.Close)
		}
	}
	all.Wait()
	w.http.CloseIdleConnections()
}

// signUp makes the people.
func (w *world) signUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	name := "bench" + hex.EncodeToString(random[:])
	w.players = make([]*player, w.config.Users)
	return each(ctx, len(w.players), func(i int) error {
		p := &player{world: w, account: client.NewAccount(w.target.url, w.http)}
		w.players[i] = p
		err := p.account.SignUp(ctx, wire.SignUp{Username: fmt.Sprintf("%sn%d", name, i), Password: benchPassword, DeviceName: "bench"})
		p.id = string(p.account.User().ID)
		return err
	})
}

// makeRooms puts every size people in one room.
func (w *world) makeRooms(ctx context.Context) error {
	size := w.config.size()
	w.rooms = make([]*room, len(w.players)/size)
	return each(ctx, len(w.rooms), func(i int) error {
		members := w.players[i*size : (i+1)*size]
		var others []chat.UserID
		for _, p := range members[1:] {
			others = append(others, p.account.User().ID)
		}
		var made *wire.Room
		var err error
		if w.config.Workload == Pairs {
			made, err = members[0].account.Direct(ctx, others[0])
		} else {
			made, err = members[0].account.Group(ctx, fmt.Sprintf("group %d", i), others...)
		}
		if err != nil {
			return err
		}
		rooms, err := members[0].account.Rooms(ctx)
		if err != nil {
			return err
		}
		var last chat.Seq // the room's own messages before the load
		for _, e := range rooms {
			if e.Room.ID == made.ID {
				last = e.LastSeq
			}
		}
		r := &room{id: made.ID, tally: check.NewTally(made.ID), size: int64(size)}
		for _, p := range members {
			p.room, p.lane = r, r.tally.Lane(last)
		}
		w.rooms[i] = r
		return nil
	})
}

// connect brings everybody online, each at the end of their queue.
func (w *world) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return each(ctx, len(w.players), func(i int) error {
		p := w.players[i]
		cursor := ""
		if p.room != nil {
			var err error
			if cursor, err = p.account.Cursor(ctx); err != nil {
				return err
			}
		}
		p.device = client.Dial(context.WithoutCancel(ctx), client.Options{
			URLs: []string{w.target.url}, Token: p.account.Token, Cursor: cursor, Name: "natter bench",
			Event: p.event, State: p.state, AckEvery: ackEvery,
		})
		return p.device.WaitLive(ctx)
	})
}

// ackEvery is how often a device tells its cursor, as an app would.
const ackEvery = 2 * time.Second

// each does n things, a few at once, and returns the first error.
func each(ctx context.Context, n int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	for range min(setupWorkers, n) {
		work.Go(func() {
			for failed.Load() == nil && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}
