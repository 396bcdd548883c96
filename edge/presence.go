package edge

import (
	"context"
	"slices"
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
	people, err := e.view(ctx, who.User, users)
	if err != nil {
		return nil, err
	}
	return &reply[wire.Presences]{wire.Presences{Presence: e.roster.look(ctx, people)}}, nil
}

// view finds out how near viewer is to each of users: whether they are friends, or
// share a room. Between whom a block is, they are strangers.
func (e *Edge) view(ctx context.Context, viewer chat.UserID, users []chat.UserID) ([]viewed, error) {
	people := make([]viewed, len(users))
	if len(users) == 0 {
		return people, nil
	}
	rooms, err := e.roomsOf(ctx, viewer)
	if err != nil {
		return nil, err
	}
	var friends []chat.UserID
	if e.Friends != nil {
		friends = e.Friends(viewer)
	}
	return people, parallel(len(users), func(i int) error {
		u := users[i]
		people[i] = viewed{user: u}
		_, exists, err := e.Auth.Lookup(ctx, u)
		if err != nil {
			return err
		}
		switch {
		case u == viewer:
			people[i].as = oneself
		case e.strangers(viewer, u):
		case slices.Contains(friends, u):
			people[i].as = friend
		case rooms[chat.DirectRoomID(viewer, u)]:
			people[i].as = roomMate
		case exists && len(rooms) > 0:
			theirs, err := e.roomsOf(ctx, u)
			if err != nil {
				return err
			}
			for room := range theirs {
				if rooms[room] {
					people[i].as = roomMate
					break
				}
			}
		}
		return nil
	})
}

// roomsOf is the rooms a person is in.
func (e *Edge) roomsOf(ctx context.Context, u chat.UserID) (map[chat.RoomID]bool, error) {
	marks, err := e.History.Mine(ctx, u)
	if err != nil {
		return nil, err
	}
	rooms := make(map[chat.RoomID]bool, len(marks))
	for _, m := range marks {
		if !m.Left {
			rooms[m.Room] = true
		}
	}
	return rooms, nil
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
