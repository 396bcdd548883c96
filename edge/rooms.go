package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

type createRoomInput struct {
	Key  string `header:"Idempotency-Key" doc:"the same key of the same person makes one group"`
	Body body[wire.CreateRoom]
}

// roomMakers is by kind.
var roomMakers = map[string]func(*Edge, context.Context, *createRoomInput) (*made[wire.Room], error){
	string(chat.RoomDirect): (*Edge).createDirect,
	string(chat.RoomGroup):  (*Edge).createGroup,
}

func (e *Edge) createRoom(ctx context.Context, in *createRoomInput) (*made[wire.Room], error) {
	make, ok := roomMakers[in.Body.Value.Kind]
	if !ok {
		return nil, chat.Invalid("kind", "must be direct or group")
	}
	return make(e, ctx, in)
}

// createDirect finds or makes the one room of two.
func (e *Edge) createDirect(ctx context.Context, in *createRoomInput) (*made[wire.Room], error) {
	who, b := caller(ctx), &in.Body.Value
	if b.Name != "" || b.MemberIDs != nil || b.History != "" {
		return nil, chat.Invalid("kind", "direct has a user_id and nothing else")
	}
	other, err := e.person("user_id", b.UserID)
	if err != nil {
		return nil, err
	}
	if other == who.User {
		return nil, chat.Invalid("user_id", "must be another person")
	}
	id := chat.DirectRoomID(who.User, other)
	if room, _, _, err := e.roomOf(ctx, who.User, id); err == nil {
		return created(e.wireRoom(who.User, room), true), nil
	} else if chat.KindOf(err) != chat.KindNotFound {
		return nil, err
	}
	c, err := e.command(chat.OpDirect, who, id)
	if err == nil {
		c.Users = []chat.UserID{other}
	}
	return e.newRoom(ctx, who, c, err)
}

func (e *Edge) createGroup(ctx context.Context, in *createRoomInput) (*made[wire.Room], error) {
	who, b := caller(ctx), &in.Body.Value
	if b.UserID != "" {
		return nil, chat.Invalid("user_id", "is for a direct room")
	}
	name, err := chat.CheckName("name", b.Name, chat.MaxNameRunes)
	if err != nil {
		return nil, err
	}
	history := chat.HistoryJoined
	if b.History != "" {
		if history, err = chat.ParseHistory("history", b.History); err != nil {
			return nil, err
		}
	}
	users, err := e.memberList(who.User, b.MemberIDs)
	if err != nil {
		return nil, err
	}
	if err := e.roomForMore(ctx, who.User); err != nil {
		return nil, err
	}
	c, err := e.command(chat.OpCreate, who, "")
	if err != nil {
		return nil, err
	}
	c.Room, c.Name, c.Users, c.History = chat.NewRoomID(c.ID), name, users, history
	if in.Key != "" {
		c.Room = keyedRoomID(who.User, in.Key)
		if room, _, _, err := e.roomOf(ctx, who.User, c.Room); err == nil {
			return created(e.wireRoom(who.User, room), true), nil
		}
	}
	return e.newRoom(ctx, who, c, nil)
}

// keyedRoomID names the group of an Idempotency-Key: the same for ever.
func keyedRoomID(u chat.UserID, key string) chat.RoomID {
	sum := sha256.Sum256([]byte("group\x00" + string(u) + "\x00" + key))
	return chat.RoomID("k" + hex.EncodeToString(sum[:15]))
}

func (e *Edge) newRoom(ctx context.Context, who auth.Identity, c *chat.Command, err error) (*made[wire.Room], error) {
	result, err := e.run(ctx, c, err)
	if err != nil {
		return nil, err
	}
	room, _, _, err := e.roomOf(ctx, who.User, c.Room)
	if err != nil {
		return nil, err
	}
	return created(e.wireRoom(who.User, room), result.Retry), nil
}

// person checks that a named person exists.
func (e *Edge) person(field, id string) (chat.UserID, error) {
	u, err := chat.ParseID[chat.UserID](field, id)
	if err != nil {
		return "", err
	}
	if _, ok := e.Auth.User(u); !ok {
		p := chat.NotFound("user")
		p.Field = field
		return "", p
	}
	return u, nil
}

// memberList checks the people of a new group, its maker excepted.
func (e *Edge) memberList(maker chat.UserID, ids []string) ([]chat.UserID, error) {
	const field = "member_ids"
	if len(ids)+1 > chat.MaxMembers {
		return nil, &chat.Problem{Kind: chat.KindInvalid, Field: field, Detail: fmt.Sprintf("a room holds at most %d people", chat.MaxMembers), Limit: chat.MaxMembers}
	}
	users := make([]chat.UserID, 0, len(ids))
	for _, id := range ids {
		u, err := e.person(field, id)
		if err != nil {
			return nil, err
		}
		if u == maker || slices.Contains(users, u) {
			return nil, chat.Invalid(field, "must name each person once, and not yourself")
		}
		users = append(users, u)
	}
	return users, nil
}

