package edge

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"natter/chat"
	"natter/wire"
)

// readers bounds the rooms one call reads at once.
const readers = 8

// myRoom is a room in the list of its member.
type myRoom struct {
	room *chat.Room
	me   *chat.Member
	last *chat.Message
	at   chat.Millis // of the last activity the member may know of
}

// myRooms reads the rooms u is in, in no order.
func (e *Edge) myRooms(ctx context.Context, u chat.UserID) ([]myRoom, error) {
	marks, err := e.History.Mine(ctx, u)
	if err != nil {
		return nil, err
	}
	marks = slices.DeleteFunc(slices.Clone(marks), func(m chat.Mark) bool { return m.Left })
	found := make([]*myRoom, len(marks))
	err = parallel(len(marks), func(i int) error {
		room, me, last, err := e.roomOf(ctx, u, marks[i].Room)
		if chat.KindOf(err) == chat.KindNotFound {
			return nil // left, or closed, a moment ago
		}
		if err != nil {
			return err
		}
		at := max(room.CreatedAt, me.JoinedAt)
		if last != nil && last.Seq > me.Since {
			at = max(at, last.CreatedAt)
		}
		found[i] = &myRoom{room, me, last, at}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rooms := make([]myRoom, 0, len(found))
	for _, r := range found {
		if r != nil {
			rooms = append(rooms, *r)
		}
	}
	return rooms, nil
}

// parallel calls do for 0..n-1, a few at a time, and returns the first error.
func parallel(n int, do func(i int) error) error {
	var group sync.WaitGroup
	next, failed := make(chan int), make(chan error, readers)
	for range min(n, readers) {
		group.Go(func() {
			var first error
			for i := range next {
				if first == nil {
					first = do(i)
				}
			}
			failed <- first
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

type roomsInput struct {
	Limit number `query:"limit" doc:"1 to 100, 50 if absent"`
	Page  string `query:"page" doc:"next of the page before"`
}

func (e *Edge) rooms(ctx context.Context, in *roomsInput) (*reply[wire.Rooms], error) {
	limit, err := in.Limit.read("limit", 50, chat.MaxPage)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		return nil, chat.Invalid("limit", "must be at least 1")
	}
	after, err := parsePage(in.Page)
	if err != nil {
		return nil, err
	}
	rooms, err := e.myRooms(ctx, caller(ctx).User)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rooms, func(a, b myRoom) int { return a.place().compare(b.place()) })
	if after != (page{}) {
		rooms = slices.DeleteFunc(rooms, func(r myRoom) bool { return r.place().compare(after) <= 0 })
	}
	answer := wire.Rooms{Rooms: []wire.RoomEntry{}}
	for i, r := range rooms {
		if i == int(limit) {
			answer.Next = rooms[i-1].place().String()
			break
		}
		answer.Rooms = append(answer.Rooms, e.wireEntry(r.me, r.room, r.last))
	}
	if err := e.addDrafts(ctx, caller(ctx).User, answer.Rooms); err != nil {
		return nil, err
	}
	return &reply[wire.Rooms]{answer}, nil
}

// page is a place in a list of rooms: newest first, then by id. A room that
// becomes active while somebody pages moves to the front, and its event says so.
type page struct {
	at chat.Millis
	id chat.RoomID
}

func (r *myRoom) place() page { return page{r.at, r.room.ID} }

func (p page) compare(q page) int {
	return cmp.Or(cmp.Compare(q.at, p.at), cmp.Compare(p.id, q.id))
}

func (p page) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", p.at, p.id))
}

func parsePage(s string) (page, error) {
	if s == "" {
		return page{}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	at, id, ok := strings.Cut(string(raw), ".")
	ms, numberErr := strconv.ParseInt(at, 10, 64)
	if err != nil || !ok || numberErr != nil || !chat.ValidID(id) {
		return page{}, chat.Invalid("page", "is not the next of a page")
	}
	return page{chat.Millis(ms), chat.RoomID(id)}, nil
}
