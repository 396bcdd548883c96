package memory

import (
	"sync"

	"natter/chat"
)

// News is chat.News in memory. Safe for concurrent use.
type News struct {
	mu        sync.Mutex
	listeners map[chat.UserID]map[*listener]struct{}
}

type listener struct {
	mu      sync.Mutex
	deliver func([]byte)
}

// NewNews has no listeners.
func NewNews() *News { return &News{listeners: map[chat.UserID]map[*listener]struct{}{}} }

// Publish implements chat.News.
func (n *News) Publish(to []chat.UserID, payload []byte) error {
	n.mu.Lock()
	var all []*listener
	for _, u := range to {
		for l := range n.listeners[u] {
			all = append(all, l)
		}
	}
	n.mu.Unlock()
	for _, l := range all {
		l.tell(payload)
	}
	return nil
}

// Listen implements chat.News.
func (n *News) Listen(u chat.UserID, deliver func([]byte)) (func(), error) {
	l := &listener{deliver: deliver}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[u] == nil {
		n.listeners[u] = map[*listener]struct{}{}
	}
	n.listeners[u][l] = struct{}{}
	return func() {
		n.mu.Lock()
		delete(n.listeners[u], l)
		if len(n.listeners[u]) == 0 {
			delete(n.listeners, u)
		}
		n.mu.Unlock()
		l.mu.Lock()
		l.deliver = nil
		l.mu.Unlock()
	}, nil
}

func (l *listener) tell(payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deliver != nil {
		l.deliver(payload)
	}
}
