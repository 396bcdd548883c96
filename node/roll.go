package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"natter/chat"
)

// Which store each member of the cluster has.
//
// A member that comes back without its data is no longer the one whose word was counted
// for what is acknowledged: it doesn't know what it has voted and kept. So every store
// has a random id, the cluster's roll says which store is whose, and a member tells its
// own in each route's handshake (certs.Node.Route). Who comes with another store than the
// roll's gets no route, to any member that has the roll: until `natter cluster replace`
// puts the new store in the old one's place (replace.go).
//
//	RECORDS     record.node.cluster.members   the roll; compare-and-set
//	members     each member's copy, in its data directory: who starts is held to it too,
//	            when nothing can be read yet
//
// The roll only ever changes by a member that has a majority, and a copy is never older
// than what its node has agreed to.

const (
	rollKey = "cluster.members" // in the bucket of nodes
	// storeBytes are the bytes of a store's id, which is written as hexadecimal.
	storeBytes = 16
	// rollWithin bounds a reading of the roll again.
	rollWithin = 2 * time.Second
)

func newStore() string {
	var b [storeBytes]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func isStore(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == storeBytes && s == strings.ToLower(s)
}

// rollRecord is the roll.
type rollRecord struct {
	Version  int                   `json:"version"`
	Revision uint64                `json:"revision,omitempty"` // in copies: of the record that it is a copy of
	Members  map[string]rollMember `json:"members"`            // by name
}

// rollMember is what the roll says of a member.
type rollMember struct {
	Store string `json:"store"`
	// Next, if there is one, is the store that is to replace Store. Neither gets a
	// route: the old one no longer, the new one not yet.
	Next string `json:"next,omitempty"`
	// Since is when Store came.
	Since chat.Millis `json:"since"`
}

func parseRoll(b []byte) (r rollRecord, err error) {
	if err = json.Unmarshal(b, &r); err == nil && r.Version != 1 {
		err = errors.New("it isn't of version 1")
	}
	for name, m := range r.Members {
		if err == nil && (!chat.ValidID(name) || !isStore(m.Store) || m.Next != "" && !isStore(m.Next)) {
			err = fmt.Errorf("its member %.40q has no store", name)
		}
	}
	if err != nil {
		return rollRecord{}, fmt.Errorf("%.200q can't be read: %w", b, err)
	}
	return r, nil
}

// with is a copy in which one member is as told.
func (r rollRecord) with(name string, m rollMember) rollRecord {
	r.Members = maps.Clone(r.Members)
	if r.Members == nil {
		r.Members = map[string]rollMember{}
	}
	r.Members[name] = m
	return r
}

func (r rollRecord) names() string { return strings.Join(slices.Sorted(maps.Keys(r.Members)), ", ") }

// roll is a member's view of the roll. Safe for concurrent use.
type roll struct {
	name, store string // this member
	size        int    // members of the cluster
	path        string // of the copy
	log         *slog.Logger

	mu      sync.Mutex
	now     rollRecord
	heard   map[string]string    // stores that were let in, by name; "" of a version that tells none
	turned  map[string]turned    // who was turned away here, by name
	shut    map[string]bool      // who doesn't know this member's store, by name
	told    map[string]time.Time // of whom the log spoke
	records chat.Records         // nil: not open yet
	again   chan struct{}        // has one when the roll is to be read again
}

// turned is a newcomer that was turned away.
type turned struct {
	store string
	at    time.Time
}

// openRoll reads this member's copy, if it has one.
func openRoll(d *directory, name string, size int, log *slog.Logger) (*roll, error) {
	store, err := d.store()
	if err != nil {
		return nil, err
	}
	r := &roll{name: name, store: store, size: size, path: d.file(rollFile), log: log, again: make(chan struct{}, 1),
		heard: map[string]string{}, turned: map[string]turned{}, shut: map[string]bool{}, told: map[string]time.Time{}}
	b, err := os.ReadFile(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		r.now, err = parseRoll(b)
	}
	if err != nil {
		return nil, &DataError{d.path, fmt.Sprintf("has a %s that can't be read: %v", rollFile, reason(err))}
	}
	if own, known := r.now.Members[name]; known && own.Store != store {
		r.now = rollRecord{} // of another store: it says nothing about this one
	}
	return r, nil
}

// admits is nil if, in a cluster of size, a store may come under a name.
func (r rollRecord) admits(name, store string, size int) error {
	m, known := r.Members[name]
	switch {
	case known && m.Store == store && m.Next == "":
		return nil
	case known && m.Store == store:
		return fmt.Errorf("the store %s of %s is being replaced; `natter cluster replace %s` goes on with it", short(store), name, name)
	case known && store == "":
		return fmt.Errorf("%s doesn't tell its store: its natter is older than what the cluster has had of it", name)
	case known:
		return fmt.Errorf("%s comes with the store %s, and the cluster's %s has the store %s: if that one is lost, `natter cluster replace %s` takes this one in its place",
			name, short(store), name, short(m.Store), name)
	case len(r.Members) >= size:
		return fmt.Errorf("%s is no member of this cluster, its members are %s: who replaces one of them takes its name", name, r.names())
	}
	return nil
}

// short is enough of a store's id for a person.
func short(store string) string {
	if store == "" {
		return "(none)"
	}
	return store[:min(len(store), 8)]
}

// current is the roll as it is known here.
func (r *roll) current() rollRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// adopt keeps a roll that was read or written, on the disk first; an older one does nothing.
func (r *roll) adopt(record rollRecord) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if record.Revision <= r.now.Revision {
		return nil
	}
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if err := writeSynced(r.path+".new", append(b, '\n')); err != nil {
		return err
	}
	if err := os.Rename(r.path+".new", r.path); err != nil {
		return err
	}
	if err := syncParent(r.path); err != nil {
		return err
	}
	r.now = record
	return nil
}

// read reads the roll again, and returns the newest that is known here; a roll that isn't
// there is empty.
func (r *roll) read(ctx context.Context) (rollRecord, error) {
	r.mu.Lock()
	records := r.records
	r.mu.Unlock()
	if records == nil {
		return rollRecord{}, errors.New("the records aren't open yet")
	}
	ctx, cancel := context.WithTimeout(ctx, rollWithin)
	defer cancel()
	b, revision, err := records.Get(ctx, rollKey)
	if chat.KindOf(err) == chat.KindNotFound {
		return rollRecord{Version: 1}, nil
	}
	if err != nil {
		return rollRecord{}, err
	}
	record, err := parseRoll(b)
	if err != nil {
		return record, err
	}
	record.Revision = revision
	if err := r.adopt(record); err != nil {
		return record, err
	}
	return r.current(), nil // any replica may have answered, one that is behind too
}

// readPatiently is read for as long as an election may take.
func (r *roll) readPatiently(ctx context.Context) (rollRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceLook)
	defer cancel()
	for {
		record, err := r.read(ctx)
		if err == nil || wait(ctx, 10*joinLook) != nil {
			return record, err
		}
	}
}

// write makes the roll what record says, if it still is of its revision, and returns
// it as it is then; KindConflict otherwise.
func (r *roll) write(ctx context.Context, record rollRecord) (rollRecord, error) {
	r.mu.Lock()
	records := r.records
	r.mu.Unlock()
	revision := record.Revision
	record.Version, record.Revision = 1, 0
	b, err := json.Marshal(record)
	if err != nil {
		return record, err
	}
	if record.Revision, err = records.Put(ctx, rollKey, b, revision); err != nil {
		return record, err
	}
	return record, r.adopt(record)
}
