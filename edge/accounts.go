package edge

import (
	"context"
	"time"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// sessionReply carries a session, and a cookie for browsers.
type sessionReply struct {
	SetCookie string `header:"Set-Cookie"`
	Body      wire.Session
}

type bare[T any] struct{ Body body[T] }

func (e *Edge) signUp(ctx context.Context, in *bare[wire.SignUp]) (*sessionReply, error) {
	b := &in.Body.Value
	s, err := e.Auth.SignUp(ctx, e.credentials(ctx, b.Username, b.Password, b.Name, b.DeviceName))
	return e.session(ctx, s, err)
}

func (e *Edge) signIn(ctx context.Context, in *bare[wire.SignIn]) (*sessionReply, error) {
	b := &in.Body.Value
	s, err := e.Auth.SignIn(ctx, e.credentials(ctx, b.Username, b.Password, "", b.DeviceName))
	return e.session(ctx, s, err)
}

func (e *Edge) refresh(ctx context.Context, in *bare[wire.Refresh]) (*sessionReply, error) {
	s, err := e.Auth.Refresh(ctx, in.Body.Value.RefreshToken)
	return e.session(ctx, s, err)
}

func (e *Edge) credentials(ctx context.Context, username, password, name, device string) auth.Credentials {
	return auth.Credentials{Username: username, Password: password, Name: name, DeviceName: device, Addr: requestOf(ctx).addr.String()}
}

// session answers with a session. The cookie goes only to requests that can't
// have been made by a page of another site.
func (e *Edge) session(ctx context.Context, s auth.Session, err error) (*sessionReply, error) {
	if err != nil {
		return nil, err
	}
	out := &sessionReply{Body: wire.Session{
		AccessToken: s.AccessToken, AccessExpiresAt: wire.TimeOf(s.AccessExpires), RefreshToken: s.RefreshToken,
		DeviceID: s.Device, User: wireUser(s.User), Nodes: e.Nodes(""),
	}}
	if s.Cookie != "" && requestOf(ctx).forgeryProof {
		out.SetCookie = e.cookie(s.Cookie, s.CookieExpires)
		e.slides.news(s.Device, s.CookieExpires)
	}
	return out, nil
}

type deviceInput struct {
	DeviceID string `path:"device_id"`
}

func (e *Edge) devices(ctx context.Context, _ *struct{}) (*reply[wire.Devices], error) {
	who := caller(ctx)
	devices, err := e.Auth.Devices(ctx, who.User)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Device, len(devices))
	for i, d := range devices {
		list[i] = wire.Device{
			DeviceID: d.ID, DeviceName: d.Name, CreatedAt: wire.Time(d.CreatedAt),
			LastSeenAt: wire.Time(d.LastSeenAt), Current: d.ID == who.Device,
		}
	}
	return &reply[wire.Devices]{wire.Devices{Sessions: list}}, nil
}

// clearing takes the cookie away where there is one.
type clearing struct {
	SetCookie string `header:"Set-Cookie"`
}

func (e *Edge) endSession(ctx context.Context, in *deviceInput) (*clearing, error) {
	who := caller(ctx)
	device := who.Device
	if in.DeviceID != "current" {
		var err error
		if device, err = chat.ParseID[chat.DeviceID]("device_id", in.DeviceID); err != nil {
			return nil, err
		}
	}
	if err := e.Auth.Revoke(ctx, who.User, device); err != nil {
		return nil, err
	}
	e.tell(ctx, who, chat.Event{Type: chat.EventSessionRevoked, Device: device}, who.User)
	out := &clearing{}
	if device == who.Device {
		out.SetCookie = e.cookie("", time.Time{})
	}
	return out, nil
}

func (e *Edge) changePassword(ctx context.Context, in *bare[wire.ChangePassword]) (*none, error) {
	who := caller(ctx)
	before, err := e.Auth.Devices(ctx, who.User)
	if err != nil {
		return nil, err
	}
	if err := e.Auth.ChangePassword(ctx, who, in.Body.Value.OldPassword, in.Body.Value.NewPassword); err != nil {
		return nil, err
	}
	for _, d := range before {
		if d.ID != who.Device {
			e.tell(ctx, who, chat.Event{Type: chat.EventSessionRevoked, Device: d.ID}, who.User)
		}
	}
	return nil, nil
}
