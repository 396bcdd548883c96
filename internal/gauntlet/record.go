//go:build linux

package gauntlet

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/internal/plot"
)

// record is what everybody wrote down: for the checker what was said and shown, for
// the figures when. Its methods are safe for concurrent use; times are since began.
type record struct {
	began   time.Time
	history *check.History

	mu    sync.Mutex
	sent  []sent // by at
	byKey map[chat.ClientID]int
	ids   map[chat.MessageID]chat.ClientID
	twins []chat.MessageID // of two messages
	dated []chat.MessageID // of messages whose time is none at which they were sent
	shown []shown
	marks []plot.Mark
}

// sent is a message on its way.
type sent struct {
	by       int // the person's number
	room     chat.RoomID
	at       time.Duration
	acked    time.Duration // 0: not yet
	measured bool          // sent while the node of its sender was known to be node
	node     string
}

// shown is one showing of a person's message.
type shown struct {
	at, after time.Duration // after: since it was sent
	touched   bool          // to a device whose own node was taken away
	room      chat.RoomID
	reader    check.Reader
}

func newRecord() *record {
	return &record{began: time.Now(), history: check.NewHistory(), byKey: map[chat.ClientID]int{}, ids: map[chat.MessageID]chat.ClientID{}}
}

func (r *record) now() time.Duration { return time.Since(r.began) }

// sends is called before a message leaves. by tells senders apart whose order is
// promised, number whose they are.
func (r *record) sends(by string, number int, node string, m *client.Outgoing) {
	r.history.Sent(m.Room, by, m.ClientID)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byKey[m.ClientID] = len(r.sent)
	r.sent = append(r.sent, sent{by: number, room: m.Room, at: r.now(), node: node, measured: node != ""})
}

// datedWithin is how far an answer's time may be from now: it may be of an earlier try.
const datedWithin = 10 * time.Minute

// wrong tells which ids and times no message should have.
func (r *record) wrong() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	if len(r.twins) > 0 {
		errs = append(errs, fmt.Errorf("%d ids are of two messages: %d", len(r.twins), r.twins[0]))
	}
	if len(r.dated) > 0 {
		errs = append(errs, fmt.Errorf("%d messages are of a time at which nobody sent them: %d", len(r.dated), r.dated[0]))
	}
	return errors.Join(errs...)
}

func (r *record) acks(m *client.Outgoing, got client.Receipt) {
	r.history.Acked(m.Room, m.ClientID, got.ID, got.Seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	if other, ok := r.ids[got.ID]; ok && other != m.ClientID {
		r.twins = append(r.twins, got.ID)
	}
	r.ids[got.ID] = m.ClientID
	for _, at := range []chat.Millis{got.At, got.ID.Time()} {
		if got.At != 0 && time.Since(at.Time()).Abs() > datedWithin {
			r.dated = append(r.dated, got.ID)
		}
	}
	if i, ok := r.byKey[m.ClientID]; ok && r.sent[i].acked == 0 {
		r.sent[i].acked = r.now()
	}
}

func (r *record) shows(reader check.Reader, touched bool, what showing) {
	r.history.Seen(what.room, reader, what.seq, what.id, what.key)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := shown{at: r.now(), touched: touched, room: what.room, reader: reader}
	if i, ok := r.byKey[what.key]; ok {
		s.after = s.at - r.sent[i].at
		r.shown = append(r.shown, s)
	}
}

// acked are the messages that were acknowledged.
func (r *record) acked() map[chat.ClientID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[chat.ClientID]bool{}
	for key, i := range r.byKey {
		if r.sent[i].acked > 0 {
			all[key] = true
		}
	}
	return all
}

// gap is how long somebody waited at most for an answer, within what happened after
// from: a message that was sent before counts from then on. which chooses messages;
// nil is all.
func (r *record) gap(from time.Duration, which func(*sent) bool) time.Duration {
	longest, _ := r.slowest(from, which)
	return longest
}

// slowest is gap with the message that waited so long.
func (r *record) slowest(from time.Duration, which func(*sent) bool) (longest time.Duration, what sent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for i := range r.sent {
		s := &r.sent[i]
		until := s.acked
		if until == 0 {
			until = now
		}
		if until <= from || which != nil && !which(s) {
			continue
		}
		if waited := until - max(s.at, from); waited > longest {
			longest, what = waited, *s
		}
	}
	return longest, what
}

// flows tells whether each of people persons has had an answer to a message sent
// after from, and nobody waits for one sent before it.
func (r *record) flows(from time.Duration, people int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	answered := make(map[int]bool, people)
	for i := range r.sent {
		switch s := &r.sent[i]; {
		case s.at > from && s.acked > 0:
			answered[s.by] = true
		case s.at <= from && s.acked == 0:
			return false
		}
	}
	return len(answered) >= people
}

// lastShown is when anybody was last shown anything.
func (r *record) lastShown() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.shown) == 0 {
		return 0
	}
	return r.shown[len(r.shown)-1].at
}

// delivery is a percentile of the times from sending to showing, within from and
// to, at the devices that no fault was to touch; which chooses among them, nil is all.
func (r *record) delivery(part float64, from, to time.Duration, which func(*shown) bool) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []time.Duration
	for i := range r.shown {
		if s := &r.shown[i]; !s.touched && s.at >= from && s.at <= to && (which == nil || which(s)) {
			all = append(all, s.after)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(part*float64(len(all))), len(all)-1)]
}

// mark notes a fault that begins now and returns its end.
func (r *record) mark(name string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.marks)
	r.marks = append(r.marks, plot.Mark{Name: name, From: r.now().Seconds(), To: r.now().Seconds()})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.marks[i].To = r.now().Seconds()
	}
}

const (
	maxPoints  = 400 // of a line in the timeline
	leastApart = 100 * time.Millisecond
)

// timeline is a drawing of answers and deliveries a second, with the faults.
func (r *record) timeline(title string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var begin, end time.Duration
	if len(r.sent) > 0 {
		begin = r.sent[0].at
	}
	for i := range r.sent {
		end = max(end, r.sent[i].at-begin, r.sent[i].acked-begin)
	}
	for i := range r.shown {
		end = max(end, r.shown[i].at-begin)
	}
	each := max(end/maxPoints, leastApart)
	acked, shown := make([]int, end/each+1), make([]int, end/each+1)
	for i := range r.sent {
		if at := r.sent[i].acked; at > 0 {
			acked[(at-begin)/each]++
		}
	}
	for i := range r.shown {
		shown[(r.shown[i].at-begin)/each]++
	}
	marks := slices.Clone(r.marks)
	for i := range marks {
		marks[i].From -= begin.Seconds()
		marks[i].To -= begin.Seconds()
	}
	course := func(name string, counts []int) plot.Course {
		c := plot.Course{Name: name}
		for i, n := range counts {
			c.Points = append(c.Points, [2]float64{(time.Duration(i) * each).Seconds(), float64(n) / each.Seconds()})
		}
		return c
	}
	return plot.Standalone(title, marks, course("delivered a second", shown), course("acknowledged", acked))
}

// messages is a table of all messages, for whoever asks why somebody waited: when
// each was sent and answered, in seconds, by whom, through which node and in which
// room and partition. An answer at 0 never came.
func (r *record) messages() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []byte("sent,acked,person,node,partition,room\n")
	for i := range r.sent {
		s := &r.sent[i]
		out = fmt.Appendf(out, "%.3f,%.3f,%d,%s,%d,%s\n", s.at.Seconds(), s.acked.Seconds(), s.by, s.node, partitionOf(string(s.room), partitions), s.room)
	}
	return out
}
