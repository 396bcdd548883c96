//go:build linux

package fault

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/internal/natstest"
	"natter/wire"
)

// restless does, beside a load, what isn't sending: one person edits messages of a
// page that is sealed and renames a group, and others sign up. Each is tried until it
// is answered, so the last answered is what must be found at the end.
type restless struct {
	*load
	person   *harness.Person
	room     chat.RoomID // whose first page is sealed
	group    chat.RoomID
	texts    map[chat.Seq]string // as they were answered last
	name     string
	arrivals []string // usernames
	ended    context.CancelFunc
	work     sync.WaitGroup
}

// edited is how many messages are edited in turn; the first ones of the room.
const edited = 16

func newRestless(l *load) *restless {
	l.t.Helper()
	r := &restless{load: l, person: harness.SignUp(l.t, l.node, "Restless"), texts: map[chat.Seq]string{}}
	patient := harness.SignUp(l.t, l.node, "Patient")
	r.room = r.person.DirectWith(patient)
	r.group = r.person.GroupWith("group 0", patient)
	for i := range chat.PageMessages + 2 {
		if err := post(r.person, r.room); err != nil {
			l.t.Fatalf("message %d: %v", i, err)
		}
	}
	return r
}

func (r *restless) begin() {
	ctx, cancel := context.WithCancel(r.ctx)
	r.ended = cancel
	r.t.Cleanup(cancel)
	r.work.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			seq, text := chat.Seq(1+i%edited), fmt.Sprintf("edit %d", i)
			if r.until(http.MethodPatch, fmt.Sprintf("/v1/rooms/%s/messages/%d", r.room, seq), map[string]string{"text": text}) {
				r.texts[seq] = text
			}
			name := fmt.Sprintf("group %d", i)
			if r.until(http.MethodPatch, fmt.Sprintf("/v1/rooms/%s", r.group), map[string]string{"name": name}) {
				r.name = name
			}
			if r.pause(betweenTries); i%edited == 0 {
				r.pause(rest)
			}
		}
	})
	r.work.Go(func() {
		pause := time.NewTicker(500 * time.Millisecond)
		defer pause.Stop()
		for i := 1; ctx.Err() == nil; i++ {
			r.arrives(fmt.Sprintf("arrival%d", i))
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	})
}

// end lets them finish what they are at; the node must be up.
func (r *restless) end() {
	r.ended()
	r.work.Wait()
}

// until makes a call until it is answered. It fails the test for any refusal but
// "not now".
func (r *restless) until(method, path string, in any) bool {
	for {
		ctx, cancel := context.WithTimeout(r.ctx, harness.Patience)
		err := r.person.Call(ctx, method, path, in, nil)
		cancel()
		switch code := client.CodeOf(err); {
		case err == nil:
			return true
		case r.ctx.Err() != nil:
			return false
		case code != "" && code != chat.KindUnavailable:
			r.t.Errorf("%s %s: %v", method, path, err)
			return false
		}
		r.pause(betweenTries)
	}
}

// arrives signs somebody up. When an answer was lost the name may be theirs already,
// or kept for a while for a sign-up that was cut short; then nothing was promised.
func (r *restless) arrives(username string) {
	for {
		ctx, cancel := context.WithTimeout(r.ctx, harness.Patience)
		account := client.NewAccount(r.node.URL(), harness.HTTP(r.t))
		err := account.SignUp(ctx, wire.SignUp{Username: username, Password: harness.Password, Name: username, DeviceName: "phone"})
		cancel()
		switch code := client.CodeOf(err); {
		case err == nil:
			r.arrivals = append(r.arrivals, username)
			return
		case code == chat.KindConflict:
			return
		case r.ctx.Err() != nil:
			return
		case code != "" && code != chat.KindUnavailable:
			r.t.Errorf("%s signs up: %v", username, err)
			return
		}
		r.pause(betweenTries)
	}
}

const (
	betweenTries = 20 * time.Millisecond
	// rest is after each round of edits: the projector keeps a page in memory that is amended all
	// the time, and only one that isn't is let go, to be read again.
	rest = 500 * time.Millisecond
)

// pause waits for a while, or until the load ends.
func (r *restless) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
}

// kept asserts that all of it is there.
func (r *restless) kept() {
	r.t.Helper()
	found := map[chat.Seq]string{}
	if err := r.page(&talker{Person: r.person}, r.room, 0, func(m *wire.Message) { found[m.Seq] = m.Text }); err != nil {
		r.t.Fatal(err)
	}
	for seq, text := range r.texts {
		if found[seq] != text {
			r.t.Errorf("message %d was edited to %q and is %q", seq, text, found[seq])
		}
	}
	room, err := r.person.Room(harness.Context(r.t), r.group)
	if err != nil {
		r.t.Fatal(err)
	}
	if room.Name != r.name {
		r.t.Errorf("the group was renamed to %q and is %q", r.name, room.Name)
	}
	for _, username := range r.arrivals {
		account := client.NewAccount(r.node.URL(), harness.HTTP(r.t))
		if err := account.SignIn(harness.Context(r.t), wire.SignIn{Username: username, Password: harness.Password, DeviceName: "again"}); err != nil {
			r.t.Errorf("%s signed up and can't sign in: %v", username, err)
		}
	}
	r.t.Logf("%d messages edited, to %q; the group's name %q; %d arrivals", len(r.texts), found[1], room.Name, len(r.arrivals))
	if len(r.texts) < edited || len(r.arrivals) == 0 {
		r.t.Error("the restless have done too little; the test proves nothing")
	}
}

// plantHoles takes an entry out of one history and of one queue stream in the
// data directory of a node that is down, as a power failure between two files may.
func plantHoles(t *testing.T, data string) {
	t.Helper()
	server := natstest.StartOver(t, filepath.Join(data, "jetstream"))
	defer server.Stop()
	nc, err := server.Connect("holes")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"HISTORY-", "SYNC-"} {
		var fullest natsjs.Stream
		most := uint64(0)
		for p := range 2 {
			stream, err := js.Stream(harness.Context(t), fmt.Sprint(kind, p))
			if err != nil {
				t.Fatal(err)
			}
			if n := stream.CachedInfo().State.Msgs; n >= most {
				fullest, most = stream, n
			}
		}
		info, err := fullest.Info(harness.Context(t), natsjs.WithDeletedDetails(true))
		if err != nil {
			t.Fatal(err)
		}
		gone := map[uint64]bool{}
		for _, n := range info.State.Deleted {
			gone[n] = true
		}
		const behind = 10 // so many stand behind the hole
		left := behind
		for n := info.State.LastSeq; n >= info.State.FirstSeq; n-- {
			if gone[n] {
				continue
			}
			if left--; left < 0 {
				if err := fullest.DeleteMsg(harness.Context(t), n); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		if left >= 0 {
			t.Fatalf("%s holds %d entries", info.Config.Name, info.State.Msgs)
		}
	}
}
