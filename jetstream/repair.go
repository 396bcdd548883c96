package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Repair.
//
// What is looked at, and against what:
//
//	LOG ──apply──▶ ids, seqs, records ──=──▶ HISTORY: entries ──=──▶ pages, After
//	                                            │ ids
//	                                            ├──▶ SYNC: the messages of events
//	                                            └──▶ MARKS: rooms, members, last seq; drafts: members
//
// The log is applied by chat's own rules, but only what makes messages and changes
// records: edits, reactions and marks move no seq. Where it no longer reaches back
// to a room's making, it begins with the room as the first take after it left it.
//
// Repair first deletes what can't be read, then, where queues lack something, lets
// an unclean start (recovery.go) make it again, then appends what is still missing
// to HISTORY and MARKS: messages by the log, else by their page, else by a queue
// that told them; pages by their messages. Entries of a queue that the log can't
// make again are a gap, so the queue's stream is purged up to there: a cursor of
// before gets a reset, never a silent gap. LOG and RECORDS are not touched.
//
// What is appended stands behind every checkpoint, and a replay would begin with
// the state without it. So new checkpoints, of the end of everything, replace them.

// RepairOptions are what Check and Repair need; all but Progress are required.
type RepairOptions struct {
	// Store is as for Open. Clean is what the last stop was. No Store may be open.
	Store Options
	// Progress is told how far a stream has been read; it must not block.
	Progress func(stream string, read, last uint64)
}

// Finding is one thing that is wrong.
type Finding struct {
	Stream     string `json:"stream"`
	Subject    string `json:"subject"`
	Seq        uint64 `json:"seq"` // the stream's sequence; 0: no record in particular
	Wrong      string `json:"wrong"`
	Repairable bool   `json:"repairable"`
}

// Check reads the whole store and lists what is wrong, in the order of the streams
// and at most findingsMost. It writes nothing. An error says that it could not look.
func Check(ctx context.Context, o RepairOptions) ([]Finding, error) {
	x, err := attach(ctx, o)
	if err != nil {
		return nil, err
	}
	defer x.close()
	if err := x.look(ctx); err != nil {
		return nil, err
	}
	return x.findings, nil
}

// Repair repairs what Check finds and can be repaired, and returns what was found
// and what is left. After an error the store must be started as after a crash.
func Repair(ctx context.Context, o RepairOptions) (found, left []Finding, err error) {
	tried := false
	for round := 0; ; round++ {
		x, err := attach(ctx, o)
		if err != nil {
			return found, left, err
		}
		x.tried = tried
		err = x.look(ctx)
		if left = x.findings; round == 0 {
			found = left
		}
		failpoint("repair.looked")
		again := !tried && (x.replay || !o.Store.Clean) // what a crash left is a start's work
		done := !again && (round == repairRounds || !slices.ContainsFunc(left, func(f Finding) bool { return f.Repairable }))
		if err == nil && !done {
			err = x.repair(ctx, again)
		}
		x.close()
		if err == nil && !done && again {
			tried, err = true, replay(ctx, o.Store)
		}
		if err != nil || done {
			return found, left, err
		}
	}
}

// repairRounds is how often it is tried: what a replay leaves is found by the next
// look, and what that reveals by one more.
const repairRounds = 3

// findingsMost bounds the list; a store that is wrong in more places is told of
// the first of each kind.
const findingsMost = 10_000

// inspection is a look at a store that nobody else has open.
type inspection struct {
	s        *Store
	o        RepairOptions
	seed     maphash.Seed
	rooms    map[chat.RoomID]*roomSeen
	logs     []logSeen
	queues   map[string]*queueSeen // by subject
	findings []Finding

	drop   []record          // what can't be read, and what is nobody's
	purge  map[string]uint64 // queue streams: all up to there
	replay bool              // something is missing that an unclean start may make again
	tried  bool              // that was done already
	marks  map[markKey]markSeen
	drafts map[markKey]draftSeen
}

// record is a place in a stream.
type record struct {
	stream string
	seq    uint64
}

// logSeen is what a partition's log was found to hold.
type logSeen struct {
	first, last uint64
	at          chat.Millis // the newest command's time
	base        checkpoint  // where a replay would begin
	newest      chat.Millis // the newest checkpoint's time
	told        map[chat.UserID]told
}

// told is the newest command that had something for a user.
type told struct {
	log uint64
	at  chat.Millis
}

