package edge

import (
	"context"
	_ "embed"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"natter/chat"
	"natter/wire"
)

// asyncAPI describes the WebSocket; a test holds it to wire's frames.
//
//go:embed asyncapi.json
var asyncAPI []byte

type nodesInput struct {
	Region string `query:"region" doc:"where the client is; nearer nodes come first"`
}

func (e *Edge) nodes(_ context.Context, in *nodesInput) (*reply[wire.Nodes], error) {
	if in.Region != "" && !chat.ValidID(in.Region) {
		return nil, chat.Invalid("region", "must be 1 to 64 of A-Z a-z 0-9 _ -")
	}
	nodes := e.Nodes(in.Region)
	if nodes == nil {
		nodes = []wire.Node{}
	}
	return &reply[wire.Nodes]{wire.Nodes{Nodes: nodes}}, nil
}

// publishedLimits are chat's under the names its comments give them.
var publishedLimits = map[string]int64{
	"text_chars":         chat.MaxTextRunes,
	"name_chars":         chat.MaxNameRunes,
	"topic_chars":        chat.MaxTopicRunes,
	"about_chars":        chat.MaxAboutRunes,
	"room_members":       chat.MaxMembers,
	"username_chars_min": chat.MinUsernameRunes,
	"username_chars":     chat.MaxUsernameRunes,
	"password_bytes_min": chat.MinPasswordBytes,
	"password_bytes":     chat.MaxPasswordBytes,
	"device_name_chars":  chat.MaxDeviceRunes,
	"page":               chat.MaxPage,
	"sync_events":        chat.MaxSyncEvents,
	"sync_wait_seconds":  int64(chat.MaxSyncWait / time.Second),
	"watch_users":        chat.MaxWatch,
	"frame_bytes":        chat.MaxFrameBytes,
	"body_bytes":         chat.MaxBodyBytes,
	"rooms":              chat.MaxRoomsPerUser,
	"read_told_members":  chat.MaxReadTold,
	"mentions":           chat.MaxMentions,
}

func (e *Edge) serverInfo(context.Context, *struct{}) (*reply[wire.Server], error) {
	limits := maps.Clone(publishedLimits)
	limits["edit_window_ms"] = e.EditWindow.Milliseconds() // 0: none
	return &reply[wire.Server]{wire.Server{
		Name: "natter", Version: e.Version, Limits: limits,
		Auth:     []string{"password"},
		Features: []string{"direct", "group", "reactions", "edit", "mentions", "drafts", "history", "typing", "presence", "websocket", "long_polling", "sse"},
	}}, nil
}

// healthz says that the process answers. It is not the place to say why not.
func (e *Edge) healthz(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) }

func (e *Edge) readyz(c *fiber.Ctx) error {
	switch err := e.Ready(); {
	case e.draining.Load():
		e.refuse(c.Context(), chat.Unavailable("the node is draining", 0))
	case err != nil:
		// Why is for the operator's log; the world only learns that it isn't.
		e.Logger.Warn("the node is not ready", "err", err)
		e.refuse(c.Context(), chat.Unavailable("the node is not ready", time.Second))
	default:
		return c.JSON(fiber.Map{"status": "ok"})
	}
	return nil
}

func (e *Edge) serveOpenAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/json")
	return c.Send(e.openAPI)
}

func (e *Edge) serveAsyncAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/json")
	return c.Send(asyncAPI)
}

// document is the OpenAPI document, made once. Requests hold what they say and
// nothing else; answers may get further fields, which clients ignore.
func (e *Edge) document() []byte {
	requests := map[string]bool{}
	for _, item := range e.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Post, item.Put, item.Patch} {
			if op != nil && op.RequestBody != nil {
				requests[strings.TrimPrefix(op.RequestBody.Content["application/json"].Schema.Ref, schemaPrefix)] = true
			}
		}
	}
	for name, schema := range e.api.OpenAPI().Components.Schemas.Map() {
		if schema.AdditionalProperties == false && !requests[name] {
			schema.AdditionalProperties = true
		}
	}
	doc, err := json.Marshal(e.api.OpenAPI())
	if err != nil {
		panic("edge: the OpenAPI document is no JSON: " + err.Error())
	}
	return doc
}

func streamDocument() *huma.Operation {
	text := &huma.Schema{Type: huma.TypeString}
	return &huma.Operation{
		Description: "Each event is `id:` its cursor and `data:` its JSON. `event: synced` and `event: reset` carry a cursor as their id.",
		Parameters: []*huma.Param{
			{Name: "cursor", In: "query", Schema: text},
			{Name: "Last-Event-ID", In: "header", Schema: text, Description: "counts before cursor"},
		},
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: text}}}},
	}
}

func socketDocument() *huma.Operation {
	return &huma.Operation{
		Description: "The first frame is `hello` and proves who it is by an access token; browsers may use the session cookie.",
		Responses:   map[string]*huma.Response{"101": {Description: "Switching Protocols"}},
	}
}
