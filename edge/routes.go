package edge

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"natter/wire"
)

// Access says who may call a route at all. What they may do there is decided
// by membership and by the rules.
type Access string

// The kinds of access.
const (
	Anyone   Access = "anyone"
	SignedIn Access = "signed_in"
)

// Route is one call of the HTTP API.
type Route struct {
	Method, Path string // the path as OpenAPI writes it, with {names}
	Access       Access
	Rate         Rate
	Status       int // of success
	ID           string
	Summary      string
	Tag          string
}

// Routes lists every call the edge answers, the WebSocket and the streams too.
// A test of authorisation walks it.
func (e *Edge) Routes() []Route { return e.routes }

// binding is a route and how it becomes one of huma's.
type binding struct {
	Route
	bind func(*Edge, Route)
}

// on binds a handler that huma types: I are path, query and body, O the answer.
func on[I, O any](r Route, handle func(context.Context, *I) (*O, error)) binding {
	return binding{r, func(e *Edge, r Route) {
		e.queries[r.ID] = queryNames(reflect.TypeFor[I]())
		op := huma.Operation{
			OperationID: r.ID, Method: r.Method, Path: r.Path, Summary: r.Summary, Tags: []string{r.Tag}, DefaultStatus: r.Status,
			// The shape is checked by the same strict decoder as a frame's, and the
			// values by chat: one refusal for one fault, whichever way it comes.
			SkipValidateBody: true, SkipValidateParams: true,
			MaxBodyBytes: -1, BodyReadTimeout: -1, // the server has bounded both
			Middlewares: huma.Middlewares{e.admit(r)},
			Security:    security[r.Access],
		}
		huma.Register(e.api, op, func(ctx context.Context, in *I) (*O, error) {
			ctx, cancel := context.WithTimeout(ctx, callWithin)
			defer cancel()
			if err := bodyError(in); err != nil {
				return nil, e.problem(requestOf(ctx), err)
			}
			out, err := handle(ctx, in)
			if err != nil {
				return nil, e.problem(requestOf(ctx), err)
			}
			return out, nil
		})
	}}
}

// raw binds a handler of Fiber's, for what isn't one request and one answer.
// document, which may be nil, describes it.
func raw(r Route, handle fiber.Handler, document *huma.Operation) binding {
	return binding{r, func(e *Edge, r Route) {
		handle := func(c *fiber.Ctx) error {
			requestOf(c.Context()).route = r.Path
			return handle(c)
		}
		e.app.Add(r.Method, r.Path, handle)
		if document == nil {
			e.app.Add(fiber.MethodHead, r.Path, handle) // what asks for health may not want to read it
		} else {
			document.OperationID, document.Method, document.Path, document.Summary = r.ID, r.Method, r.Path, r.Summary
			document.Tags, document.Security = []string{r.Tag}, security[r.Access]
			e.api.OpenAPI().AddOperation(document)
		}
	}}
}

var security = map[Access][]map[string][]string{
	SignedIn: {{"bearer": {}}, {"cookie": {}}},
	Anyone:   {},
}

// register makes the routes of table() and the document of them.
func (e *Edge) register() {
	e.api = humafiber.New(e.app, e.humaConfig())
	for _, b := range e.table() {
		b.bind(e, b.Route)
		e.routes = append(e.routes, b.Route)
	}
	e.openAPI = e.document()
}

func (e *Edge) humaConfig() huma.Config {
	format := huma.Format{
		Marshal: func(w io.Writer, v any) error {
			if p, ok := v.(*problem); ok {
				v = &p.Problem
			}
			_, err := w.Write(wire.Marshal(v))
			return err
		},
		Unmarshal: fill,
	}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "natter", Version: "1", Description: "The HTTP API of a natter node. " +
				"What passes over the WebSocket is described at /v1/asyncapi.json.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", Description: "the access_token of a session"},
					"cookie": {Type: "apiKey", In: "cookie", Name: cookieName, Description: "for browsers; writes also need X-Natter: 1"},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	}
}

// queryNames are the query parameters of an input type.
func queryNames(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("query"); tag != "" {
			name, _, _ := strings.Cut(tag, ",")
			names[name] = true
		}
	}
	return names
}

const schemaPrefix = "#/components/schemas/"

// The answers that have no body, and those that do.
type (
	none struct{}

	reply[T any] struct{ Body T }

	// made answers 201 for what is new and 200 for what was there.
	made[T any] struct {
		Status int
		Body   T
	}
)

func created[T any](body T, retry bool) *made[T] {
	if retry {
		return &made[T]{http.StatusOK, body}
	}
	return &made[T]{http.StatusCreated, body}
}
