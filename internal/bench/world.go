package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
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
	people  []*person
	rooms   []*room
	players []*player

	began   time.Time              // what the stamps in texts count from
	window  atomic.Pointer[window] // what is measured now; never nil
	stopped atomic.Bool            // no new messages

	acked, delivered, shown, flying atomic.Int64
	tick                            histogram // deliveries since the last sample
	back                            histogram // Storm: from the cut to synced
	away                            atomic.Int64
	allBack                         chan struct{} // holds one when away has come to 0

	breaks     atomic.Int64 // connections that ended
	mayBreak   bool         // and may, because the workload cuts them
	errors     atomic.Int64
	firstError atomic.Pointer[error]
}

// person is an account with its session.
type person struct {
	account *client.Account
	id      string
}

// room is one room and its judge.
type room struct {
	id    chat.RoomID
	tally *check.Tally
	size  int64 // devices
	acked atomic.Int64
}

// seat is a device's place in a room.
type seat struct {
	room *room
	lane *check.Lane // the device's goroutine's own
	last atomic.Uint64
}

// player is one device of a person.
type player struct {
	world  *world
	person *person
	seats  []*seat // none when idle
	device *client.Device
	// restless: the workload cuts its connection now and then, so that what it
	// sends and hears has the waits of coming back in it. It isn't timed.
	restless bool

	cut atomic.Int64 // Storm: when its connection was cut; 0 once it is back
	own atomic.Int64 // its own messages that came back, of a device without seats
}

const (
	signUpWorkers = 4  // the node makes a password's hash on a core for 40 ms
	setupWorkers  = 32 // what waits for the disk
	setupLimit    = 15 * time.Minute
	connectLimit  = 5 * time.Minute
	benchPassword = "a password of the benchmark"
)

func newWorld(c *Config, t *target) *world {
	w := &world{
		config: c, target: t, began: time.Now(), filler: filler(c.TextBytes), allBack: make(chan struct{}, 1),
		http: &http.Client{
			Timeout:   time.Minute,
			Transport: &http.Transport{MaxIdleConnsPerHost: setupWorkers, MaxConnsPerHost: setupWorkers},
		},
	}
	w.window.Store(new(window))
	return w
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

// signUp makes n people, spread over the nodes. Nodes of ours are started anew
// afterwards, so that the memory and the collections that their passwords took
// aren't measured.
func (w *world) signUp(ctx context.Context, n int) ([]*person, error) {
	w.config.say("signing up %d people", n)
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	name := "bench" + hex.EncodeToString(random[:])
	people := make([]*person, n)
	err := each(ctx, signUpWorkers, n, func(i int) error {
		p := &person{account: client.NewAccount(w.target.url(i), w.http)}
		people[i] = p
		err := p.account.SignUp(ctx, wire.SignUp{Username: fmt.Sprintf("%sn%d", name, i), Password: benchPassword, DeviceName: "bench"})
		p.id = string(p.account.User().ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("signing up: %w", err)
	}
	if w.target.ours() {
		w.http.CloseIdleConnections()
		_, err = w.target.restart(ctx, false)
	}
	return people, err
}

// populate signs people up and gives each their devices, not yet connected.
func (w *world) populate(ctx context.Context, people, devices int) error {
	var err error
	if w.people, err = w.signUp(ctx, people); err != nil {
		return err
	}
	for i := range devices {
		w.players = append(w.players, &player{world: w, person: w.people[i%people]})
	}
	return nil
}

// makeRooms puts every size people in one room, or every two in their direct
// one, and gives all their devices a seat in it.
func (w *world) makeRooms(ctx context.Context, size int, direct bool) error {
	devices := map[*person][]*player{}
	for _, p := range w.players {
		devices[p.person] = append(devices[p.person], p)
	}
	rooms := make([]*room, len(w.people)/size)
	err := each(ctx, setupWorkers, len(rooms), func(i int) error {
		members := w.people[i*size : (i+1)*size]
		name := ""
		if !direct {
			name = fmt.Sprintf("group %d", i)
		}
		id, err := makeRoom(ctx, name, members)
		if err != nil {
			return err
		}
		last, err := w.settled(ctx, id, members)
		if err != nil {
			return err
		}
		r := &room{id: id, tally: check.NewTally(id)}
		for _, m := range members {
			for _, p := range devices[m] {
				p.seats = append(p.seats, &seat{room: r, lane: r.tally.Lane(last)})
				r.size++
			}
		}
		rooms[i] = r
		return nil
	})
	if err != nil {
		return fmt.Errorf("making rooms: %w", err)
	}
	w.rooms = append(w.rooms, rooms...)
	return nil
}

// settled is the last of a room's own messages before the load, once every
// member's node knows of it: a device begins behind it, wherever it connects.
func (w *world) settled(ctx context.Context, id chat.RoomID, members []*person) (last chat.Seq, err error) {
	for i, m := range members {
		if i > 0 && len(w.target.nodes) == 1 {
			break // there is but one that could know
		}
		var failed error
		err := until(ctx, func() bool {
			list, err := m.account.Rooms(ctx)
			failed = err
			for _, e := range list {
				if e.Room.ID == id && e.LastSeq >= last {
					last = e.LastSeq
					return true
				}
			}
			return err != nil
		})
		if err := errors.Join(failed, err); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// makeRoom makes a group, or without a name the direct room of two.
func makeRoom(ctx context.Context, name string, members []*person) (chat.RoomID, error) {
	first := members[0].account
	var others []chat.UserID
	for _, p := range members[1:] {
		others = append(others, chat.UserID(p.id))
	}
	var made *wire.Room
	var err error
	if name == "" {
		made, err = first.Direct(ctx, others[0])
	} else {
		made, err = first.Group(ctx, name, others...)
	}
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

// connect brings devices online, each at the end of their queue.
func (w *world) connect(ctx context.Context, players []*player) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	err := each(ctx, setupWorkers, len(players), func(i int) error {
		p := players[i]
		cursor, err := p.person.account.Cursor(ctx)
		if err != nil {
			return err
		}
		p.dial(ctx, cursor)
		return p.device.WaitLive(ctx)
	})
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

// dial starts the device at a cursor.
func (p *player) dial(ctx context.Context, cursor string) {
	w := p.world
	o := client.Options{
		URLs: []string{p.person.account.Base()}, Token: p.person.account.Token, Cursor: cursor, Name: "natter bench",
		Event: p.event, State: p.state, AckEvery: ackEvery,
	}
	if w.config.Workload == Storm {
		o.BackoffBase = w.config.Spread
	}
	if w.config.Workload == Idle {
		o.AckEvery = 0 // it hears nothing
	}
	p.device = client.Dial(context.WithoutCancel(ctx), o)
}

// state is a device's callback: a connection that breaks is an error, unless
// the workload breaks it.
func (p *player) state(s client.State, err error) {
	w := p.world
	switch s {
	case client.Live:
		if cut := p.cut.Swap(0); cut != 0 {
			w.backAgain(time.Duration(w.now() - cut))
		}
	case client.Waiting:
		w.breaks.Add(1)
		if !w.mayBreak {
			w.fail(fmt.Errorf("a connection broke: %w", err))
		}
	case client.Ended:
		if !errors.Is(err, client.ErrClosed) {
			w.fail(fmt.Errorf("a device ended: %w", err))
		}
	}
}

// ackEvery is how often a device tells its cursor, as an app would.
const ackEvery = 2 * time.Second

// each does n things, a few at once, and returns the first error.
func each(ctx context.Context, workers, n int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	for range min(workers, n) {
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
