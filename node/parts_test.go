package node

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"natter/chat"
	"natter/internal/memory"
)

func until(t *testing.T, records chat.Records) chat.Millis {
	t.Helper()
	b, _, err := records.Get(t.Context(), "worker.0")
	if err != nil {
		t.Fatal(err)
	}
	var l workerLease
	if err := json.Unmarshal(b, &l); err != nil {
		t.Fatal(err)
	}
	return l.Until
}

// openAlone is the ids of a node alone.
func openAlone(t *testing.T, records chat.Records) (*ids, error) {
	t.Helper()
	return openIDs(t.Context(), records, "n1", aloneLeasing, func(string) bool { return false }, quiet(t))
}

// The bubble's clock starts in 2000, the ids' in 2026.
func inOurTime(t *testing.T, tell func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(chat.SnowflakeEpoch.Time().Add(365 * 24 * time.Hour))) // the bubble's own time
		tell(t)
	})
}

func TestIDs(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		g, err := openAlone(t, records)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[chat.MessageID]bool{}
		var last chat.MessageID
		for range 5000 {
			id, err := g.next()
			if err != nil || id <= last {
				t.Fatalf("%d after %d, %v", id, last, err)
			}
			seen[id], last = true, id
			if id.Time() >= until(t, records) {
				t.Fatal("an id beyond the lease")
			}
			time.Sleep(700 * time.Microsecond)
		}
		// At rest nothing is stored; the first id afterwards takes a lease.
		_, before, _ := records.Get(t.Context(), "worker.0")
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, now, _ := records.Get(t.Context(), "worker.0"); now > before+1 {
			t.Errorf("%d writes at rest", now-before)
		}
		id, err := g.next()
		if err != nil || id.Time() >= until(t, records) {
			t.Errorf("%v, %v", id.Time(), err)
		}
		if err := g.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// After a stop in order the next start doesn't wait.
		begun := time.Now()
		g, err = openAlone(t, records)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited > 2*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		if next, err := g.next(); err != nil || next <= id {
			t.Errorf("%d after %d, %v", next, id, err)
		}
		_ = g.close(t.Context())
	})
}

func TestIDsAfterACrash(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		g, err := openAlone(t, records)
		if err != nil {
			t.Fatal(err)
		}
		id, err := g.next()
		if err != nil {
			t.Fatal(err)
		}
		g.stop() // and no close
		<-g.done
		g, err = openAlone(t, records)
		if err != nil {
			t.Fatal(err)
		}
		next, err := g.next()
		if err != nil || next.Time() < id.Time()+chat.Millis(aloneLeasing.ahead.Milliseconds()) {
			t.Errorf("%v after %v, %v", next.Time(), id.Time(), err)
		}
		_ = g.close(t.Context())
	})
}

func TestIDsRefuseAClockFarBehind(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		b, _ := json.Marshal(workerLease{Version: 1, Until: chat.MillisOf(time.Now().Add(time.Hour))})
		if _, err := records.Put(t.Context(), "worker.0", b, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := openAlone(t, records); err == nil {
			t.Error("ids are made an hour before the last one")
		}
	})
}

// scripted accepts what it is told to.
type scripted struct {
	steps chan func() (net.Conn, error)
	once  sync.Once
}

func (s *scripted) Accept() (net.Conn, error) {
	if step, ok := <-s.steps; ok {
		return step()
	}
	return nil, net.ErrClosed
}
func (s *scripted) Close() error   { s.once.Do(func() { close(s.steps) }); return nil }
func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

func TestListenerOutlivesExhaustion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &scripted{steps: make(chan func() (net.Conn, error), 10)}
		l := newListener(inner, 10, quiet(t))
		for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED} {
			inner.steps <- func() (net.Conn, error) { return nil, &net.OpError{Op: "accept", Err: err} }
		}
		here, there := net.Pipe()
		defer there.Close()
		inner.steps <- func() (net.Conn, error) { return here, nil }
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		_ = c.Close() // again frees nothing
		if l.open() != 0 {
			t.Errorf("%d connections are open", l.open())
		}
		broken := errors.New("broken")
		inner.steps <- func() (net.Conn, error) { return nil, broken }
		if _, err := l.Accept(); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestListenerIsCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &scripted{steps: make(chan func() (net.Conn, error), 10)}
		l := newListener(inner, 2, quiet(t))
		for range 3 {
			here, there := net.Pipe()
			defer there.Close()
			inner.steps <- func() (net.Conn, error) { return here, nil }
		}
		accepted := make(chan net.Conn, 3)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					close(accepted)
					return
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		if len(accepted) != 2 {
			t.Fatalf("%d accepted, want 2", len(accepted))
		}
		_ = (<-accepted).Close()
		synctest.Wait()
		if len(accepted) != 2 || l.open() != 2 {
			t.Errorf("%d waiting and %d open after one has closed", len(accepted), l.open())
		}
		_ = l.Close()
		for c := range accepted {
			_ = c.Close()
		}
	})
}

// A killed node's lock is given up a moment later; the next one waits for it.
func TestAQuickRestartWaitsForTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	dying, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock(dying); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	locked := make(chan error, 1)
	go func() { locked <- lock(next) }()
	if err := dying.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Errorf("the lock was refused: %v", err)
	}
}
