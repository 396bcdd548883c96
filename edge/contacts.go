package edge

import (
	"context"

	"natter/auth"
	"natter/chat"
	"natter/contacts"
	"natter/wire"
)

func (e *Edge) contacts(ctx context.Context, _ *struct{}) (*reply[wire.Contacts], error) {
	list := []wire.Contact{}
	for _, one := range e.Contacts.Contacts(caller(ctx).User) {
		user, err := e.lookup(ctx, one.User)
		if err != nil {
			return nil, err
		}
		list = append(list, wireContact(user, one.Contact))
	}
	return &reply[wire.Contacts]{wire.Contacts{Contacts: list}}, nil
}

func wireContact(u wire.User, c chat.Contact) wire.Contact {
	return wire.Contact{User: u, State: c.State, Since: wire.Time(c.Since)}
}

func (e *Edge) blocks(ctx context.Context, _ *struct{}) (*reply[wire.Blocks], error) {
	list := []wire.Block{}
	for _, one := range e.Contacts.Blocks(caller(ctx).User) {
		user, err := e.lookup(ctx, one.User)
		if err != nil {
			return nil, err
		}
		list = append(list, wire.Block{User: user, Since: wire.Time(one.Since)})
	}
	return &reply[wire.Blocks]{wire.Blocks{Blocks: list}}, nil
}

// addContact asks, or accepts. Asking anew has a rate of its own, so that nobody
// walks through everybody there is; answering hasn't.
func (e *Edge) addContact(ctx context.Context, in *userInput) (*reply[wire.Contact], error) {
	who := caller(ctx)
	other, err := in.other(who)
	if err != nil {
		return nil, err
	}
	user, err := e.mustExist(ctx, other)
	if err != nil {
		return nil, err
	}
	if p, _ := e.Contacts.Pair(who.User, other); p.Contact(who.User).State == chat.ContactNone {
		if err := e.limits.take(RateContact, string(who.User)); err != nil {
			return nil, err
		}
	}
	done, err := e.act(ctx, who, other, chat.ActAsk)
	if err != nil {
		return nil, err
	}
	return &reply[wire.Contact]{wireContact(user, done.After.Contact(who.User))}, nil
}

func (e *Edge) removeContact(ctx context.Context, in *userInput) (*none, error) {
	return e.simply(ctx, in, chat.ActDrop)
}

func (e *Edge) block(ctx context.Context, in *userInput) (*none, error) {
	who := caller(ctx)
	other, err := in.other(who)
	if err != nil {
		return nil, err
	}
	if _, err := e.mustExist(ctx, other); err != nil {
		return nil, err
	}
	return e.simply(ctx, in, chat.ActBlock)
}

func (e *Edge) unblock(ctx context.Context, in *userInput) (*none, error) {
	return e.simply(ctx, in, chat.ActUnblock)
}

// simply does what has no answer. Whether there is such a person doesn't matter:
// what was never there is undone already.
func (e *Edge) simply(ctx context.Context, in *userInput, act chat.ContactAct) (*none, error) {
	who := caller(ctx)
	other, err := in.other(who)
	if err != nil {
		return nil, err
	}
	_, err = e.act(ctx, who, other, act)
	return nil, err
}

// act does it, and tells of it.
func (e *Edge) act(ctx context.Context, who auth.Identity, other chat.UserID, act chat.ContactAct) (contacts.Done, error) {
	done, err := e.Contacts.Act(ctx, who.User, other, act)
	if err != nil {
		return done, err
	}
	event := chat.Event{Pair: &done.After, Revision: done.Revision}
	if to := changed(&done, (*chat.Pair).Contact); len(to) > 0 {
		event.Type = chat.EventContact
		e.tell(ctx, who, event, to...)
	}
	if to := changed(&done, (*chat.Pair).BlockedBy); len(to) > 0 {
		event.Type = chat.EventBlock
		e.tell(ctx, who, event, to...)
	}
	return done, nil
}

// changed are those of the two to whom something looks otherwise than before: by
// that alone it is decided who is told.
func changed[T comparable](done *contacts.Done, look func(*chat.Pair, chat.UserID) T) []chat.UserID {
	var to []chat.UserID
	for _, u := range []chat.UserID{done.After.Low, done.After.High} {
		if look(&done.Before, u) != look(&done.After, u) {
			to = append(to, u)
		}
	}
	return to
}

// other reads the person of the path, who is somebody else.
func (in *userInput) other(who auth.Identity) (chat.UserID, error) {
	other, err := chat.ParseID[chat.UserID]("user_id", in.UserID)
	if err == nil && other == who.User {
		err = chat.Invalid("user_id", "must be another person")
	}
	return other, err
}

// lookup is user for who may wait: a person whose account this node has not seen
// yet is asked of the store. Who is nowhere is only an id.
func (e *Edge) lookup(ctx context.Context, id chat.UserID) (wire.User, error) {
	user, err := e.mustExist(ctx, id)
	if chat.KindOf(err) == chat.KindNotFound {
		return wire.User{ID: id}, nil
	}
	return user, err
}

// mustExist is lookup, with KindNotFound for who is nowhere.
func (e *Edge) mustExist(ctx context.Context, id chat.UserID) (wire.User, error) {
	u, ok, err := e.Auth.Lookup(ctx, id)
	if err != nil {
		return wire.User{}, err
	}
	if !ok {
		return wire.User{}, noUser()
	}
	return wireUser(u), nil
}

func noUser() error {
	p := chat.NotFound("user")
	p.Field = "user_id"
	return p
}

// pair is a contact or block event as viewer gets it. It tells what is by now, if
// this node knows something newer: of two events that overtook each other, both
// tell the later one's.
func (c *encoder) pair(viewer chat.UserID, ev *chat.Event) (json []byte, wait bool) {
	p := ev.Pair
	if p == nil || viewer != p.Low && viewer != p.High {
		return nil, false
	}
	other := p.Other(viewer)
	if known, revision := c.e.Contacts.Pair(viewer, other); revision > ev.Revision {
		p = &known
	}
	if ev.Type == chat.EventBlock {
		blocked := p.BlockedBy(viewer) != 0
		return wire.Marshal(&wire.Event{Type: ev.Type, UserID: other, Blocked: &blocked}), false
	}
	user, ok := c.e.Auth.User(other)
	if !ok {
		return nil, true
	}
	contact := wireContact(wireUser(user), p.Contact(viewer))
	return wire.Marshal(&wire.Event{Type: ev.Type, Contact: &contact}), false
}

// pairSlow is pair for who may wait until the account is known.
func (c *encoder) pairSlow(ctx context.Context, viewer chat.UserID, ev *chat.Event) ([]byte, error) {
	other := ev.Pair.Other(viewer)
	user, err := c.e.lookup(ctx, other)
	if err != nil {
		return nil, err
	}
	p := *ev.Pair
	if known, revision := c.e.Contacts.Pair(viewer, other); revision > ev.Revision {
		p = known
	}
	contact := wireContact(user, p.Contact(viewer))
	return wire.Marshal(&wire.Event{Type: ev.Type, Contact: &contact}), nil
}
