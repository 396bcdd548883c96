package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/jetstream"
)

// stores for tests, one a letter.
func storeOf(letter string) string { return strings.Repeat(letter, 2*storeBytes) }

// member's roll over a directory of its own.
func newTestRoll(t *testing.T, name string, members map[string]rollMember) *roll {
	t.Helper()
	d, err := openDirectory(filepath.Join(t.TempDir(), "data"), identity{Name: name, Partitions: 1, Cluster: true, ClusterName: "natter", ClusterID: "0123456789abcdef"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	r, err := openRoll(d, name, 3, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if members != nil {
		if err := r.adopt(rollRecord{Version: 1, Revision: 7, Members: members}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestWhoIsAdmitted(t *testing.T) {
	full := map[string]rollMember{"a": {Store: storeOf("a")}, "b": {Store: storeOf("b")}, "c": {Store: storeOf("c"), Next: storeOf("d")}}
	for _, c := range []struct {
		what, name, store, says string
		members                 map[string]rollMember
	}{
		{"the member", "a", storeOf("a"), "", full},
		{"emptied", "a", storeOf("e"), "`natter cluster replace a`", full},
		{"an older version of a known member", "a", "", "doesn't tell its store", full},
		{"another member's store", "a", storeOf("b"), "cluster's a has the store aaaaaaaa", full},
		{"who is being replaced", "c", storeOf("c"), "is being replaced", full},
		{"who isn't let in yet", "c", storeOf("d"), "comes with the store dddddddd", full},
		{"another name", "d", storeOf("d"), "its members are a, b, c: who replaces one of them takes its name", full},
		{"a first start", "a", storeOf("e"), "", nil},
		{"not all are known yet", "b", storeOf("e"), "", map[string]rollMember{"a": {Store: storeOf("a")}}},
		{"not all are known yet, of an older version", "b", "", "", map[string]rollMember{"a": {Store: storeOf("a")}}},
		{"known among some", "a", storeOf("e"), "comes with the store", map[string]rollMember{"a": {Store: storeOf("a")}}},
	} {
		err := rollRecord{Members: c.members}.admits(c.name, c.store, 3)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
	}
}

// A member's copy of the roll outlives the process, isn't taken back by an older one, and
// isn't believed by another store.
func TestTheCopyOfTheRoll(t *testing.T) {
	r := newTestRoll(t, "b", nil)
	members := map[string]rollMember{"a": {Store: storeOf("a"), Since: 5}, "b": {Store: r.store}, "c": {Store: storeOf("c")}}
	if err := r.adopt(rollRecord{Version: 1, Revision: 7, Members: members}); err != nil {
		t.Fatal(err)
	}
	if err := r.adopt(rollRecord{Version: 1, Revision: 6}); err != nil || r.current().Revision != 7 {
		t.Errorf("an older roll was taken: %+v, %v", r.current(), err)
	}
	dir := filepath.Dir(r.path)
	d := &directory{path: dir}
	again, err := openRoll(d, "b", 3, quiet(t))
	if err != nil || !reflect.DeepEqual(again.current(), r.current()) || again.store != r.store {
		t.Errorf("read again: %+v, %v; want %+v", again.current(), err, r.current())
	}
	if err := os.RemoveAll(filepath.Join(dir, streamsDir)); err != nil {
		t.Fatal(err)
	}
	emptied, err := openRoll(d, "b", 3, quiet(t))
	if err != nil || emptied.store == r.store || len(emptied.current().Members) != 0 {
		t.Errorf("an emptied directory is still %s with %+v, %v", emptied.store, emptied.current(), err)
	}
	for _, c := range []struct{ file, text string }{{rollFile, "{"}, {storeFile, "me"}} { // the store is read first
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openRoll(d, "b", 3, quiet(t)); err == nil || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s %q: %v", c.file, c.text, err)
		}
	}
}

// Both sides of a route know when they don't know each other, and the one that has the
// roll remembers who came.
func TestNodesMeet(t *testing.T) {
	b := newTestRoll(t, "b", map[string]rollMember{"a": {Store: storeOf("a")}, "b": {Store: storeOf("b")}, "c": {Store: storeOf("c")}})
	emptied := newTestRoll(t, "a", nil)
	if err := b.meet("a", emptied.say()); err == nil {
		t.Error("an emptied a got in")
	}
	if got := b.newcomer("a"); got != emptied.store || len(b.again) != 1 {
		t.Errorf("the newcomer is %q, want %q", got, emptied.store)
	}
	if got := b.strangers(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("strangers: %v", got)
	}
	if err := emptied.meet("b", b.say()); err != nil {
		t.Errorf("a fresh node turns away b: %v", err)
	}
	if by := emptied.shutNow(); !slices.Equal(by, []string{"b"}) {
		t.Errorf("it is shut out by %v", by)
	}
	if by := emptied.shutOut(false, map[string]bool{"c": true}); !slices.Equal(by, []string{"b"}) {
		t.Errorf("shut out by %v", by)
	}
	before := emptied.forgetShut()
	if by := emptied.shutOut(false, before); len(by) != 1 {
		t.Error("who was turned away and hears nothing more goes on")
	}
	before = emptied.forgetShut()
	if by := emptied.shutOut(true, before); len(by) != 0 {
		t.Errorf("who is let in waits for %v", by)
	}
	if err := b.adopt(b.current().with("a", rollMember{Store: emptied.store})); err != nil {
		t.Fatal(err)
	}
	if b.current().Members["a"].Store == emptied.store {
		t.Error("a roll of the same revision was taken")
	}
	next := b.current().with("a", rollMember{Store: emptied.store})
	next.Revision++
	if err := b.adopt(next); err != nil {
		t.Fatal(err)
	}
	if err := b.meet("a", emptied.say()); err != nil || b.newcomer("a") != "" {
		t.Errorf("the replacement isn't let in: %v", err)
	}
	if err := emptied.meet("b", b.say()); err != nil || len(emptied.shutNow()) != 0 {
		t.Errorf("it still thinks that it is shut out: %v", emptied.shutNow())
	}
	if err := b.meet("c", []byte("nonsense")); err == nil {
		t.Error("nonsense got in")
	}
}

// The first to write the roll writes down whom it has met; who tells no store, or is one
// too many, isn't in it.
func TestWhoIsEntered(t *testing.T) {
	r := newTestRoll(t, "a", nil)
	b, c := newTestRoll(t, "b", nil), newTestRoll(t, "c", nil)
	for name, told := range map[string][]byte{"b": b.say(), "c": nil} {
		if err := r.meet(name, told); err != nil {
			t.Fatal(err)
		}
	}
	all := r.enter(rollRecord{Version: 1}, 7)
	if all.names() != "a, b" || all.Members["a"] != (rollMember{Store: r.store, Since: 7}) || all.Members["b"].Store != b.store {
		t.Errorf("%+v", all)
	}
	if err := r.meet("c", c.say()); err != nil {
		t.Fatal(err)
	}
	known := rollRecord{Version: 1}.with("b", rollMember{Store: storeOf("b")}).with("d", rollMember{Store: storeOf("d")})
	if all := r.enter(known, 7); all.names() != "a, b, d" || all.Members["b"].Store != storeOf("b") || len(known.Members) != 2 {
		t.Errorf("%+v", all)
	}
	if all := r.enter(rollRecord{Version: 1}, 7); all.names() != "a, b, c" {
		t.Errorf("%+v", all)
	}
}

// Nobody is replaced while one of the others lacks anything.
func TestWhyAMemberIsNotReplaced(t *testing.T) {
	others := []string{"b", "c"}
	fit := func() (map[string]assent, []jetstream.Leadership) {
		return map[string]assent{"b": {Node: "b", Linked: []string{"c"}, Revision: 9}, "c": {Node: "c", Linked: []string{"b"}, Revision: 9}},
			[]jetstream.Leadership{{Stream: "LOG-0", Leader: "b", Replicas: []jetstream.Replica{{Node: "a", Offline: true}, {Node: "c", Current: true}}}}
	}
	for says, spoil := range map[string]func(map[string]assent, []jetstream.Leadership){
		"": func(map[string]assent, []jetstream.Leadership) {},
		"c doesn't answer": func(w map[string]assent, _ []jetstream.Leadership) {
			delete(w, "c")
		},
		"c hasn't all of LOG-0": func(w map[string]assent, _ []jetstream.Leadership) {
			w["c"] = assent{Node: "c", Linked: []string{"b"}, Revision: 9, Behind: []string{"LOG-0"}}
		},
		"a is connected to b": func(w map[string]assent, _ []jetstream.Leadership) {
			w["b"] = assent{Node: "b", Linked: []string{"a", "c"}, Revision: 9}
		},
		"c has no route to b": func(w map[string]assent, _ []jetstream.Leadership) {
			w["c"] = assent{Node: "c", Revision: 9}
		},
		"c has an older roll": func(w map[string]assent, _ []jetstream.Leadership) {
			w["c"] = assent{Node: "c", Linked: []string{"b"}, Revision: 8}
		},
		"c: it can't read": func(w map[string]assent, _ []jetstream.Leadership) {
			w["c"] = assent{Node: "c", Linked: []string{"b"}, Revision: 9, Problem: "it can't read the roll"}
		},
		"no leader answers for LOG-0":        func(_ map[string]assent, l []jetstream.Leadership) { l[0].Leader = "" },
		"no leader answers for LOG-0 ":       func(_ map[string]assent, l []jetstream.Leadership) { l[0].Leader = "a" },
		"not all there: LOG-0 on c":          func(_ map[string]assent, l []jetstream.Leadership) { l[0].Replicas[1].Current = false },
		"not all there: LOG-0 on c ":         func(_ map[string]assent, l []jetstream.Leadership) { l[0].Replicas[1].Offline = true },
		"not all there: LOG-0 on 1 nodes":    func(_ map[string]assent, l []jetstream.Leadership) { l[0].Replicas[1].Node = "somebody" },
		"no leader answers for LOG-0, LOG-1": func(_ map[string]assent, l []jetstream.Leadership) { l[0].Leader = "" },
	} {
		words, streams := fit()
		if strings.HasSuffix(says, "LOG-1") {
			streams = append(streams, jetstream.Leadership{Stream: "LOG-1"})
		}
		spoil(words, streams)
		why := strings.Join(whyNot(question{Member: "a", Revision: 9}, others, words, streams), "; ")
		if (why == "") != (says == "") || !strings.Contains(why, strings.TrimSpace(says)) {
			t.Errorf("%q: %q", says, why)
		}
	}
	if why := whyNot(question{Member: "a"}, others, nil, nil); len(why) < 3 {
		t.Errorf("nobody says anything: %q", why)
	}
}

// FuzzRoll: whatever the record says, it is read as something that can be written again,
// or refused.
func FuzzRoll(f *testing.F) {
	f.Add([]byte(`{"version":1,"members":{"a":{"store":"` + storeOf("a") + `","next":"` + storeOf("b") + `","since":1}}}`))
	f.Add([]byte(`{"version":1,"members":{"a b":{"store":"` + storeOf("a") + `"}}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRoll(b)
		if err != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseRoll(written); err != nil || len(again.Members) != len(r.Members) || again.Revision != r.Revision {
			t.Errorf("%q was read as %+v and then as %+v, %v", b, r, again, err)
		}
	})
}

// FuzzClaim: what another node tells in a handshake, and in its answers.
func FuzzClaim(f *testing.F) {
	f.Add([]byte(`{"store":"`+storeOf("a")+`","known":["`+storeOf("b")+`"]}`), []byte(`{"node":"a","linked":["b"],"revision":3}`))
	f.Add([]byte(`{"store":"x"}`), []byte(`{"node":"a b"}`))
	f.Fuzz(func(t *testing.T, told, said []byte) {
		if c, err := parseClaim(told); err == nil && told != nil && !isStore(c.Store) {
			t.Errorf("%q is a claim of %q", told, c.Store)
		}
		if w, err := parseAssent(said); err == nil && w.Node == "" {
			t.Errorf("%q is nobody's answer", said)
		}
	})
}
