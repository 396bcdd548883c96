package edge

import (
	"context"
	"slices"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// meReply carries one's own profile.
type meReply struct {
	Body wire.Me
}

func (e *Edge) me(ctx context.Context, _ *struct{}) (*meReply, error) {
	p, err := e.Auth.Profile(ctx, caller(ctx).User)
	if err != nil {
		return nil, err
	}
	return &meReply{wireMe(p)}, nil
}

func (e *Edge) changeMe(ctx context.Context, in *bare[wire.ChangeMe]) (*meReply, error) {
	who, b := caller(ctx), &in.Body.Value
	change := auth.ProfileChange{
		Name: b.Name, About: b.About, Locale: b.Locale, TimeZone: b.TimeZone,
		Visibility: b.PresenceVisibility, Settings: b.Settings, Avatar: (*chat.AvatarID)(b.AvatarID),
	}
	p, err := e.Auth.ChangeProfile(ctx, who.User, change)
	if err != nil {
		return nil, err
	}
	if b.Name != nil || b.About != nil || b.AvatarID != nil {
		e.tell(ctx, who, chat.Event{Type: chat.EventProfile, User: who.User}, e.acquainted(ctx, who.User)...)
	}
	if b.Locale != nil || b.TimeZone != nil || b.PresenceVisibility != nil || len(b.Settings) > 0 {
		e.tell(ctx, who, chat.Event{Type: chat.EventSettings, User: who.User}, who.User)
	}
	return &meReply{wireMe(p)}, nil
}

// maxAcquainted bounds to whom a changed profile is told at once; the others
// see it when they next read it.
const maxAcquainted = 200

// acquainted are u, u's friends, and those u shares a direct room with.
func (e *Edge) acquainted(ctx context.Context, u chat.UserID) []chat.UserID {
	all := append([]chat.UserID{u}, e.Contacts.Friends(u)...)
	all = all[:min(len(all), maxAcquainted)]
	rooms, err := e.myRooms(ctx, u)
	if err != nil {
		return all
	}
	for _, r := range rooms {
		if r.room.Kind != chat.RoomDirect || len(all) >= maxAcquainted {
			continue
		}
		for _, m := range r.room.Members {
			if !slices.Contains(all, m.User) {
				all = append(all, m.User)
			}
		}
	}
	return all
}

type usersInput struct {
	Query string `query:"query" doc:"of a username or a name"`
	Limit number `query:"limit" doc:"1 to 100, 20 if absent"`
}

// maxQueryRunes is more than any name has.
const maxQueryRunes = 64

func (e *Edge) users(_ context.Context, in *usersInput) (*reply[wire.Users], error) {
	limit, err := in.Limit.read("limit", 20, chat.MaxPage)
	if err != nil {
		return nil, err
	}
	query, err := chat.CheckLine("query", in.Query, maxQueryRunes)
	if err != nil {
		return nil, err
	}
	found := []wire.User{}
	for _, u := range e.Auth.Search(query, int(limit)) {
		found = append(found, wireUser(u))
	}
	return &reply[wire.Users]{wire.Users{Users: found}}, nil
}

type userInput struct {
	UserID string `path:"user_id"`
}

func (e *Edge) oneUser(ctx context.Context, in *userInput) (*reply[wire.User], error) {
	id, err := chat.ParseID[chat.UserID]("user_id", in.UserID)
	if err != nil {
		return nil, err
	}
	u, ok, err := e.Auth.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, chat.NotFound("user")
	}
	return &reply[wire.User]{wireUser(u)}, nil
}
