package edge

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"natter/chat"
)

// Edge serves one node's clients. All methods are safe for concurrent use.
type Edge struct {
	Options
	proxies  trusted
	async    chat.AsyncLog // Log, if it is one
	app      *fiber.App
	api      huma.API
	server   *fasthttp.Server
	routes   []Route
	queries  map[string]map[string]bool // the query parameters by operation
	openAPI  []byte
	assets   *assets
	hub      *hub
	roster   *roster
	encoder  *encoder
	readers  chan struct{} // a token for each queue that is being read
	returns  returns       // the same of those who come back
	members  *memberCache
	limits   *limits
	metrics  *metrics
	polls    polls
	slides   slides
	life     context.Context // ends when draining begins
	drain    context.CancelFunc
	draining atomic.Bool
	away     away
}

// New prepares an Edge; Serve starts it.
func New(o Options) (*Edge, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	prefixes, err := parsePrefixes(o.TrustedProxies)
	if err != nil {
		return nil, err
	}
	e := &Edge{Options: o, proxies: prefixes, queries: map[string]map[string]bool{}}
	e.life, e.drain = context.WithCancel(context.Background())
	if log, ok := o.Log.(chat.AsyncLog); ok {
		e.async = &writing{AsyncLog: log, at: &e.returns.wrote}
		e.Log = e.async
	}
	e.metrics = newMetrics(o.Registry)
	e.hub = newHub(o.MaxSocketsPerUser)
	e.roster = newRoster(e)
	e.encoder = newEncoder(e)
	e.readers = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	e.returns.tokens = make(chan struct{}, cap(e.readers))
	e.members = newMemberCache(e)
	e.limits = newLimits(o.RateLimits, o.Now)
	if e.assets, err = loadAssets(o.App, o.AppBuilt); err != nil {
		return nil, err
	}
	e.app = fiber.New(fiber.Config{
		AppName:                      "natter",
		DisableStartupMessage:        true,
		CaseSensitive:                true,
		StrictRouting:                true,
		Immutable:                    true, // what handlers keep is theirs
		BodyLimit:                    chat.MaxBodyBytes,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		ReadBufferSize:               headerBytes,
		DisablePreParseMultipartForm: true,
		ErrorHandler:                 e.onError,
	})
	e.app.Use(e.static)
	e.register()
	e.server = e.app.Server()
	e.server.Handler = e.outer(e.app.Handler())
	e.server.ErrorHandler = e.onBadRequest
	e.server.CloseOnShutdown = true
	e.server.KeepHijackedConns = true // sockets are the hub's: they close when their sessions end
	o.Auth.OnRevoked(e.onRevoked)
	o.Contacts.OnChange(e.onContacts)
	if err := e.roster.open(); err != nil {
		return nil, err
	}
	return e, nil
}

// OpenAPI is the OpenAPI 3.1 document of the HTTP API, in JSON.
func (e *Edge) OpenAPI() []byte { return e.openAPI }

// onRevoked closes the sockets of a device whose session has ended, on whatever
// node it ended.
func (e *Edge) onRevoked(u chat.UserID, d chat.DeviceID) {
	e.hub.revoke(u, d)
	e.polls.end(d)
	if e.Cursors != nil {
		e.Cursors.Drop(u, d)
	}
}
