package edge

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"natter/chat"
	"natter/wire"
)

// FuzzPage: a page token is refused as invalid, or reads back the same.
func FuzzPage(f *testing.F) {
	f.Add(page{1, "g1"}.String())
	f.Add("!")
	f.Add("LTEuYQ")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePage(s)
		if err != nil {
			if chat.KindOf(err) != chat.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		if s == "" {
			return
		}
		if again, err := parsePage(p.String()); err != nil || again != p || !chat.ValidID(string(p.id)) {
			t.Fatalf("%q is %+v, and again %+v, %v", s, p, again, err)
		}
	})
}

// FuzzForwarded: only what a trusted proxy appended counts.
func FuzzForwarded(f *testing.F) {
	prefixes, err := parsePrefixes([]string{"10.0.0.0/8", "::1"})
	if err != nil {
		f.Fatal(err)
	}
	proxies := trusted(prefixes)
	f.Add("1.2.3.4, 10.0.0.1", "10.0.0.2")
	f.Add("evil, ::ffff:10.0.0.1,", "::1")
	f.Fuzz(func(t *testing.T, forwarded, peer string) {
		addr, err := netip.ParseAddr(peer)
		if err != nil {
			return
		}
		got := proxies.client(addr, forwarded)
		if !proxies.has(addr.Unmap()) && got != addr.Unmap() {
			t.Fatalf("a stranger's word %q made %s of %s", forwarded, got, peer)
		}
		if !got.IsValid() {
			t.Fatal("no address")
		}
	})
}

func TestForwarded(t *testing.T) {
	prefixes, err := parsePrefixes([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	proxies := trusted(prefixes)
	for _, c := range []struct{ peer, forwarded, want string }{
		{"1.2.3.4", "9.9.9.9", "1.2.3.4"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", "9.9.9.9", "9.9.9.9"},
		{"10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"},
		{"10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.7", "9.9.9.9"},
		{"10.0.0.1", "nonsense", "10.0.0.1"},
		{"::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"},
	} {
		if got := proxies.client(netip.MustParseAddr(c.peer), c.forwarded); got.String() != c.want {
			t.Errorf("peer %s, forwarded %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
	for _, bad := range []string{"x", "10.0.0.0/99", ""} {
		if _, err := parsePrefixes([]string{bad}); err == nil {
			t.Errorf("%q is a proxy", bad)
		}
	}
}

// FuzzOrigin: an origin that passes is one of ours, to the letter of its host.
func FuzzOrigin(f *testing.F) {
	e := &Edge{Options: Options{PublicURL: "https://chat.example", Origins: []string{"https://app.example"}}}
	f.Add("https://chat.example")
	f.Add("https://chat.example.evil")
	f.Add("null")
	f.Fuzz(func(t *testing.T, origin string) {
		var c fasthttp.RequestCtx
		c.Request.Header.SetHost("node.example")
		c.Request.Header.Set("Origin", origin)
		sent := string(c.Request.Header.Peek("Origin")) // as a header can carry it
		if sent == "" || !e.ownOrigin(&c) {
			return
		}
		lower := strings.ToLower(sent)
		for _, host := range []string{"chat.example", "app.example", "node.example"} {
			_, after, _ := strings.Cut(lower, "://")
			if after == host || strings.HasPrefix(after, host+"/") || strings.HasPrefix(after, host+"?") || strings.HasPrefix(after, host+"#") || strings.HasSuffix(after, "@"+host) {
				return
			}
		}
		t.Fatalf("%q passes", sent)
	})
}

// FuzzFrames: joining anything makes well-formed frames that hold it.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("a"), uint8(3))
	f.Add([]byte(strings.Repeat("x", 70_000)), uint8(1))
	f.Fuzz(func(t *testing.T, payload []byte, n uint8) {
		var items []item
		event := wire.Marshal(&wire.Event{Type: chat.EventRoomLeft, RoomID: "g1"})
		for i := range n {
			if i%3 == 0 {
				items = append(items, item{frame: payload})
			} else {
				items = append(items, item{frame: event, event: true, cursor: chat.Cursor{Epoch: 1, Seq: uint64(i)}})
			}
		}
		out := (&frames{user: "u1"}).join(items)
		events := 0
		for len(out) > 0 {
			size, head := int(out[1]), 2
			switch size {
			case 126:
				size, head = int(out[2])<<8|int(out[3]), 4
			case 127:
				size, head = int(out[6])<<24|int(out[7])<<16|int(out[8])<<8|int(out[9]), 10
			}
			text := out[head : head+size]
			out = out[head+size:]
			if string(text) == string(payload) {
				continue
			}
			frame, err := wire.DecodeServer(text)
			if err != nil {
				t.Fatal(err)
			}
			switch f := frame.(type) {
			case *wire.EventFrame:
				events++
			case *wire.EventsFrame:
				events += len(f.Events)
			}
		}
		if want := int(n) - (int(n)+2)/3; events != want {
			t.Fatalf("%d events of %d", events, want)
		}
	})
}
