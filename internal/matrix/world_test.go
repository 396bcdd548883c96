package matrix

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

func TestMain(m *testing.M) { harness.Main(m) }

// world is a node and everybody on it. The columns' people are cast; of the others
// gus is a member of every group, fay is in none, and pat and quin have a direct
// room of their own.
type world struct {
	t                  *testing.T
	node               *harness.Node
	cast               []*harness.Person // by column; anonymous has no session, revoked a dead one
	gus, fay, pat, kin *harness.Person
	direct             chat.RoomID
	outside            *group // of who may nothing: it must stay as it is
	http               *http.Client
}

// group is a room in which everybody of the cast who may has said something.
type group struct {
	id   chat.RoomID
	said map[chat.UserID]chat.Seq
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, node: harness.StartNode(t), http: harness.HTTP(t), cast: make([]*harness.Person, len(roles))}
	names := []string{"Ann", "Bob", "Cat", "Dan", "Eve", "Gus", "Fay", "Pat", "Kin"}
	all := make([]*harness.Person, len(names))
	var signing sync.WaitGroup
	for i, name := range names {
		signing.Go(func() { all[i] = harness.SignUp(t, w.node, name) })
	}
	signing.Wait()
	if t.Failed() {
		t.FailNow()
	}
	copy(w.cast, all[:5])
	w.gus, w.fay, w.pat, w.kin = all[5], all[6], all[7], all[8]
	w.cast[5] = &harness.Person{Account: client.NewAccount(w.node.URL(), w.http)}
	revoked := w.cast[2].AnotherDevice("tablet")
	session := revoked.Session()
	if err := revoked.SignOut(harness.Context(t)); err != nil {
		t.Fatal(err)
	}
	revoked.Adopt(session)
	w.cast[6] = revoked
	w.direct = w.pat.DirectWith(w.kin)
	if _, err := post(w.pat, w.direct); err != nil {
		t.Fatal(err)
	}
	w.outside = w.group()
	return w
}

func post(p *harness.Person, room chat.RoomID) (chat.Seq, error) {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	m, err := p.Post(ctx, room, client.NewKey(), "between us")
	if err != nil {
		return 0, err
	}
	return chat.Seq(m.Seq), nil
}

// group makes a new one.
func (w *world) group() *group {
	w.t.Helper()
	owner, admin, ex := w.cast[0], w.cast[1], w.cast[3]
	g := &group{id: owner.GroupWith("us", admin, w.cast[2], ex, w.gus), said: map[chat.UserID]chat.Seq{}}
	path := "/v1/rooms/" + string(g.id) + "/members/"
	if err := owner.Call(harness.Context(w.t), "PATCH", path+string(admin.ID()), wire.ChangeMember{Role: "admin"}, nil); err != nil {
		w.t.Fatal(err)
	}
	sayers := []*harness.Person{owner, admin, w.cast[2], ex, w.gus}
	seqs, errs := make([]chat.Seq, len(sayers)), make([]error, len(sayers))
	var saying sync.WaitGroup
	for i, p := range sayers {
		saying.Go(func() { seqs[i], errs[i] = post(p, g.id) })
	}
	saying.Wait()
	for i, p := range sayers {
		if errs[i] != nil {
			w.t.Fatal(errs[i])
		}
		g.said[p.ID()] = seqs[i]
	}
	if err := owner.RemoveMember(harness.Context(w.t), g.id, ex.ID()); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// target is what a cell's request names.
type target struct {
	room   chat.RoomID
	user   chat.UserID
	seq    chat.Seq
	device string
}

// unknown is what isn't there, of the form of what is.
var unknown = target{room: "gdoesnotexist", user: "udoesnotexist", seq: 7, device: "vdoesnotexist"}

// target makes what a row is asked of, new for who may change it if it changes.
func (w *world) target(of string, role int, changes bool) target {
	w.t.Helper()
	to := target{user: w.gus.ID(), device: string(w.gus.Session().DeviceID)}
	switch of {
	case "-":
	case "unknown":
		return unknown
	case "direct":
		to.room, to.seq = w.direct, 1
	case "group", "own":
		g := w.outside
		if role < outsiders && changes {
			g = w.group()
		}
		to.room, to.seq = g.id, g.said[w.gus.ID()]
		if said, ok := g.said[w.cast[role].ID()]; ok && of == "own" {
			to.seq = said
		}
	case "fay", "me":
		to = w.target("group", role, changes)
		if to.user = w.fay.ID(); of == "me" && role < 5 {
			to.user = w.cast[role].ID()
		}
	default:
		w.t.Fatalf("nothing is called %q", of)
	}
	return to
}

// unchanged fails the test if who may nothing has changed something.
func (w *world) unchanged(check func()) {
	w.t.Helper()
	state := func() (string, string) {
		room, err := w.cast[0].Room(harness.Context(w.t), w.outside.id)
		if err != nil {
			w.t.Fatal(err)
		}
		page, err := w.cast[0].Messages(harness.Context(w.t), w.outside.id, client.Span{})
		if err != nil {
			w.t.Fatal(err)
		}
		theirs, err := w.pat.Messages(harness.Context(w.t), w.direct, client.Span{})
		if err != nil {
			w.t.Fatal(err)
		}
		return string(wire.Marshal(room)) + string(wire.Marshal(page)), string(wire.Marshal(theirs))
	}
	group, direct := state()
	check()
	if after, theirs := state(); after != group || theirs != direct {
		w.t.Errorf("what may not be changed was\n%s\n%s\nand is\n%s\n%s", group, direct, after, theirs)
	}
}
