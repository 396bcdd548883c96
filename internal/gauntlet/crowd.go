//go:build linux

package gauntlet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/wire"
)

// Traffic says who talks, and how much.
type Traffic struct {
	People int     // at least 6: a third each over WebSocket, stream and long poll
	Rate   float64 // messages a second, all together
	Bytes  int     // a text's length, about
}

// The rooms of a crowd: each two have a direct one, each four in a row a group, and
// all of them one. Of the messages one in four goes to each kind of group.
const (
	smallGroup = 4
	everyNth   = 4
)

const password = "a password for the gauntlet"

// crowd is everybody who takes part.
type crowd struct {
	cluster *cluster
	record  *record
	traffic Traffic

	people  []*person
	rooms   []chat.RoomID
	outside []*outsider

	plant func(d *device, s showing, show func(showing)) // a test's: changes what was shown

	ctx     context.Context // ends everything
	cancel  context.CancelFunc
	online  context.Context // ends the devices
	depart  context.CancelFunc
	quiet   context.CancelFunc // ends the talking
	work    sync.WaitGroup
	waiting atomic.Int64 // messages without an answer
	refused atomic.Pointer[error]
	resets  atomic.Int64
}

// person is somebody with one device or two; the first one sends.
type person struct {
	number  int
	name    string
	account *client.Account
	hop     *hopper       // of account
	rooms   []chat.RoomID // the direct one, the small group, all
	members map[chat.RoomID]chat.Seq
	devices []*device
	queue   chan client.Outgoing // of one who sends over HTTP
	owed    atomic.Int64
}

// gather signs people up and makes their rooms.
func gather(ctx context.Context, c *cluster, traffic Traffic, random *rand.Rand) (*crowd, error) {
	w := &crowd{cluster: c, record: newRecord(), traffic: traffic}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.online, w.depart = context.WithCancel(w.ctx)
	for i := range traffic.People {
		p := &person{number: i, name: fmt.Sprintf("p%02d", i), hop: w.hopper(random), members: map[chat.RoomID]chat.Seq{}}
		p.account = w.account(p.hop)
		w.people = append(w.people, p)
	}
	tag := random.Uint32()
	for _, p := range w.people {
		if err := w.signUp(p.account, fmt.Sprintf("%sx%08x", p.name, tag)); err != nil {
			return w, err
		}
	}
	if err := w.makeRooms(); err != nil {
		return w, err
	}
	for i, name := range []string{"stranger", "former"} {
		o := &outsider{name: name, account: w.account(w.hopper(random)), random: rand.New(rand.NewPCG(random.Uint64(), uint64(i)))}
		w.outside = append(w.outside, o)
		if err := w.signUp(o.account, fmt.Sprintf("%sx%08x", name, tag)); err != nil {
			return w, err
		}
	}
	return w, w.expel(w.outside[1])
}

// account is a device of nobody yet, whose every request goes where h says.
func (w *crowd) account(h *hopper) *client.Account {
	return client.NewAccount(w.cluster.nodes[0].url(), &http.Client{Timeout: requestLimit, Transport: h})
}

func (w *crowd) signUp(a *client.Account, username string) error {
	return w.persist("sign up", func(ctx context.Context) error {
		return a.SignUp(ctx, wire.SignUp{Username: username, Password: password, Name: username, DeviceName: "first"})
	})
}

