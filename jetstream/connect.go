package jetstream

import (
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// The connections of a Store, all inside the process.
//
// The server of a member of a cluster waits 50 ms on each new one whether it begins with
// TLS, as those from outside must. A member has about twenty, so they are opened all
// at once.

// connect gives out a connection that connectAll has opened, or opens one.
func (s *Store) connect(name string) (*nats.Conn, error) {
	if nc := s.opened[name]; nc != nil {
		delete(s.opened, name)
		return nc, nil
	}
	nc, err := s.open(name)
	if err == nil {
		s.conns = append(s.conns, nc)
	}
	return nc, err
}

func (s *Store) open(name string) (*nats.Conn, error) {
	var options []nats.Option
	if name == connectLive {
		options = append(options, nats.NoEcho()) // what is told from here is told here by calls
	}
	nc, err := s.o.Connect(name, options...)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", name, err)
	}
	return nc, nil
}

// connectAll opens what connect will be asked for.
func (s *Store) connectAll(names []string) error {
	conns, errs := make([]*nats.Conn, len(names)), make([]error, len(names))
	var opening sync.WaitGroup
	for i, name := range names {
		opening.Go(func() { conns[i], errs[i] = s.open(name) })
	}
	opening.Wait()
	s.opened = make(map[string]*nats.Conn, len(names))
	for i, nc := range conns {
		if nc != nil {
			s.opened[names[i]] = nc
			s.conns = append(s.conns, nc)
		}
	}
	return errors.Join(errs...)
}

// connections are the names of all but the first, which everything is made with.
func (s *Store) connections() []string {
	names := []string{connectLive, connectCursors, connectSeen}
	for i := range readAtOnce {
		names = append(names, connectRead(i))
	}
	for p := range s.o.Partitions {
		names = append(names, connectProjector(p), connectCommitter(p))
		if s.clustered() {
			names = append(names, connectTail(p))
		}
	}
	return names
}

const (
	connectLive    = "live"
	connectCursors = "cursors"
	connectSeen    = "seen"
)

func connectRead(i int) string      { return fmt.Sprintf("read-%d", i) }
func connectTail(p int) string      { return fmt.Sprintf("tail-%d", p) }
func connectProjector(p int) string { return fmt.Sprintf("projector-%d", p) }
func connectCommitter(p int) string { return fmt.Sprintf("committer-%d", p) }
