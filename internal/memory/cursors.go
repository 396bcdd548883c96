package memory

import (
	"context"
	"sync"

	"natter/chat"
)

// Cursors is chat.Cursors in memory. Safe for concurrent use.
type Cursors struct {
	mu   sync.Mutex
	kept map[device]chat.Cursor
}

type device struct {
	user chat.UserID
	id   chat.DeviceID
}

// NewCursors holds nothing.
func NewCursors() *Cursors { return &Cursors{kept: make(map[device]chat.Cursor)} }

// Put implements chat.Cursors.
func (c *Cursors) Put(u chat.UserID, d chat.DeviceID, at chat.Cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.kept[device{u, d}]; !ok || !at.Before(kept) {
		c.kept[device{u, d}] = at
	}
}

// Get implements chat.Cursors.
func (c *Cursors) Get(_ context.Context, u chat.UserID, d chat.DeviceID) (chat.Cursor, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.kept[device{u, d}]
	return at, ok, nil
}

// Drop implements chat.Cursors.
func (c *Cursors) Drop(u chat.UserID, d chat.DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, device{u, d})
}
