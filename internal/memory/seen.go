package memory

import (
	"context"
	"sync"

	"natter/chat"
)

// Seen is chat.Seen in memory. Safe for concurrent use.
type Seen struct {
	mu   sync.Mutex
	kept map[chat.UserID]chat.Millis
}

// NewSeen holds nothing.
func NewSeen() *Seen { return &Seen{kept: map[chat.UserID]chat.Millis{}} }

// Put implements chat.Seen.
func (s *Seen) Put(u chat.UserID, at chat.Millis) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[u] = max(s.kept[u], at)
}

// Get implements chat.Seen.
func (s *Seen) Get(_ context.Context, u chat.UserID) (chat.Millis, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[u], nil
}