// attach connects to a store without starting anything of it.
func attach(ctx context.Context, o RepairOptions) (_ *inspection, err error) {
	s := &Store{o: o.Store, log: o.Store.Log, events: newEventCache()}
	x := &inspection{s: s, o: o, seed: maphash.MakeSeed(), rooms: map[chat.RoomID]*roomSeen{}, queues: map[string]*queueSeen{},
		purge: map[string]uint64{}, marks: map[markKey]markSeen{}, drafts: map[markKey]draftSeen{},
		logs: make([]logSeen, o.Store.Partitions)}
	defer func() {
		if err != nil {
			x.close()
		}
	}()
	if s.control, err = s.connect("repair"); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.control); err != nil {
		return nil, err
	}
	reading, err := s.connect("repair-read")
	if err != nil {
		return nil, err
	}
	s.reader = &reader{conns: []*nats.Conn{reading}, slots: make(chan struct{}, readAtOnce)}
	for p := range o.Store.Partitions {
		if x.logs[p].first, x.logs[p].last, err = s.bounds(ctx, numbered(streamLog, p)); err != nil {
			return nil, err
		}
		x.logs[p].told = map[chat.UserID]told{}
	}
	return x, nil
}

func (x *inspection) close() {
	for _, nc := range x.s.conns {
		nc.Close()
	}
}

// look reads everything; the order matters, each part is judged by those before.
func (x *inspection) look(ctx context.Context) error {
	if err := x.lookCheckpoints(ctx); err != nil {
		return err
	}
	for p := range x.logs {
		if err := x.lookHistory(ctx, p); err != nil {
			return err
		}
	}
	for p := range x.logs {
		if err := x.lookLog(ctx, p); err != nil {
			return err
		}
	}
	for q := range x.logs {
		if err := x.lookQueues(ctx, q); err != nil {
			return err
		}
	}
	for p := range x.logs {
		if err := x.lookMarks(ctx, p); err != nil {
			return err
		}
	}
	err := x.read(ctx, streamCursors, func(m stored) {
		if err := decode(m.Data, new(cursorRecord)); err != nil {
			x.unreadable(streamCursors, m, err, true)
		}
	})
	if err != nil {
		return err
	}
	x.judgeRooms()
	if err := x.judgeQueues(ctx); err != nil {
		return err
	}
	x.judgeMarks()
	x.judgeDrafts()
	slices.SortStableFunc(x.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Seq, b.Seq))
	})
	return nil
}

// lookCheckpoints finds where a replay of each partition would begin.
func (x *inspection) lookCheckpoints(ctx context.Context) error {
	kept := make([][]checkpoint, len(x.logs))
	err := x.read(ctx, streamCheckpoint, func(m stored) {
		if isWindow(m.Subject) {
			if err := decode(m.Data, new(windowRecord)); err != nil {
				x.unreadable(streamCheckpoint, m, err, true) // history has what it tells
			}
			return
		}
		var c checkpoint
		if err := decode(m.Data, &c); err != nil {
			x.unreadable(streamCheckpoint, m, err, true)
			return
		}
		for p := range kept {
			if m.Subject == subjectCheckpoint(p) {
				kept[p] = append(kept[p], c)
				x.logs[p].newest = max(x.logs[p].newest, c.At)
			}
		}
	})
	for p := range kept {
		x.logs[p].base = chooseBase(kept[p], x.logs[p].first, len(x.logs))
	}
	return err
}

// read reads a whole stream. One that is not there is a finding, and empty: an
// unclean start makes it, and again what the log holds for it.
func (x *inspection) read(ctx context.Context, stream string, each func(stored)) error {
	st, err := x.s.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		x.replay = true
		x.find(Finding{Stream: stream, Wrong: "the stream is missing", Repairable: true})
		return nil
	}
	if err != nil {
		return unavailable("state of", stream, err)
	}
	state := st.CachedInfo().State
	tell := func(n uint64) {
		if x.o.Progress != nil {
			x.o.Progress(stream, n, state.LastSeq)
		}
	}
	err = x.s.scan(ctx, stream, 1, func(m stored) error {
		each(m)
		tell(m.Sequence)
		return nil
	})
	tell(state.LastSeq)
	return err
}

func (x *inspection) find(f Finding) {
	if len(x.findings) < findingsMost {
		x.findings = append(x.findings, f)
	}
}

// unreadable notes a record that can't be decoded; it is deleted if what it held
// can be made again.
func (x *inspection) unreadable(stream string, m stored, err error, again bool) {
	if again {
		x.drop = append(x.drop, record{stream, m.Sequence})
	}
	x.find(Finding{stream, m.Subject, m.Sequence, err.Error(), again})
}

// replayWithin bounds an unclean start, which otherwise tries for ever.
const replayWithin = 15 * time.Minute

// replay opens the store as after a crash, and closes it.
func replay(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, replayWithin)
	defer cancel()
	o.Clean = false
	s, err := Open(ctx, o)
	if err != nil {
		return fmt.Errorf("make again what the log holds: %w", err)
	}
	return s.Close(ctx)
}
