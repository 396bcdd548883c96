package edge

import (
	"context"

	"natter/chat"
	"natter/wire"
)

func (e *Edge) roomMembers(ctx context.Context, in *RoomPath) (*reply[wire.Members], error) {
	id, err := in.room()
	if err != nil {
		return nil, err
	}
	room, _, _, err := e.roomOf(ctx, caller(ctx).User, id)
	if err != nil {
		return nil, err
	}
	members := e.untold(caller(ctx).User, id, e.wireMembers(room.Members))
	return &reply[wire.Members]{wire.Members{Members: members}}, nil
}

type MemberPath struct {
	RoomPath
	UserID string `path:"user_id"`
}

// ids reads both ids; whether they name anything is for the rules to say.
func (in *MemberPath) ids() (chat.RoomID, chat.UserID, error) {
	id, err := in.room()
	if err != nil {
		return "", "", err
	}
	user, err := chat.ParseID[chat.UserID]("user_id", in.UserID)
	return id, user, err
}

type addMemberInput struct {
	MemberPath
	Body *body[wire.ChangeMember]
}

// addMember brings a person in, and with a role gives it to them.
func (e *Edge) addMember(ctx context.Context, in *addMemberInput) (*none, error) {
	id, user, err := in.ids()
	if err != nil {
		return nil, err
	}
	role := chat.RoleMember
	if in.Body != nil {
		if role, err = chat.ParseRole("role", in.Body.Value.Role); err != nil {
			return nil, err
		}
	}
	who := caller(ctx)
	if _, _, _, err := e.roomOf(ctx, who.User, id); err != nil {
		return nil, err // a stranger doesn't learn who exists either
	}
	if _, err := e.person(ctx, "user_id", in.UserID); err != nil {
		return nil, err
	}
	if err := e.roomForMore(ctx, user); err != nil {
		return nil, err
	}
	if err := e.onMember(ctx, chat.OpAdd, id, user, ""); err != nil || role == chat.RoleMember {
		return nil, err
	}
	return nil, e.onMember(ctx, chat.OpRole, id, user, role)
}

type changeMemberInput struct {
	MemberPath
	Body body[wire.ChangeMember]
}

func (e *Edge) changeMember(ctx context.Context, in *changeMemberInput) (*none, error) {
	id, user, err := in.ids()
	if err != nil {
		return nil, err
	}
	role, err := chat.ParseRole("role", in.Body.Value.Role)
	if err != nil {
		return nil, err
	}
	return nil, e.onMember(ctx, chat.OpRole, id, user, role)
}

func (e *Edge) removeMember(ctx context.Context, in *MemberPath) (*none, error) {
	id, user, err := in.ids()
	if err != nil {
		return nil, err
	}
	return nil, e.onMember(ctx, chat.OpRemove, id, user, "")
}

func (e *Edge) onMember(ctx context.Context, op chat.CommandOp, id chat.RoomID, user chat.UserID, role chat.Role) error {
	c, err := e.command(op, caller(ctx), id)
	if err == nil {
		c.Users, c.Role = []chat.UserID{user}, role
	}
	_, err = e.run(ctx, c, err)
	e.members.forget(id)
	return err
}
