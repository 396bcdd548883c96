//go:build linux

package gauntlet

import (
	"context"
	"net"
	"testing"
	"time"
)

// TestLAN: people reach every node, nodes reach each other until a line is cut, in
// one direction, and again when it is healed.
func TestLAN(t *testing.T) {
	if err := lanUsable(); err != nil {
		t.Skipf("SKIPPED: %v; nothing is known about partitions here", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l, err := newLAN(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, s := range l.spaces {
		var listener net.Listener
		if err := onThread(func() error {
			if err := s.enter(); err != nil {
				return err
			}
			listener, err = net.Listen("tcp", s.ip+":9")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	reaches := func(from *space, to int) bool {
		var conn net.Conn
		err := onThread(func() error {
			if err := from.enter(); err != nil {
				return err
			}
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			conn, err = new(net.Dialer).DialContext(short, "tcp", l.spaces[to].ip+":9")
			return err
		})
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	all := func(want bool, pairs ...[2]int) {
		t.Helper()
		for _, p := range pairs {
			if reaches(l.spaces[p[0]], p[1]) != want {
				t.Errorf("%d reaches %d: %v", p[0], p[1], !want)
			}
		}
	}
	for i := range l.spaces {
		if !reaches(l.hub, i) {
			t.Errorf("people don't reach node %d", i)
		}
		if conn, err := l.dial(ctx, "tcp", l.spaces[i].ip+":9"); err != nil {
			t.Error(err)
		} else {
			_ = conn.Close()
		}
	}
	all(true, [2]int{0, 1}, [2]int{1, 0}, [2]int{1, 2})
	if err := l.cut(ctx, 0, 1); err != nil {
		t.Fatal(err)
	}
	all(false, [2]int{0, 1}, [2]int{1, 0}) // answers don't come back
	all(true, [2]int{0, 2}, [2]int{1, 2})
	if err := l.heal(ctx, 0, 1); err != nil {
		t.Fatal(err)
	}
	all(true, [2]int{0, 1}, [2]int{1, 0})
}
