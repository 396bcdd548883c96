package edge

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"natter/chat"
	"natter/wire"
)

type schema struct {
	Const                any
	Ref                  string `json:"$ref"`
	Properties           map[string]schema
	Required             []string
	AdditionalProperties any
	Items                *schema
	Type                 any
}

// TestTheAsyncAPIDocument holds the document to wire's frames: every op is
// there with exactly its fields, and every reference leads somewhere.
func TestTheAsyncAPIDocument(t *testing.T) {
	h := open(t)
	a := h.call("GET", "/v1/asyncapi.json", nil).status(200)
	var doc struct {
		AsyncAPI   string
		Operations map[string]any
		Channels   map[string]struct{ Messages map[string]schema }
		Components struct {
			Schemas  map[string]schema
			Messages map[string]struct{ Payload schema }
		}
	}
	h.must(json.Unmarshal(a.body, &doc))
	if doc.AsyncAPI != "3.0.0" {
		t.Errorf("version %q", doc.AsyncAPI)
	}
	frames := map[string]wire.Frame{}
	for _, f := range []wire.Frame{
		&wire.Hello{}, &wire.Send{}, &wire.Read{}, &wire.Edit{}, &wire.Delete{}, &wire.React{}, &wire.Unreact{}, &wire.Ack{},
		&wire.Typing{}, &wire.SetStatus{}, &wire.Watch{}, &wire.Ping{}, &wire.SetDraft{},
	} {
		frames["client_"+string(wire.OpOf(f))] = f
	}
	for _, f := range []wire.Frame{
		&wire.Welcome{}, &wire.Sent{}, &wire.OK{}, &wire.EventFrame{}, &wire.EventsFrame{}, &wire.Synced{}, &wire.Reset{},
		&wire.PresenceFrame{}, &wire.TypingFrame{}, &wire.Delivered{}, &wire.Pong{}, &wire.Error{}, &wire.Move{},
	} {
		frames["server_"+string(wire.OpOf(f))] = f
	}
	if len(frames) != len(doc.Components.Messages) || len(frames) != len(doc.Channels["socket"].Messages) {
		t.Errorf("%d frames, %d messages, %d in the channel", len(frames), len(doc.Components.Messages), len(doc.Channels["socket"].Messages))
	}
	for op := range ops {
		if doc.Operations["receive_"+string(op)] == nil {
			t.Errorf("no operation for %s", op)
		}
	}
	for key, f := range frames {
		payload := doc.Components.Messages[key].Payload
		same(t, key, payload, reflect.TypeOf(f).Elem())
		if strict := payload.AdditionalProperties == false; strict != strings.HasPrefix(key, "client_") {
			t.Errorf("%s: strict is %v", key, strict)
		}
	}
	for _, v := range []any{
		wire.User{}, wire.Member{}, wire.Room{}, wire.System{}, wire.Reaction{}, wire.Message{}, wire.Event{}, wire.Placed{}, wire.Node{}, wire.Problem{}, wire.Draft{},
	} {
		typ := reflect.TypeOf(v)
		same(t, typ.Name(), doc.Components.Schemas[typ.Name()], typ)
	}
	for _, piece := range strings.Split(string(a.body), `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(piece, `"`)
		if _, ok := doc.Components.Schemas[name]; !ok {
			t.Errorf("no schema %s", name)
		}
	}
}

// same compares a schema's properties with a struct's fields; optional ones must
// not be required.
func same(t *testing.T, name string, s schema, typ reflect.Type) {
	t.Helper()
	fields := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "" {
			continue
		}
		fields[tag] = options == ""
		if _, ok := s.Properties[tag]; !ok {
			t.Errorf("%s: the field %s isn't documented", name, tag)
		}
		if slices.Contains(s.Required, tag) != (options == "") {
			t.Errorf("%s: is %s required?", name, tag)
		}
	}
	for field := range s.Properties {
		if _, ok := fields[field]; !ok {
			t.Errorf("%s: there is no field %s", name, field)
		}
	}
}

