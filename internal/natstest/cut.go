package natstest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// StartCutCluster is StartCluster of servers whose routes can be cut.
func StartCutCluster(t testing.TB, dir string, durable bool) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: dir, durable: durable, wires: new([3][3]*wire)}
	c.start()
	return c
}

// Cut breaks every route of node i and lets none through any more: for the others it is as
// if the machine had lost its power, none of them is told.
func (c *Cluster) Cut(i int) {
	for k := range c.Nodes {
		if k != i {
			c.wires[i][k].cut()
			c.wires[k][i].cut()
		}
	}
}

// nowhere is what the servers tell each other of where they are: nobody gets there but by a wire.
const nowhere = "127.0.0.1:1"

// wire passes on what one server dials another with.
type wire struct {
	to     int
	listen net.Listener

	mu     sync.Mutex
	broken bool
	open   map[net.Conn]struct{}
	done   sync.WaitGroup
}

// lay makes the wires between the servers, until the test ends.
func (c *Cluster) lay() {
	for i := range c.Nodes {
		for k := range c.Nodes {
			listen, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				c.t.Fatal(err)
			}
			w := &wire{to: c.ports[k], listen: listen, open: map[net.Conn]struct{}{}}
			w.done.Go(w.accept)
			c.wires[i][k] = w
			c.t.Cleanup(func() {
				listen.Close()
				w.cut()
				w.done.Wait()
			})
		}
	}
}

func (w *wire) accept() {
	for {
		near, err := w.listen.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.to))
		if err != nil {
			near.Close()
			continue
		}
		w.mu.Lock()
		if w.broken {
			near.Close()
			far.Close()
			w.mu.Unlock()
			continue
		}
		w.open[near], w.open[far] = struct{}{}, struct{}{}
		w.mu.Unlock()
		w.done.Go(func() { w.pass(near, far) })
		w.done.Go(func() { w.pass(far, near) })
	}
}

func (w *wire) pass(from, to net.Conn) {
	_, _ = io.Copy(to, from) // it ends when either end does
	from.Close()
	to.Close()
	w.mu.Lock()
	delete(w.open, from)
	w.mu.Unlock()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = true
	for c := range w.open {
		c.Close()
	}
}
