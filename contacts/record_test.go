package contacts

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"natter/chat"
)

func somePair() chat.Pair {
	return chat.Pair{Low: "u1", High: "u2", Friends: 1795000000000, Sides: [2]chat.Side{
		{Asked: 1795000000001, Blocked: 1795000000002, Declined: 1795000000003}, {Asked: 1795000000004, Blocked: 1795000000005, Declined: 1795000000006}}}
}

// TestStoredFormat freezes version 1: every later natter reads these bytes, and
// this one writes them.
func TestStoredFormat(t *testing.T) {
	file := filepath.Join("testdata", "pair.v1.hex")
	got := hex.EncodeToString(encode(somePair()))
	if _, err := os.Stat(file); *update && err != nil { // what is there is frozen
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	frozen := strings.TrimSpace(string(text))
	if got != frozen {
		t.Errorf("a pair is written as\n%s, frozen is\n%s", got, frozen)
	}
	raw, err := hex.DecodeString(frozen)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := decode("pair.u1.u2", raw); err != nil || p != somePair() {
		t.Errorf("read as %+v, %v", p, err)
	}
	for what, key := range map[string]string{"another pair's": "pair.u1.u3", "turned around": "pair.u2.u1", "no pair's": "pair.u1"} {
		if _, err := decode(key, raw); err == nil {
			t.Errorf("read under %s key", what)
		}
	}
	if _, err := decode("pair.u1.u2", must(encoding.Marshal(record{recordVersion + 1, somePair()}))); err == nil {
		t.Error("a record of the future is read")
	}
}

// FuzzRecord: whatever stands in the store is a pair of that key or an error, and
// never brings a watch down.
func FuzzRecord(f *testing.F) {
	f.Add("pair.u1.u2", encode(somePair()))
	f.Add("pair.u2.u1", encode(somePair()))
	f.Add("pair.u1.u2.u3", encode(chat.NewPair("u1", "u2")))
	f.Add("pair..", []byte{})
	f.Add("pair", []byte{0xa0})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s := &Service{o: Options{Log: quiet}, index: newIndex()}
		s.loaded.Store(true)
		s.seen(key, value, 7)
		s.seen(key, nil, 8)
		if pairs, _ := s.Size(); pairs != 0 {
			t.Fatalf("%d pairs are left of a deleted one", pairs)
		}
		p, err := decode(key, value)
		if err != nil {
			return
		}
		if named, ok := pairOf(key); !ok || named.Low != p.Low || named.High != p.High {
			t.Fatalf("%q has %+v", key, p)
		}
	})
}

// BenchmarkMemory tells what a contact costs: 1,000 people with 100 friends each.
func BenchmarkMemory(b *testing.B) {
	const people, friends = 1000, 100
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		s := &Service{o: Options{Log: quiet}, index: newIndex()}
		pairs := 0
		for i := range people {
			for j := range friends / 2 {
				p := chat.NewPair(chat.UserID(fmt.Sprintf("uw9ciq8%05d", i)), chat.UserID(fmt.Sprintf("uw9ciq8%05d", (i+j+1)%people)))
				p.Friends = 1795000000000
				s.seen(pairKey(&p), encode(p), uint64(pairs+1))
				pairs++
			}
		}
		b.ReportMetric(float64(heap()-before)/float64(pairs), "B/pair")
		runtime.KeepAlive(s)
	}
}