// TestTheOpenAPIDocument has every call, with its answers, and nothing of
// huma's own.
func TestTheOpenAPIDocument(t *testing.T) {
	h := open(t)
	a := h.call("GET", "/v1/openapi.json", nil).status(200)
	if string(a.body) != string(h.edge.OpenAPI()) {
		t.Error("OpenAPI() and the call differ")
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct {
				Content map[string]struct{ Schema schema }
			}
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	h.must(json.Unmarshal(a.body, &doc))
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	for _, r := range h.edge.Routes() {
		if r.Tag == "Discovery" && !strings.HasPrefix(r.Path, "/v1/nodes") && !strings.HasPrefix(r.Path, "/v1/server") {
			continue
		}
		op := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if op.OperationID != r.ID {
			t.Errorf("%s %s: operation %q", r.Method, r.Path, op.OperationID)
		}
	}
	send := doc.Paths["/v1/rooms/{room_id}/messages"]["post"]
	if got := send.RequestBody.Content["application/json"].Schema.Ref; got != "#/components/schemas/PostMessage" {
		t.Errorf("send takes %q", got)
	}
	if got := send.Responses["201"].Content["application/json"].Schema.Ref; got != "#/components/schemas/Message" {
		t.Errorf("send answers %q", got)
	}
	if _, ok := send.Responses["default"].Content["application/problem+json"]; !ok {
		t.Errorf("send fails with %+v", send.Responses)
	}
	if got := doc.Paths["/v1/sync"]["get"].Responses["200"].Content["application/json"].Schema.Ref; got != "#/components/schemas/SyncAnswer" {
		t.Errorf("sync answers %q", got)
	}
	for _, v := range []any{wire.Message{}, wire.Room{}, wire.RoomEntry{}, wire.Me{}, wire.Problem{}, wire.PostMessage{}, wire.CreateRoom{}, wire.ChangeRoom{}, wire.PutDraft{}, wire.Draft{}} {
		typ := reflect.TypeOf(v)
		s, ok := doc.Components.Schemas[typ.Name()]
		if !ok {
			t.Errorf("no schema of %s", typ.Name())
			continue
		}
		same(t, typ.Name(), s, typ)
	}
	for name, s := range doc.Components.Schemas {
		if _, ok := s.Properties["$schema"]; ok || name == "ErrorModel" {
			t.Errorf("%s is huma's", name)
		}
	}
	for name, strict := range map[string]any{"PostMessage": false, "Message": true, "Problem": true} {
		if got := doc.Components.Schemas[name].AdditionalProperties; got != strict {
			t.Errorf("%s: additionalProperties is %v", name, got)
		}
	}
	if created := doc.Components.Schemas["Message"].Properties["created_at"]; created.Type != "string" {
		t.Errorf("created_at is %v", created.Type)
	}
}

// TestServerInfo publishes every limit of the contract.
func TestServerInfo(t *testing.T) {
	h := open(t)
	var s wire.Server
	h.call("GET", "/v1/server", nil).status(200).into(&s)
	if s.Limits["text_chars"] != chat.MaxTextRunes || s.Limits["frame_bytes"] != 65536 || s.Version != "test" || s.Limits["mentions"] != chat.MaxMentions || s.Limits["edit_window_ms"] != 0 || len(s.Auth) != 1 {
		t.Errorf("server %+v", s)
	}
	h.call("GET", "/healthz", nil).status(200)
	h.call("GET", "/v1/nodes?region=eu", nil).status(200)
}

// TestTheApp: files, their caching, and the page for addresses of its own.
func TestTheApp(t *testing.T) {
	long := strings.Repeat("console.log('hello');\n", 1000)
	h := open(t, func(o *Options) {
		o.AppBuilt = true
		o.App = fstest.MapFS{
			"index.html":           {Data: []byte("<!doctype html><title>natter</title>")},
			"assets/app-1234.js":   {Data: []byte(long)},
			"favicon.svg":          {Data: []byte("<svg/>")},
			"manifest.webmanifest": {Data: []byte("{}")},
			".hidden":              {Data: []byte("secret")},
		}
	})
	js := h.call("GET", "/assets/app-1234.js", nil, "Accept-Encoding", "gzip").status(200)
	if js.Header.Get("Content-Encoding") != "gzip" || len(js.body) > len(long)/10 || !strings.Contains(js.Header.Get("Cache-Control"), "immutable") ||
		js.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || js.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%d bytes with %v", len(js.body), js.Header)
	}
	if plain := h.call("GET", "/assets/app-1234.js", nil, "Accept-Encoding", "identity").status(200); string(plain.body) != long {
		t.Errorf("%d bytes plain", len(plain.body))
	}
	tag := js.Header.Get("ETag")
	if a := h.call("GET", "/assets/app-1234.js", nil, "If-None-Match", tag).status(304); len(a.body) != 0 {
		t.Error("304 with a body")
	}
	for path, accept := range map[string]string{"/": "", "/rooms/g1": "text/html,*/*", "/index.html": ""} {
		a := h.call("GET", path, nil, "Accept", accept).status(200)
		if !strings.Contains(string(a.body), "natter") || a.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %s, %v", path, a.body, a.Header)
		}
	}
	if a := h.call("HEAD", "/", nil).status(200); len(a.body) != 0 {
		t.Error("HEAD with a body")
	}
	for _, path := range []string{"/nothing.js", "/.hidden", "/assets/", "/assets/../index.html.bak", "/%2e%2e/secret", "/rooms/g1"} {
		h.call("GET", path, nil, "Accept", "application/json").refused(404, chat.KindNotFound, "")
	}
	h.call("GET", "/v1/nothing", nil, "Accept", "text/html").refused(404, chat.KindNotFound, "")
	open(t).call("GET", "/", nil, "Accept", "text/html").refused(404, chat.KindNotFound, "")
}
