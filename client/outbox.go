package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"natter/chat"
)

// Outbox keeps what a device still has to send in a file, so that it outlives
// the process: give it to Dial in Options. What is in it goes out again when the
// next process dials, in the first order and with the same client_ids, so that
// the server makes one message of it however often that happens.
//
// It is one device's at a time; a second Dial with it panics, and a second
// OpenOutbox of the same file fails, in another process too. Its methods are
// safe for concurrent use.
type Outbox struct {
	path   string
	unlock func()
	taken  atomic.Bool

	// syncing is held over an fsync and a compaction, mu over a write; whoever
	// takes both takes syncing first. One fsync serves all who wait for it.
	syncing sync.Mutex

	mu      sync.Mutex
	file    *os.File
	written int64 // the file's length
	synced  int64 // how much of it is on disk
	err     error // no more can be kept: what comes is refused with it
	left    contents
}

const (
	// outboxSlack is how much of the file may be out of date before it is written
	// anew: at least so much, and at least as much as is left.
	outboxSlack = 64 << 10
	outboxMode  = 0o600 // messages are private
)

// errOutboxClosed answers a Send after Outbox.Close.
var errOutboxClosed = errors.New("client: the outbox is closed")

// OpenOutbox opens the outbox at path, or makes it; path.lock beside it keeps
// others out. A last record that was half written when the process or the
// machine died is dropped: its Send had not returned. A file that is something
// else is refused and left as it is.
func OpenOutbox(path string) (*Outbox, error) {
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("client: outbox %s: %w", path, err)
	}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unlock()
		return nil, fmt.Errorf("client: outbox: %w", err)
	}
	left, err := parseOutbox(raw)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("client: %s: %w", path, err)
	}
	o := &Outbox{path: path, unlock: unlock, left: *left}
	if err := o.compactLocked(); err != nil { // nobody else has it yet
		unlock()
		return nil, fmt.Errorf("client: outbox: %w", err)
	}
	return o, nil
}

// Left are the messages without an answer, in the order of their Sends.
func (o *Outbox) Left() []Outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.left.messages()
}

// Cursor is the place a device with KeepCursor left behind, "" if there is none.
func (o *Outbox) Cursor() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.left.cursor
}

// Damaged is how many records could not be read when the outbox was opened, a
// torn last one aside. Each may have been a message: more than 0 means that the
// disk has lost something.
func (o *Outbox) Damaged() int { return o.left.damaged }

// Close closes the file. What is in it stays there. Close the device first.
func (o *Outbox) Close() error {
	o.syncing.Lock()
	defer o.syncing.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file, o.err = nil, errOutboxClosed
	o.unlock()
	return err
}

// take makes the outbox one device's; release ends that.
func (o *Outbox) take() {
	if !o.taken.CompareAndSwap(false, true) {
		panic("client: Dial with an Outbox that another device has")
	}
}

func (o *Outbox) release() { o.taken.Store(false) }

// add writes a message down; it is safe after sync.
func (o *Outbox) add(m *Outgoing) error {
	r := recordOf(m)
	if _, err := r.message(); err != nil {
		return err // it could not be read again
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.appendLocked(record{Send: r}); err != nil {
		return err
	}
	o.left.add(*m)
	return nil
}

// drop takes an answered message out. It needs no fsync: a message that comes
// back after a power failure is answered with its first receipt.
func (o *Outbox) drop(key chat.ClientID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left.drop(key) {
		_ = o.appendLocked(record{Done: key.String()}) // as if it came back
	}
}

// move writes the cursor down, if it is another one.
func (o *Outbox) move(cursor string) {
	o.mu.Lock()
	same := o.left.cursor == cursor
	if !same && o.appendLocked(record{Cursor: cursor}) == nil {
		o.left.cursor = cursor
	}
	o.mu.Unlock()
	if !same {
		o.syncing.Lock()
		defer o.syncing.Unlock()
		o.mu.Lock()
		defer o.mu.Unlock()
		_ = o.tidyLocked() // it stays in o.err
	}
}

// appendLocked writes one record. A write that fails, on a full disk say, leaves
// the file as it was: the next one may pass.
func (o *Outbox) appendLocked(r record) error {
	if o.err != nil {
		return o.err
	}
	line := r.line()
	n, err := o.file.Write(line)
	if err == nil {
		o.written += int64(n)
		return nil
	}
	if n > 0 {
		if failed := o.file.Truncate(o.written); failed != nil {
			o.err = failed // a torn record in the middle: no more after it
		}
	}
	return fmt.Errorf("client: outbox: %w", err)
}

// sync returns when all that was added before the call is on disk. After an
// error nothing more is kept: what the system did with the rest isn't known.
func (o *Outbox) sync() error {
	o.mu.Lock()
	goal := o.written
	o.mu.Unlock()
	o.syncing.Lock()
	defer o.syncing.Unlock()
	o.mu.Lock()
	if o.err != nil || o.synced >= goal {
		defer o.mu.Unlock()
		return o.err
	}
	if o.wastefulLocked() {
		defer o.mu.Unlock()
		return o.tidyLocked()
	}
	file, upTo := o.file, o.written
	o.mu.Unlock()
	err := file.Sync()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.err = fmt.Errorf("client: outbox: %w", err)
		return o.err
	}
	o.synced = upTo
	return nil
}

func (o *Outbox) wastefulLocked() bool {
	return o.written > outboxSlack+2*int64(o.left.bytes)
}

// tidyLocked writes the file anew if most of it is out of date. The caller holds
// syncing too.
func (o *Outbox) tidyLocked() error {
	if o.err != nil || !o.wastefulLocked() {
		return o.err
	}
	if err := o.compactLocked(); err != nil {
		o.err = fmt.Errorf("client: outbox: %w", err)
	}
	return o.err
}

// compactLocked puts a file of what is left in the place of the present one: at
// every moment there is a whole one at path.
func (o *Outbox) compactLocked() error {
	raw := o.left.file()
	draft := o.path + ".new"
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, outboxMode)
	if err != nil {
		return err
	}
	if _, err = f.Write(raw); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(draft, o.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(o.path))
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	if o.file != nil {
		_ = o.file.Close() // everything in it is in the new one
	}
	o.file, o.written, o.synced = f, int64(len(raw)), int64(len(raw))
	return nil
}
