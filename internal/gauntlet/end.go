//go:build linux

package gauntlet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/wire"
)

const (
	drainLimit = 60 * time.Second // for the last answers, and again for the last deliveries
	quietFor   = 10 * time.Second // after which what is missing is taken for lost
)

// settle ends the talking and waits for the last answers and deliveries. What is
// not there after that is for the checker to say.
func (w *crowd) settle() error {
	w.quiet()
	if !w.until(drainLimit, func() bool { return w.waiting.Load() == 0 }) {
		return fmt.Errorf("%d messages are without an answer %s after the last one was sent%s", w.waiting.Load(), drainLimit, w.owing())
	}
	w.until(drainLimit, func() bool { return w.missing() == 0 || w.record.now()-w.record.lastShown() > quietFor })
	return nil
}

// until waits for a condition, up to limit.
func (w *crowd) until(limit time.Duration, is func() bool) bool {
	late := time.Now().Add(limit)
	for !is() {
		if time.Now().After(late) || !sleep(w.ctx, 50*time.Millisecond) {
			return is()
		}
	}
	return true
}

// owing says who waits.
func (w *crowd) owing() (text string) {
	for _, p := range w.people {
		if n := p.owed.Load(); n > 0 {
			text += fmt.Sprintf("\n  %s waits for %d", p.devices[0].reader, n)
			if d := p.devices[0].socket; d != nil {
				text += ", and is " + d.State().String()
			}
		}
	}
	return text
}

// missing is what devices have not been shown yet.
func (w *crowd) missing() int {
	return w.record.history.Missing(func(r check.Reader) bool { return !w.isHistory(r) })
}

func (w *crowd) isHistory(r check.Reader) bool {
	for _, n := range w.cluster.nodes {
		if r == historyOf(n) {
			return true
		}
	}
	return false
}

// readHistories reads each room's whole history through each node, as one more
// reader each.
func (w *crowd) readHistories() error {
	var errs []error
	for _, n := range w.cluster.nodes {
		for _, room := range w.rooms {
			member := w.memberOf(room)
			member.hop.stay(n)
			errs = append(errs, w.page(member.account, room, 0, func(m *wire.Message) {
				w.record.history.Seen(room, historyOf(n), m.Seq, chat.MessageID(m.ID), chat.ClientID(m.ClientID))
			}))
		}
	}
	return errors.Join(errs...)
}

func (w *crowd) memberOf(room chat.RoomID) *person {
	for _, p := range w.people {
		if _, ok := p.members[room]; ok {
			return p
		}
	}
	panic("gauntlet: a room without members")
}

// offline ends every device and waits for all goroutines.
func (w *crowd) offline() {
	w.depart()
	for _, p := range w.people {
		for _, d := range p.devices {
			d.close()
		}
	}
	for _, o := range w.outside {
		if o.device != nil {
			o.device.Close()
		}
	}
	w.work.Wait()
}

// leave ends everything.
func (w *crowd) leave() {
	w.cancel()
	w.offline()
}

// wrong tells what people met that they never should.
func (w *crowd) wrong() error {
	errs := []error{w.record.wrong()}
	if err := w.refused.Load(); err != nil {
		errs = append(errs, *err)
	}
	for _, p := range w.people {
		for _, d := range p.devices {
			if err := d.ended(); err != nil && !errors.Is(err, client.ErrClosed) && !errors.Is(err, context.Canceled) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (w *crowd) repeats() (n uint64) {
	for _, p := range w.people {
		for _, d := range p.devices {
			n += d.repeats()
		}
	}
	return n
}
