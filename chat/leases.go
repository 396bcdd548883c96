package chat

import (
	"context"
	"time"
)

// AnyRevision has Leases.Put and Delete take effect whatever is there.
const AnyRevision = ^uint64(0)

// Leases are small values every node can watch, kept in memory only: they are
// gone when all nodes have stopped, and each may be gone by itself after a time.
// Keys are as in Records.
type Leases interface {
	// Get reads a value and its revision; KindNotFound.
	Get(ctx context.Context, key string) ([]byte, uint64, error)
	// Put writes value if the key's revision is still revision (0: the key must
	// not exist; AnyRevision: never mind), and returns the new one; KindConflict
	// otherwise, KindTooLarge when there is no room for another key. After ttl (whole seconds; 0: never) without a
	// Put the key expires, by the clock of whoever leads the store: who must not
	// depend on clocks goes by the changes it watches.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error)
	// Delete removes the key if its revision is still revision; KindConflict.
	Delete(ctx context.Context, key string, revision uint64) error
	// Watch calls told with LeaseBegan, LeasePut for every key below prefix
	// (whole tokens, "" for all) as it is, LeaseReady, and then for every
	// change, in order, until ctx ends; of changes to one key within a moment
	// only the last may be told. Should the store have lost what it held, or
	// have been away for long, the watch begins again by itself, with LeaseBegan: keys not
	// told of between that and LeaseReady are gone. It returns when the watch stands;
	// told must not block, and is not called by two goroutines at once.
	Watch(ctx context.Context, prefix string, told func(LeaseChange)) error
}

// LeaseChange is one thing a watch tells.
type LeaseChange struct {
	Kind     LeaseKind
	Key      string // of LeasePut, LeaseDeleted and LeaseExpired
	Value    []byte // of LeasePut; the receiver's own
	Revision uint64
	Lost     bool // of LeaseBegan: the store has lost what it held
}

// LeaseKind is what has happened.
type LeaseKind uint8

// The kinds of LeaseChange.
const (
	LeaseBegan LeaseKind = iota
	LeasePut
	LeaseDeleted // by Delete
	LeaseExpired // by its ttl
	LeaseReady
)

// Standing is how somebody is here: on one device, or the best of all.
type Standing uint8

// The standings, worst first.
const (
	Gone Standing = iota
	Away          // signed in, but not at the device
	Here
)

// Roster tells the nodes of each other's people.
type Roster interface {
	// Set says how a device of u is on this node; Gone when its last session has
	// ended. It is told to the other nodes soon, of several within a moment
	// only the last; it doesn't block and calls nobody. While the store is full
	// or away the others don't know.
	Set(u UserID, d DeviceID, s Standing)
	// Watch tells of the devices on the other nodes, as they are and as they
	// change, until stop. It is called once, before the first Set. told must not
	// block, and is not called by two goroutines at once.
	Watch(told func(RosterChange)) (stop func(), err error)
}

// RosterChange is one thing a roster tells. A node's devices count while the run
// they were placed under is the one that lives.
type RosterChange struct {
	Kind     RosterKind
	Node     string
	Run      string   // of RosterPlaced, RosterLives and RosterEnds
	User     UserID   // of RosterPlaced
	Device   DeviceID // of RosterPlaced
	Standing Standing // of RosterPlaced; Gone: the place is no more, whatever its run
}

// RosterKind is what has happened.
type RosterKind uint8

// The kinds of RosterChange.
const (
	RosterPlaced RosterKind = iota
	RosterLives             // a node's run lives
	RosterEnds              // it doesn't any more: its lease ended or ran out
	RosterBegan             // all places are told anew; those that aren't by RosterReady are no more
	RosterReady
)

// Seen keeps when people were last here, lazily: a crash may take back the last
// second.
type Seen interface {
	// Put keeps at as the time u was last here, soon; it does not block.
	Put(u UserID, at Millis)
	// Get is the newest time that was put on any node, as far as it has been
	// written; 0 if none is kept.
	Get(ctx context.Context, u UserID) (Millis, error)
}
