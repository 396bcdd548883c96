package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"natter/chat"
	"natter/internal/memory"
)

// house is one store and the services (nodes) over it. Its tests run in a
// synctest bubble: time passes only by pass, and settle is the barrier after
// which all watches have told everything.
type house struct {
	*testing.T
	store *memory.Records
	ids   atomic.Uint64
}

// story runs a test in a bubble with a fresh house.
func story(t *testing.T, tell func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(&house{T: t, store: memory.NewRecords()}) })
}

// node opens a service over the house's store.
func (h *house) node(change ...func(*Options)) *Service {
	h.Helper()
	o := Options{
		Records: h.store, RateLimits: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		NewID: func() (chat.MessageID, error) { return chat.MessageID(h.ids.Add(1)), nil },
	}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(h.Context(), o)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(s.Close)
	s.hasher.memory, s.hasher.dummy.memory = 64, 64 // the real cost is TestPasswordCost's
	return s
}

func (h *house) settle() { synctest.Wait() }

func (h *house) pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock; takes no time
	synctest.Wait()
}

const goodPassword = "correct horse battery"

func (h *house) signUp(s *Service, name string) Session {
	h.Helper()
	made, err := s.SignUp(h.Context(), Credentials{Username: name, Password: goodPassword, DeviceName: "phone", Addr: "192.0.2.1"})
	if err != nil {
		h.Fatalf("%s can't sign up: %v", name, err)
	}
	return made
}

func (h *house) signIn(s *Service, name string) Session {
	h.Helper()
	made, err := s.SignIn(h.Context(), Credentials{Username: name, Password: goodPassword, DeviceName: "laptop", Addr: "192.0.2.1"})
	if err != nil {
		h.Fatalf("%s can't sign in: %v", name, err)
	}
	return made
}

// refused wants a Problem of a kind and field.
func (h *house) refused(err error, kind chat.Kind, field string) {
	h.Helper()
	var p *chat.Problem
	if !errors.As(err, &p) || p.Kind != kind || p.Field != field {
		h.Errorf("%v; want %s of field %q", err, kind, field)
	}
}

func (h *house) is(err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%v; want %v", err, want)
	}
}

func (h *house) fine(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// faulty passes on to a store, counts, and fails where it is told to.
type faulty struct {
	chat.Records
	mu    sync.Mutex
	fails func(op, key string) error // nil: passes
	gets  atomic.Int64
}

func (f *faulty) fault(op, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails == nil {
		return nil
	}
	return f.fails(op, key)
}

// failOn fails every op on keys of a prefix; "" repairs.
func (f *faulty) failOn(op, prefix string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = func(o, key string) error {
		if prefix != "" && o == op && strings.HasPrefix(key, prefix) {
			return chat.Unavailable("the store is away", 0)
		}
		return nil
	}
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	f.gets.Add(1)
	if err := f.fault("get", key); err != nil {
		return nil, 0, err
	}
	return f.Records.Get(ctx, key)
}

func (f *faulty) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := f.fault("put", key); err != nil {
		return 0, err
	}
	return f.Records.Put(ctx, key, value, revision)
}

func (f *faulty) Delete(ctx context.Context, key string, revision uint64) error {
	if err := f.fault("delete", key); err != nil {
		return err
	}
	return f.Records.Delete(ctx, key, revision)
}