// roomForMore refuses who is in as many rooms as one may be.
func (e *Edge) roomForMore(ctx context.Context, u chat.UserID) error {
	rooms, err := e.roomsOf(ctx, u)
	if err != nil {
		return err
	}
	if len(rooms) >= chat.MaxRoomsPerUser {
		return &chat.Problem{Kind: chat.KindInvalid, Detail: fmt.Sprintf("a person is in at most %d rooms", chat.MaxRoomsPerUser), Limit: chat.MaxRoomsPerUser}
	}
	return nil
}

type RoomPath struct {
	RoomID string `path:"room_id"`
}

func (in *RoomPath) room() (chat.RoomID, error) {
	return chat.ParseID[chat.RoomID]("room_id", in.RoomID)
}

func (e *Edge) oneRoom(ctx context.Context, in *RoomPath) (*reply[wire.OneRoom], error) {
	id, err := in.room()
	if err != nil {
		return nil, err
	}
	room, err := e.roomReply(ctx, id)
	if err != nil {
		return nil, err
	}
	draft, err := e.draftOf(ctx, caller(ctx).User, id)
	if err != nil {
		return nil, err
	}
	return &reply[wire.OneRoom]{wire.OneRoom{Room: room.Body, Draft: draft}}, nil
}

func (e *Edge) roomReply(ctx context.Context, id chat.RoomID) (*reply[wire.Room], error) {
	who := caller(ctx)
	room, _, _, err := e.roomOf(ctx, who.User, id)
	if err != nil {
		return nil, err
	}
	return &reply[wire.Room]{e.wireRoom(who.User, room)}, nil
}

type changeRoomInput struct {
	RoomPath
	Body body[wire.ChangeRoom]
}

func (e *Edge) changeRoom(ctx context.Context, in *changeRoomInput) (*reply[wire.Room], error) {
	id, err := in.room()
	if err != nil {
		return nil, err
	}
	c, err := e.roomChange(ctx, id, &in.Body.Value)
	if err != nil {
		return nil, err
	}
	if _, err := e.Log.Append(ctx, c); err != nil {
		return nil, err
	}
	e.members.forget(id)
	return e.roomReply(ctx, id)
}

func (e *Edge) roomChange(ctx context.Context, id chat.RoomID, b *wire.ChangeRoom) (*chat.Command, error) {
	who := caller(ctx)
	if b.Muted != nil {
		if b.Name != nil || b.Topic != nil || b.AvatarID != nil || b.History != nil {
			return nil, chat.Invalid("muted", "is one's own and is changed alone")
		}
		c, err := e.command(chat.OpMute, who, id)
		if err == nil {
			c.Flag = *b.Muted
		}
		return c, err
	}
	c, err := e.command(chat.OpChange, who, id)
	if err != nil {
		return nil, err
	}
	if b.Name != nil {
		c.Fields |= chat.FieldName
		if c.Name, err = chat.CheckName("name", *b.Name, chat.MaxNameRunes); err != nil {
			return nil, err
		}
	}
	if b.Topic != nil {
		c.Fields |= chat.FieldTopic
		if c.Topic, err = chat.CheckLine("topic", *b.Topic, chat.MaxTopicRunes); err != nil {
			return nil, err
		}
	}
	if b.AvatarID != nil {
		c.Fields |= chat.FieldAvatar
		c.Avatar = chat.AvatarID(*b.AvatarID)
		if *b.AvatarID != "" && !chat.ValidID(*b.AvatarID) {
			return nil, chat.Invalid("avatar_id", "must be the id of a picture, or empty")
		}
	}
	if b.History != nil {
		c.Fields |= chat.FieldHistory
		if c.History, err = chat.ParseHistory("history", *b.History); err != nil {
			return nil, err
		}
	}
	if c.Fields == 0 {
		return nil, chat.Invalid("", "must change something: name, topic, avatar_id, history or muted")
	}
	return c, nil
}

func (e *Edge) closeRoom(ctx context.Context, in *RoomPath) (*none, error) {
	id, err := in.room()
	if err != nil {
		return nil, err
	}
	c, err := e.command(chat.OpClose, caller(ctx), id)
	_, err = e.run(ctx, c, err)
	e.members.forget(id)
	return nil, err
}
