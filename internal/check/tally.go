package check

import (
	"strconv"

	"natter/chat"
)

// Tally is a History for a benchmark: it keeps a few words for each reader, not
// each message, and finds the same faults as counts. It leans on seq: a reader
// that sees 1, 2, 3, … without exception has no hole, no repeat and no change
// of order, so one compare a message is the check; and sums of a hash over what
// was acknowledged and what was shown show whether they are the same messages.
//
// A Tally belongs to one room. Its lanes may be used at once, each by one
// goroutine; Check may be called when the lanes are quiet.
type Tally struct {
	room  chat.RoomID
	lanes []*Lane
}

// Lane is one device's part of a Tally. It is for one goroutine.
type Lane struct {
	since, last                      chat.Seq
	seen, text, acked                int
	seenSum, ackedSum                uint64
	twice, order, holes, ownDisorder int
	lastAck                          chat.Seq
	_                                [32]byte // a lane of its own in the cache
}

// NewTally is a tally of a room.
func NewTally(room chat.RoomID) *Tally { return &Tally{room: room} }

// Lane adds a device that is to see everything after since. Not safe for
// concurrent use; make the lanes before the load.
func (t *Tally) Lane(since chat.Seq) *Lane {
	l := &Lane{since: since, last: since}
	t.lanes = append(t.lanes, l)
	return l
}

// Acked says what the server answered to this device's next message: answers
// come in the order of sending. A retry's second answer is not told.
func (l *Lane) Acked(id chat.MessageID, seq chat.Seq) {
	if seq <= l.lastAck {
		l.ownDisorder++
	}
	l.lastAck = seq
	l.acked++
	l.ackedSum += mix(id, seq)
}

// Seen says what the device was shown. text tells a person's message from a
// system message.
func (l *Lane) Seen(id chat.MessageID, seq chat.Seq, text bool) {
	l.seen++
	switch {
	case seq == l.last+1:
		l.last = seq
	case seq == l.last:
		l.twice++
		return
	case seq < l.last:
		l.order++ // or a repeat of an older one; it is wrong either way
		return
	default:
		l.holes += int(seq - l.last - 1)
		l.last = seq
	}
	if text {
		l.text++
		l.seenSum += mix(id, seq)
	}
}

// Delivered is how many text messages the device has been shown.
func (l *Lane) Delivered() int { return l.text }

// Check adds the room's result to rep. It expects that every message sent was
// acknowledged: what was shown and never acknowledged counts as unexpected.
func (t *Tally) Check(rep *Report) {
	rep.Rooms++
	var acked int
	var sum uint64
	for _, l := range t.lanes {
		acked += l.acked
		sum += l.ackedSum
		if l.ownDisorder > 0 {
			rep.find(&rep.Order, "%s: %d answers to one sender fell back in seq", t.room, l.ownDisorder)
		}
	}
	rep.Sent += acked
	rep.Acked += acked
	for i, l := range t.lanes {
		rep.Readers++
		rep.Seen += l.seen
		rep.Twice += l.twice
		rep.Order += l.order
		rep.Holes += l.holes
		switch {
		case l.text < acked:
			rep.Lost += acked - l.text
			rep.Findings = appendBounded(rep.Findings, t.room, i, "saw fewer messages than were acknowledged")
		case l.text > acked:
			rep.Unexpected += l.text - acked
			rep.Findings = appendBounded(rep.Findings, t.room, i, "saw more messages than were acknowledged")
		case l.seenSum != sum:
			rep.Differ++
			rep.Findings = appendBounded(rep.Findings, t.room, i, "saw other messages than were acknowledged")
		}
	}
}

func appendBounded(list []string, room chat.RoomID, lane int, what string) []string {
	if len(list) >= maxFindings {
		return list
	}
	return append(list, string(room)+": reader "+strconv.Itoa(lane)+" "+what)
}

// mix spreads an id and its place over 64 bits (the finalizer of splitmix64),
// so that two wrongs don't add up to a right.
func mix(id chat.MessageID, seq chat.Seq) uint64 {
	x := uint64(id) + uint64(seq)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
