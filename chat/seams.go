package chat

import "context"

// The seams where a technology begins. Each has the JetStream implementation
// and one in memory (internal/memory) under one conformance suite.
// All methods are safe for concurrent use; errors are *Problem where the caller
// can do something about them, KindUnavailable when the store can't answer now.

// Log takes commands and answers them.
type Log interface {
	// Append commits c and waits for the projector's answer: when it returns a
	// Result the command is on disk, and what it changed can be read. A refusal
	// by the rules is a *Problem. When ctx ends first the command may still
	// take effect; the same ClientID again is safe.
	Append(ctx context.Context, c *Command) (Result, error)
}

// History is the rooms' past and present.
type History interface {
	// Room reads a room's record with its members' marks, and its last message
	// (nil if it has none). KindNotFound if there is no such room.
	Room(ctx context.Context, id RoomID) (*Room, *Message, error)
	// Page reads the messages of seq from..to, both included, oldest first, at
	// most MaxPage. Seqs beyond the last are not an error.
	Page(ctx context.Context, id RoomID, from, to Seq) ([]Message, error)
	// Find looks for the message of a sender and client_id among those created
	// at or after since; nil if there is none.
	Find(ctx context.Context, id RoomID, by UserID, client ClientID, since Millis) (*Message, error)
	// Mine lists a person's marks, of rooms they have left too.
	Mine(ctx context.Context, u UserID) ([]Mark, error)
}

// Drafts are what people have begun to write.
type Drafts interface {
	// Of reads a person's drafts of the given rooms, at most MaxPage of them. A room
	// without one is not in the answer.
	Of(ctx context.Context, u UserID, rooms ...RoomID) (map[RoomID]Draft, error)
}

// Entry is one entry of a queue: the events of one user of one take, and the
// place of the entry before it.
type Entry struct {
	Cursor Cursor // the place after this entry
	// Prev is the sequence of the entry before this one in the same queue, as
	// far as the teller knows; a session whose place is at or beyond Prev misses
	// nothing in between. 0 in what Read returns.
	Prev uint64
	// Events are shared between receivers and must not be changed. The same
	// event told to many is the same pointer.
	Events []*Event
}

// Place is the cursor after Events[i].
func (e *Entry) Place(i int) Cursor {
	c := e.Cursor
	if i < len(e.Events)-1 {
		c.Place = uint64(i) + 1
	}
	return c
}

// Queues are the users' sync queues.
type Queues interface {
	// Head is the place after everything that is in u's queue now.
	Head(ctx context.Context, u UserID) (Cursor, error)
	// Read reads up to limit entries after c, oldest first, and tells whether
	// more follow. If c lies in the middle of an entry, that entry comes first,
	// whole: the caller skips what c covers. at is c as it is honoured: the same, or clamped to an older
	// place after a crash. reset means that c can't be honoured: entries after
	// it may be gone, and at is the head.
	Read(ctx context.Context, u UserID, c Cursor, limit int) (batch Batch, err error)
	// Since is a place from which every message with an id above id follows.
	Since(ctx context.Context, u UserID, id MessageID) (Cursor, error)
	// Follow calls deliver for what is told of u's queue from now on, until
	// stop. A hint may be lost, doubled or late; nil says "look at the queue".
	// deliver must not block and must not keep the entry's slices beyond use
	// that only reads. After stop returns deliver isn't called again.
	Follow(u UserID, deliver func(*Entry)) (stop func(), err error)
}

// Batch is what Queues.Read answers.
type Batch struct {
	At      Cursor // where reading really began
	Entries []Entry
	More    bool
	Reset   bool
}

// News carries passing news (typing, presence) to whoever listens for a user:
// at most once, newest wins, never stored.
type News interface {
	// Publish sends payload to each user's listeners on every node.
	Publish(to []UserID, payload []byte) error
	// Listen calls deliver for each payload for u until stop.
	Listen(u UserID, deliver func(payload []byte)) (stop func(), err error)
}

// Records is replicated key-value state with compare-and-set: accounts, names,
// sessions, settings. Keys are tokens of [A-Za-z0-9_-] joined by dots.
type Records interface {
	// Get reads a value and its revision; KindNotFound.
	Get(ctx context.Context, key string) ([]byte, uint64, error)
	// Put writes value if the key's revision is still revision (0: the key must
	// not exist), and returns the new one; KindConflict otherwise. It is on disk
	// when Put returns.
	Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Delete removes the key if its revision is still revision; KindConflict.
	Delete(ctx context.Context, key string, revision uint64) error
	// Watch calls seen for every key below prefix (whole tokens: session.u1 is not
	// below session.u) as it is, then ready once, and
	// then seen for every change, in order, until ctx ends. value is nil for a
	// deleted key. It returns when the watch stands.
	Watch(ctx context.Context, prefix string, seen func(key string, value []byte, revision uint64), ready func()) error
}

// AsyncLog is a Log that needs no goroutine for each command under way.
type AsyncLog interface {
	Log
	// Submit takes c, in the order of the calls, and calls done once, from another
	// goroutine, with what Append would return. done must not block. It returns
	// KindUnavailable at once, and never calls done, when its bounded queue is
	// full.
	Submit(c *Command, done func(Result, error)) error
}

// Cursors keep the place each device has acknowledged, for a hello that brings
// none. Only the device's own ack moves it.
type Cursors interface {
	// Put keeps c as the device's place soon; it does not block. Of the places
	// put within a moment the furthest counts. A crash may take the last second back: the device
	// is then sent again what it drops by room and seq.
	Put(u UserID, d DeviceID, c Cursor)
	// Get is the device's place, false if it has none. It reads what Put was
	// given on this node.
	Get(ctx context.Context, u UserID, d DeviceID) (Cursor, bool, error)
	// Drop forgets a device that has been revoked.
	Drop(u UserID, d DeviceID)
}
