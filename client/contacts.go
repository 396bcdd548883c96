package client

import (
	"context"
	"net/url"

	"natter/chat"
	"natter/wire"
)

// Contacts are the person's friends and open requests, newest first.
func (a *Account) Contacts(ctx context.Context) ([]wire.Contact, error) {
	var out wire.Contacts
	err := a.Call(ctx, "GET", "/v1/contacts", nil, &out)
	return out.Contacts, err
}

// AddContact asks a person to be a friend, or accepts when they have asked.
func (a *Account) AddContact(ctx context.Context, who chat.UserID) (*wire.Contact, error) {
	contact := new(wire.Contact)
	if err := a.Call(ctx, "PUT", "/v1/contacts/"+url.PathEscape(string(who)), nil, contact); err != nil {
		return nil, err
	}
	return contact, nil
}

// RemoveContact removes a friend, declines a request, or takes one back.
func (a *Account) RemoveContact(ctx context.Context, who chat.UserID) error {
	return a.Call(ctx, "DELETE", "/v1/contacts/"+url.PathEscape(string(who)), nil, nil)
}

// Blocks are the people the person has blocked, newest first.
func (a *Account) Blocks(ctx context.Context) ([]wire.Block, error) {
	var out wire.Blocks
	err := a.Call(ctx, "GET", "/v1/blocks", nil, &out)
	return out.Blocks, err
}

// Block blocks a person, who isn't told.
func (a *Account) Block(ctx context.Context, who chat.UserID) error {
	return a.Call(ctx, "PUT", "/v1/blocks/"+url.PathEscape(string(who)), nil, nil)
}

// Unblock lifts a block.
func (a *Account) Unblock(ctx context.Context, who chat.UserID) error {
	return a.Call(ctx, "DELETE", "/v1/blocks/"+url.PathEscape(string(who)), nil, nil)
}

// Presence is how people are, as far as the person may know.
func (a *Account) Presence(ctx context.Context, who ...chat.UserID) ([]wire.Presence, error) {
	query := url.Values{}
	for _, u := range who {
		query.Add("user_id", string(u))
	}
	var out wire.Presences
	err := a.Call(ctx, "GET", "/v1/presence?"+query.Encode(), nil, &out)
	return out.Presence, err
}
