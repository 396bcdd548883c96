package edge

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"natter/wire"
)

// Serve answers on ln until Shutdown or until ln fails for good. It may be
// called for several listeners. How many connections there may be, and what
// happens when the process runs out of files, is ln's to say: fasthttp takes any
// error that isn't a time-out for the end.
func (e *Edge) Serve(ln net.Listener) error {
	err := e.server.Serve(ln)
	if e.draining.Load() {
		return nil
	}
	return err
}

// Shutdown lets the clients go: it tells every socket where to connect to,
// gives them a moment to do so, closes what is left with 4000, and returns when
// every session and every request has ended, or with ctx's error.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.draining.Store(true)
	e.Resume()
	e.away.leaving.Wait()
	e.drain() // long polls and streams answer and end
	e.farewell(ctx)
	sessions := make(chan struct{})
	go func() {
		e.hub.all.Wait()
		close(sessions)
	}()
	err := e.server.ShutdownWithContext(ctx)
	select {
	case <-sessions:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	e.roster.close()
	return err
}

// farewell lets the sockets go in waves, so that those who are told where to go
// don't all arrive there at once. Without another node they are only closed.
func (e *Edge) farewell(ctx context.Context) {
	spread := maxSpread
	if deadline, ok := ctx.Deadline(); ok {
		spread = min(spread, (time.Until(deadline)-drainWithin)/2)
	}
	because := goodbye{wire.CloseDraining, "the node is draining"}
	e.letGo(ctx, e.hub.shut(), spread, because)
	for _, s := range e.hub.sessions() {
		s.close(because.code, because.reason)
	}
}

// letGo tells sessions to move, in waves over spread, and closes those that stay. It
// returns when the last wave is through; who hasn't been told when ctx ends stays.
func (e *Edge) letGo(ctx context.Context, sessions []*session, spread time.Duration, because goodbye) {
	var others []wire.Node
	for _, n := range e.Nodes("") {
		if n.ID != e.NodeID {
			others = append(others, n)
		}
	}
	frame := wire.Encode(&wire.Move{Nodes: others, WithinMS: drainWithin.Milliseconds()})
	if len(others) == 0 {
		dismiss(ctx, sessions, frame, 0, because)
		return
	}
	var gone sync.WaitGroup
	for _, w := range waves(len(sessions), spread) {
		gone.Go(func() {
			if sleep(ctx, w.after) {
				dismiss(ctx, sessions[w.from:w.to], frame, drainWithin, because)
			}
		})
	}
	gone.Wait()
}

// The waves of a farewell: how many sockets are one at least, how many waves
// there are at most, and over how long.
const (
	waveSockets = 200
	maxWaves    = 20
	maxSpread   = 10 * time.Second
)

// wave is a part of the sockets, and when it is told.
type wave struct {
	from, to int
	after    time.Duration
}

// waves splits n sockets into waves evenly over spread.
func waves(n int, spread time.Duration) []wave {
	size := max(waveSockets, (n+maxWaves-1)/maxWaves)
	var all []wave
	for from := 0; from < n; from += size {
		all = append(all, wave{from: from, to: min(from+size, n)})
	}
	for i := range all {
		all[i].after = max(0, spread) * time.Duration(i) / time.Duration(len(all))
	}
	return all
}

// dismiss tells sessions to go, gives them time to, and closes those that stay.
func dismiss(ctx context.Context, sessions []*session, move []byte, within time.Duration, because goodbye) {
	for _, s := range sessions {
		s.put(move)
	}
	if within > 0 {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		for _, s := range sessions {
			select {
			case <-s.life.Done():
			case <-ctx.Done():
			}
		}
	}
	for _, s := range sessions {
		s.close(because.code, because.reason)
	}
}

// sleep waits d; false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
