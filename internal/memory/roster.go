package memory

import (
	"sync"

	"natter/chat"
)

// Board is where the rosters of several nodes meet, in memory. Safe for
// concurrent use.
type Board struct {
	mu      sync.Mutex
	rosters map[string]*Roster
	lives   map[string]bool
	placed  map[boardKey]chat.Standing
}

type boardKey struct {
	node   string
	user   chat.UserID
	device chat.DeviceID
}

// NewBoard has no nodes.
func NewBoard() *Board {
	return &Board{rosters: map[string]*Roster{}, lives: map[string]bool{}, placed: map[boardKey]chat.Standing{}}
}

// Roster is a node's; the node lives from now on.
func (b *Board) Roster(node string) *Roster {
	r := &Roster{board: b, node: node}
	b.mu.Lock()
	b.rosters[node] = r
	b.mu.Unlock()
	b.Live(node, true)
	return r
}

// Live has a node's lease hold, or end.
func (b *Board) Live(node string, lives bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lives[node] = lives
	kind := chat.RosterEnds
	if lives {
		kind = chat.RosterLives
	}
	b.tellLocked(chat.RosterChange{Kind: kind, Node: node, Run: node})
}

func (b *Board) tellLocked(c chat.RosterChange) {
	for node, r := range b.rosters {
		if node != c.Node {
			r.tellLocked(c)
		}
	}
}

// Roster is a node's chat.Roster over a Board.
type Roster struct {
	board   *Board
	node    string
	waiting []chat.RosterChange // under the board's lock
	wake    chan struct{}       // nil: nobody watches
}

func (r *Roster) tellLocked(c chat.RosterChange) {
	if r.wake == nil {
		return
	}
	r.waiting = append(r.waiting, c)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Set implements chat.Roster.
func (r *Roster) Set(u chat.UserID, d chat.DeviceID, s chat.Standing) {
	b := r.board
	b.mu.Lock()
	defer b.mu.Unlock()
	key := boardKey{r.node, u, d}
	if b.placed[key] == s {
		return
	}
	if b.placed[key] = s; s == chat.Gone {
		delete(b.placed, key)
	}
	b.tellLocked(chat.RosterChange{Kind: chat.RosterPlaced, Node: r.node, Run: r.node, User: u, Device: d, Standing: s})
}

// Watch implements chat.Roster. told is called on one goroutine, for which stop
// waits.
func (r *Roster) Watch(told func(chat.RosterChange)) (func(), error) {
	b := r.board
	b.mu.Lock()
	r.wake = make(chan struct{}, 1)
	r.tellLocked(chat.RosterChange{Kind: chat.RosterBegan})
	for node, lives := range b.lives {
		if lives && node != r.node {
			r.tellLocked(chat.RosterChange{Kind: chat.RosterLives, Node: node, Run: node})
		}
	}
	for key, s := range b.placed {
		if key.node != r.node {
			r.tellLocked(chat.RosterChange{Kind: chat.RosterPlaced, Node: key.node, Run: key.node, User: key.user, Device: key.device, Standing: s})
		}
	}
	r.tellLocked(chat.RosterChange{Kind: chat.RosterReady})
	wake := r.wake
	b.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		for range wake {
			b.mu.Lock()
			batch := r.waiting
			r.waiting = nil
			b.mu.Unlock()
			for _, c := range batch {
				told(c)
			}
		}
	}()
	return func() {
		b.mu.Lock()
		close(r.wake)
		r.wake, r.waiting = nil, nil
		b.mu.Unlock()
		<-done
	}, nil
}