// persist tries something until it is done: the cluster has just started. It gives
// up at a refusal that won't change, or after setupLimit.
func (w *crowd) persist(what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(w.ctx, setupLimit)
	defer cancel()
	for {
		err := do(ctx)
		switch code := client.CodeOf(err); {
		case err == nil:
			return nil
		case code != "" && code != chat.KindUnavailable && code != chat.KindInternal:
			return fmt.Errorf("%s: %w", what, err)
		case !sleep(ctx, 200*time.Millisecond):
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

const (
	setupLimit   = 30 * time.Second
	requestLimit = 10 * time.Second // of any request but a stream
	pollWait     = 5 * time.Second
	postLimit    = 5 * time.Second // of one try to send over HTTP
)

func (w *crowd) makeRooms() error {
	for i, p := range w.people {
		if i%2 == 0 && i+1 < len(w.people) {
			if err := w.makeRoom("", p, w.people[i+1]); err != nil {
				return err
			}
		}
		if i%smallGroup == 0 && i+1 < len(w.people) {
			if err := w.makeRoom(fmt.Sprintf("group %d", i/smallGroup), w.people[i:min(i+smallGroup, len(w.people))]...); err != nil {
				return err
			}
		}
	}
	return w.makeRoom("everybody", w.people...)
}

// makeRoom makes a group, or without a name the direct room of two.
func (w *crowd) makeRoom(name string, members ...*person) error {
	var others []chat.UserID
	for _, p := range members[1:] {
		others = append(others, p.account.User().ID)
	}
	return w.persist("make a room", func(ctx context.Context) error {
		var room *wire.Room
		var err error
		if name == "" {
			room, err = members[0].account.Direct(ctx, others[0])
		} else {
			room, err = members[0].account.Group(ctx, name, others...)
		}
		if err != nil {
			return err
		}
		w.rooms = append(w.rooms, room.ID)
		for _, p := range members {
			p.rooms = append(p.rooms, room.ID)
		}
		return nil
	})
}

// everybody is the room of all.
func (w *crowd) everybody() chat.RoomID { return w.rooms[len(w.rooms)-1] }

// expel takes one in and out of the room of all, before anything is said in it.
func (w *crowd) expel(o *outsider) error {
	first := w.people[0].account
	if err := w.persist("let one in", func(ctx context.Context) error {
		return first.AddMember(ctx, w.everybody(), o.account.User().ID)
	}); err != nil {
		return err
	}
	return w.persist("put one out", func(ctx context.Context) error {
		return first.RemoveMember(ctx, w.everybody(), o.account.User().ID)
	})
}

// begin brings everybody's devices online and starts the talking.
func (w *crowd) begin(random *rand.Rand) error {
	for _, room := range w.rooms {
		for _, n := range w.cluster.nodes {
			w.record.history.Member(room, historyOf(n), 0)
		}
	}
	for _, p := range w.people {
		if err := w.lastSeqs(p); err != nil {
			return err
		}
		for i := range 1 + btoi(p.number%4 == 0) {
			d, err := w.newDevice(p, (p.number+i)%int(kinds), i, random)
			if err != nil {
				return err
			}
			p.devices = append(p.devices, d)
		}
	}
	for _, p := range w.people {
		for _, d := range p.devices {
			if err := d.online(); err != nil {
				return err
			}
		}
		if p.devices[0].kind != overSocket {
			p.queue = make(chan client.Outgoing, httpBacklog)
			w.work.Go(func() { w.post(p) })
		}
	}
	for _, o := range w.outside {
		if err := w.listen(o); err != nil {
			return err
		}
		w.work.Go(func() { w.snoop(o) })
	}
	talking, quiet := context.WithCancel(w.online)
	w.quiet = quiet
	own := rand.New(rand.NewPCG(random.Uint64(), 2)) // the pacer's
	w.work.Go(func() { w.pace(talking, own) })
	return nil
}

// lastSeqs notes up to where each of a person's rooms had been before.
func (w *crowd) lastSeqs(p *person) error {
	return w.persist("list the rooms", func(ctx context.Context) error {
		entries, err := p.account.Rooms(ctx)
		for _, e := range entries {
			p.members[e.Room.ID] = e.LastSeq
		}
		if err == nil && len(entries) < len(p.rooms) {
			return &wire.Problem{Code: chat.KindUnavailable, Detail: "a room is missing in the list"}
		}
		return err
	})
}

func historyOf(n *node) check.Reader { return check.Reader("history@" + n.name) }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
