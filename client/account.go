package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"natter/chat"
	"natter/wire"
)

// Account makes the HTTP calls of one device: at first of nobody, after SignUp,
// SignIn or Adopt of its person. It is safe for concurrent use. Every call is
// tried once; a refusal of the server is a *wire.Problem, whose Code says what
// to do about it; anything else never reached the server or its answer was lost.
type Account struct {
	base string
	http *http.Client

	refreshing chan struct{} // held over a refresh: the same token used twice ends the session

	mu      sync.Mutex
	session wire.Session
}

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 16 << 20

// refreshBefore is how long before its end an access token is changed.
const refreshBefore = time.Minute

// NewAccount is a device of nobody yet, at a node's address as
// http://127.0.0.1:8080. A nil h is http.DefaultClient; the caller keeps h and
// closes its idle connections.
func NewAccount(base string, h *http.Client) *Account {
	if h == nil {
		h = http.DefaultClient
	}
	return &Account{base: strings.TrimRight(base, "/"), http: h, refreshing: make(chan struct{}, 1)}
}

// Base is the address the calls go to.
func (a *Account) Base() string { return a.base }

// Session is the present session; its tokens are empty before signing in.
func (a *Account) Session() wire.Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

// User is the one signed in.
func (a *Account) User() wire.User { return a.Session().User }

// Adopt goes on with a session that was kept from earlier.
func (a *Account) Adopt(s wire.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.session = s
}

// SignUp makes an account and signs in as it.
func (a *Account) SignUp(ctx context.Context, in wire.SignUp) error {
	return a.enter(ctx, "/v1/accounts", in)
}

// SignIn makes a session: one more device of the person.
func (a *Account) SignIn(ctx context.Context, in wire.SignIn) error {
	return a.enter(ctx, "/v1/sessions", in)
}

// Refresh changes the refresh token for a new session of the same device.
func (a *Account) Refresh(ctx context.Context) error {
	return a.enter(ctx, "/v1/sessions/refresh", wire.Refresh{RefreshToken: a.Session().RefreshToken})
}

func (a *Account) enter(ctx context.Context, path string, in any) error {
	var s wire.Session
	if err := a.Call(ctx, http.MethodPost, path, in, &s); err != nil {
		return err
	}
	a.Adopt(s)
	return nil
}

// SignOut ends the session.
func (a *Account) SignOut(ctx context.Context) error {
	return a.Call(ctx, http.MethodDelete, "/v1/sessions/current", nil, nil)
}

