package edge

import (
	"context"
	"sync"
	"time"

	"natter/chat"
	"natter/wire"
)

type presenceInput struct {
	UserIDs []string `query:"user_id,explode" doc:"repeated, at most 200"`
}

// presence answers for those one may look at; the others are offline, as people
// who don't exist are.
func (e *Edge) presence(ctx context.Context, in *presenceInput) (*reply[wire.Presences], error) {
	if len(in.UserIDs) > chat.MaxWatch {
		return nil, &chat.Problem{Kind: chat.KindInvalid, Field: "user_id", Detail: "must be at most 200 people", Limit: chat.MaxWatch}
	}
	who := caller(ctx)
	users, err := parseUsers("user_id", in.UserIDs)
	if err != nil {
		return nil, err
	}
	allowed, err := e.mayLook(ctx, who.User, users)
	if err != nil {
		return nil, err
	}
	may := map[chat.UserID]bool{}
	for _, u := range allowed {
		may[u] = true
	}
	answer := wire.Presences{Presence: make([]wire.Presence, len(users))}
	for i, u := range users {
		answer.Presence[i] = wire.Presence{UserID: u, Status: wire.Offline}
		if may[u] {
			answer.Presence[i] = e.roster.look(who.User, u)
		}
	}
	return &reply[wire.Presences]{answer}, nil
}

// mayLook is those of users with whom viewer shares a room, and viewer. People
// nobody has seen aren't asked for.
func (e *Edge) mayLook(ctx context.Context, viewer chat.UserID, users []chat.UserID) ([]chat.UserID, error) {
	if len(users) == 0 {
		return nil, nil
	}
	mine, err := e.History.Mine(ctx, viewer)
	if err != nil {
		return nil, err
	}
	rooms := make(map[chat.RoomID]bool, len(mine))
	for _, m := range mine {
		if !m.Left {
			rooms[m.Room] = true
		}
	}
	may := make([]bool, len(users))
	err = parallel(len(users), func(i int) error {
		if users[i] == viewer {
			may[i] = true
			return nil
		}
		if rooms[chat.DirectRoomID(viewer, users[i])] {
			may[i] = true
			return nil
		}
		if _, exists := e.Auth.User(users[i]); !exists {
			return nil
		}
		theirs, err := e.History.Mine(ctx, users[i])
		if err != nil {
			return err
		}
		for _, m := range theirs {
			if !m.Left && rooms[m.Room] {
				may[i] = true
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	allowed := make([]chat.UserID, 0, len(users))
	for i, u := range users {
		if may[i] {
			allowed = append(allowed, u)
		}
	}
	return allowed, nil
}

// memberCache holds who is in a room for a few seconds: enough for typing, and
// never used where it decides what may be read.
type memberCache struct {
	e *Edge

	mu    sync.Mutex
	rooms map[chat.RoomID]cachedMembers
}

type cachedMembers struct {
	users []chat.UserID
	until time.Time
}

const (
	membersFor = 3 * time.Second
	maxCached  = 4096 // rooms; at the bound an arbitrary one goes
)

func newMemberCache(e *Edge) *memberCache {
	return &memberCache{e: e, rooms: map[chat.RoomID]cachedMembers{}}
}

// of is who is in a room; nobody in one that isn't there. The slice is shared.
func (m *memberCache) of(ctx context.Context, id chat.RoomID) ([]chat.UserID, error) {
	now := m.e.Now()
	m.mu.Lock()
	held, ok := m.rooms[id]
	m.mu.Unlock()
	if ok && now.Before(held.until) {
		return held.users, nil
	}
	room, _, err := m.e.History.Room(ctx, id)
	if err != nil && chat.KindOf(err) != chat.KindNotFound {
		return nil, err
	}
	held = cachedMembers{until: now.Add(membersFor)}
	if err == nil && !room.Closed {
		held.users = room.UserIDs()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for one := range m.rooms {
		if len(m.rooms) < maxCached {
			break
		}
		delete(m.rooms, one)
	}
	m.rooms[id] = held
	return held.users, nil
}

// forget drops a room whose members have just changed here.
func (m *memberCache) forget(id chat.RoomID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rooms, id)
}
