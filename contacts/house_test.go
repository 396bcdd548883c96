package contacts

import (
	"flag"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"natter/chat"
	"natter/internal/memory"
)

var update = flag.Bool("update", false, "write the golden files; a stored format is never updated, only added")

// quiet is for what would only repeat that a made-up record is bad.
var quiet = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is one store and the services (nodes) over it. Its tests run in a synctest
// bubble: time passes only by pass, and settle is the barrier after which all
// watches have told everything.
type house struct {
	*testing.T
	store *memory.Records
}

func story(t *testing.T, tell func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(&house{t, memory.NewRecords()}) })
}

// node opens a service over the house's store.
func (h *house) node(records ...chat.Records) *Service {
	h.Helper()
	o := Options{Records: h.store, Log: quiet}
	if len(records) > 0 {
		o.Records = records[0]
	}
	s, err := Open(h.Context(), o)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(s.Close)
	return s
}

func (h *house) settle() { synctest.Wait() }

func (h *house) pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock; takes no time
	synctest.Wait()
}

// does has by act, which must pass.
func (h *house) does(s *Service, by, other chat.UserID, act chat.ContactAct) Done {
	h.Helper()
	done, err := s.Act(h.Context(), by, other, act)
	if err != nil {
		h.Fatalf("%s, act %d on %s: %v", by, act, other, err)
	}
	return done
}

// sees checks how u stands to other on a node.
func (h *house) sees(s *Service, u, other chat.UserID, want chat.ContactState) {
	h.Helper()
	p, _ := s.Pair(u, other)
	if got := p.Contact(u).State; got != want {
		h.Errorf("%s sees %s as %s, want %s", u, other, got, want)
	}
}