// Token is an access token with some life left in it; it refreshes when it must,
// once for all who ask meanwhile.
func (a *Account) Token(ctx context.Context) (string, error) {
	if s := a.Session(); !stale(&s) {
		return s.AccessToken, nil
	}
	select {
	case a.refreshing <- struct{}{}:
		defer func() { <-a.refreshing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if s := a.Session(); !stale(&s) { // somebody was faster
		return s.AccessToken, nil
	}
	if err := a.Refresh(ctx); err != nil {
		return "", err
	}
	return a.Session().AccessToken, nil
}

func stale(s *wire.Session) bool {
	return s.RefreshToken != "" && time.Until(s.AccessExpiresAt.Time()) < refreshBefore
}

// Call makes any call: in is sent as JSON unless nil, the answer is read into
// out unless nil.
func (a *Account) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		body = bytes.NewReader(wire.Marshal(in))
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := a.Session().AccessToken; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		return refusal(res, data)
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	if err := wire.Parse(data, out); err != nil {
		return fmt.Errorf("client: answer of %s %s: %w", method, path, err)
	}
	return nil
}

// refusal is a *wire.Problem of the answer, made up from its status if the
// answer isn't one (a proxy's page, say).
func refusal(res *http.Response, data []byte) *wire.Problem {
	var p wire.Problem
	if wire.Parse(data, &p) != nil || p.Code == "" {
		p = wire.Problem{Title: res.Status, Detail: fmt.Sprintf("the server answered %s", res.Status), Code: chat.KindInternal}
		if res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusBadGateway {
			p.Code = chat.KindUnavailable
		}
	}
	p.Status = res.StatusCode
	return &p
}

// CodeOf is the code of a refusal, "" for any other error and for nil.
func CodeOf(err error) chat.Kind {
	if p := problemOf(err); p != nil {
		return p.Code
	}
	return ""
}

// problemOf is the server's refusal in err, nil if there is none.
func problemOf(err error) *wire.Problem {
	var p *wire.Problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// Direct is the one room with another person.
func (a *Account) Direct(ctx context.Context, other chat.UserID) (*wire.Room, error) {
	return a.createRoom(ctx, wire.CreateRoom{Kind: string(chat.RoomDirect), UserID: string(other)})
}

// Group makes a room of several.
func (a *Account) Group(ctx context.Context, name string, others ...chat.UserID) (*wire.Room, error) {
	in := wire.CreateRoom{Kind: string(chat.RoomGroup), Name: name}
	for _, u := range others {
		in.MemberIDs = append(in.MemberIDs, string(u))
	}
	return a.createRoom(ctx, in)
}

func (a *Account) createRoom(ctx context.Context, in wire.CreateRoom) (*wire.Room, error) {
	room := new(wire.Room)
	if err := a.Call(ctx, http.MethodPost, "/v1/rooms", in, room); err != nil {
		return nil, err
	}
	return room, nil
}

// Room is a room as one sees it.
func (a *Account) Room(ctx context.Context, id chat.RoomID) (*wire.Room, error) {
	room := new(wire.Room)
	if err := a.Call(ctx, http.MethodGet, roomPath(id), nil, room); err != nil {
		return nil, err
	}
	return room, nil
}

// Rooms is one's whole room list, newest activity first.
func (a *Account) Rooms(ctx context.Context) ([]wire.RoomEntry, error) {
	var all []wire.RoomEntry
	for page := ""; ; {
		q := url.Values{"limit": {"100"}}
		if page != "" {
			q.Set("page", page)
		}
		var answer wire.Rooms
		if err := a.Call(ctx, http.MethodGet, "/v1/rooms?"+q.Encode(), nil, &answer); err != nil {
			return nil, err
		}
		all = append(all, answer.Rooms...)
		if page = answer.Next; page == "" {
			return all, nil
		}
	}
}

// Members are a room's.
func (a *Account) Members(ctx context.Context, id chat.RoomID) ([]wire.Member, error) {
	var answer wire.Members
	err := a.Call(ctx, http.MethodGet, roomPath(id)+"/members", nil, &answer)
	return answer.Members, err
}

// AddMember brings a person in.
func (a *Account) AddMember(ctx context.Context, id chat.RoomID, who chat.UserID) error {
	return a.Call(ctx, http.MethodPut, roomPath(id)+"/members/"+url.PathEscape(string(who)), nil, nil)
}

// RemoveMember takes a person out; taking oneself out is leaving.
func (a *Account) RemoveMember(ctx context.Context, id chat.RoomID, who chat.UserID) error {
	return a.Call(ctx, http.MethodDelete, roomPath(id)+"/members/"+url.PathEscape(string(who)), nil, nil)
}

// Span says which messages of a room: those before, after or around a seq, or
// without any the newest.
type Span struct {
	Before, After, Around chat.Seq
	Limit                 int // at most 100; 0 is the server's default
}

// Messages is a page of a room's history, oldest first.
func (a *Account) Messages(ctx context.Context, id chat.RoomID, span Span) (*wire.Messages, error) {
	q := url.Values{}
	for name, n := range map[string]uint64{"before": uint64(span.Before), "after": uint64(span.After), "around": uint64(span.Around), "limit": uint64(span.Limit)} {
		if n > 0 {
			q.Set(name, fmt.Sprint(n))
		}
	}
	answer := new(wire.Messages)
	if err := a.Call(ctx, http.MethodGet, roomPath(id)+"/messages?"+q.Encode(), nil, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// Post sends a message over HTTP: it is on disk when this returns without an
// error. After an error that is no refusal, the same client_id may be posted
// again and is still one message.
func (a *Account) Post(ctx context.Context, id chat.RoomID, key chat.ClientID, text string) (*wire.Message, error) {
	m := new(wire.Message)
	err := a.Call(ctx, http.MethodPost, roomPath(id)+"/messages", wire.PostMessage{ClientID: key.String(), Text: text}, m)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Draft is what one has begun to write in a room; nil if nothing.
func (a *Account) Draft(ctx context.Context, id chat.RoomID) (*wire.Draft, error) {
	var room wire.OneRoom
	if err := a.Call(ctx, http.MethodGet, roomPath(id), nil, &room); err != nil {
		return nil, err
	}
	return room.Draft, nil
}

// KeepDraft keeps what one has begun to write in a room, for one's other devices;
// an empty text takes it away. replyTo may be 0.
func (a *Account) KeepDraft(ctx context.Context, id chat.RoomID, text string, replyTo chat.Seq) error {
	return a.Call(ctx, http.MethodPut, roomPath(id)+"/draft", wire.PutDraft{Text: text, ReplyTo: uint64(replyTo)}, nil)
}

// ShowHistory sets what people who join a group from now on see of it.
func (a *Account) ShowHistory(ctx context.Context, id chat.RoomID, history chat.HistoryVisible) error {
	setting := string(history)
	return a.Call(ctx, http.MethodPatch, roomPath(id), wire.ChangeRoom{History: &setting}, nil)
}

// MarkRead moves one's read mark forward.
func (a *Account) MarkRead(ctx context.Context, id chat.RoomID, seq chat.Seq) error {
	return a.Call(ctx, http.MethodPut, roomPath(id)+"/read", wire.PutRead{Seq: uint64(seq)}, nil)
}

// Sync asks once for the events after cursor, waiting up to wait for the first.
func (a *Account) Sync(ctx context.Context, cursor string, limit int, wait time.Duration) (*wire.SyncAnswer, error) {
	q := url.Values{"limit": {fmt.Sprint(limit)}, "wait": {fmt.Sprint(int(wait / time.Second))}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	answer := new(wire.SyncAnswer)
	if err := a.Call(ctx, http.MethodGet, "/v1/sync?"+q.Encode(), nil, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// Cursor is the end of one's queue now: ask for it before loading the rooms.
func (a *Account) Cursor(ctx context.Context) (string, error) {
	answer, err := a.Sync(ctx, "", 0, 0)
	if err != nil {
		return "", err
	}
	return answer.Cursor, nil
}

func roomPath(id chat.RoomID) string { return "/v1/rooms/" + url.PathEscape(string(id)) }
