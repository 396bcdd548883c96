package edge

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/auth"
	"natter/chat"
	"natter/contacts"
	"natter/wire"
)

// Options are what an Edge needs. Log, History, Drafts, Queues, News, Auth, Contacts
// and NewID must be set.
type Options struct {
	Log     chat.Log // a chat.AsyncLog is used as one
	History chat.History
	Drafts  chat.Drafts
	Queues  chat.Queues
	News    chat.News
	// Cursors keep each device's acked place, for a hello that brings none; nil:
	// such a hello starts at now.
	Cursors chat.Cursors
	// Roster tells of the people on the other nodes; nil: there are none.
	Roster chat.Roster
	// Seen keeps when people were last here; nil: only while the node runs.
	Seen chat.Seen
	// Friends are those whose presence is pushed to u, and u's to them, as far as
	// it is visible; nil: Contacts' friends. It answers from memory and is called often.
	Friends func(u chat.UserID) []chat.UserID
	Auth    *auth.Service
	// Contacts are friends and blocks.
	Contacts *contacts.Service
	// NewID makes a Snowflake; KindUnavailable while the node may not.
	NewID func() (chat.MessageID, error)
	Now   func() time.Time // default time.Now
	// Ready says why the node can't take traffic; nil means it can.
	Ready func() error
	// Nodes lists where a client near region may connect, best first.
	Nodes func(region string) []wire.Node

	NodeID  string
	Version string
	// Origins are further origins whose pages may open a WebSocket, beside the
	// request's own host and PublicURL.
	Origins   []string
	PublicURL string // how browsers reach this node, empty if unknown
	Secure    bool   // browsers reach it over TLS: Secure cookies, HSTS
	// TrustedProxies are addresses and prefixes whose X-Forwarded-For counts.
	TrustedProxies []string

	Heartbeat         time.Duration // default 25 s; a socket silent for 2.5 of them is closed
	MaxSocketsPerUser int           // default 20; at the bound a device's oldest goes for its newest, another device's is refused with 4503
	RateLimits        bool
	// EditWindow is how long after its sending a message may be edited; 0: for ever.
	EditWindow time.Duration
	// PortableSockets has WebSockets driven by contrib/websocket, which every
	// system can, at several times the memory.
	PortableSockets bool

	App      fs.FS // the web app, nil if none
	AppBuilt bool  // App is the built app, not the page that says how to build it

	Logger   *slog.Logger          // default slog.Default
	Registry prometheus.Registerer // nil: no metrics

	// For tests of this package; the defaults are the constants of their names.
	helloWithin, writeWithin, linger, expiryGrace time.Duration
}

// againSoon is until when who is refused by a node that comes or goes may ask again:
// others are there.
const againSoon = 250 * time.Millisecond

// The bounds of a socket and of a request.
const (
	helloWithin    = 10 * time.Second // from the upgrade to hello: else 4500
	writeWithin    = 10 * time.Second // a write that takes longer: 4001
	linger         = 10 * time.Second // from the last socket on any node to offline
	expiryGrace    = 30 * time.Second // from an access token's end to 4500
	callWithin     = 20 * time.Second // an HTTP call, its waiting for the log included
	outboxBytes    = 256 << 10        // of waiting frames, see outbox
	batchEvents    = 100              // events in one frame
	batchBytes     = 32 << 10         // from which on a frame of events is full
	maxJobs        = 256              // frames of a socket that wait for their turn
	maxUnderWay    = 256              // commands of a socket that wait for the log; their answers fit an outbox's quarter
	readTimeout    = 10 * time.Second // a request's headers and body
	idleTimeout    = 60 * time.Second // between two requests
	writeTimeout   = 30 * time.Second // an answer
	headerBytes    = 8 << 10          // a request's line and headers
	drainWithin    = 2 * time.Second  // what `move` gives clients to go
	cookieName     = "natter_session"
	forgeryHeader  = "X-Natter"
	subprotocol    = "natter.v1"
	defaultSockets = 20
)

func (o *Options) fill() error {
	switch {
	case o.Log == nil, o.History == nil, o.Drafts == nil, o.Queues == nil, o.News == nil, o.Auth == nil, o.Contacts == nil, o.NewID == nil:
		panic("edge: Options.Log, History, Drafts, Queues, News, Auth, Contacts and NewID must be set")
	}
	if o.Friends == nil {
		o.Friends = o.Contacts.Friends
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Nodes == nil {
		o.Nodes = func(string) []wire.Node { return nil }
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Heartbeat = cmp.Or(o.Heartbeat, 25*time.Second)
	o.MaxSocketsPerUser = cmp.Or(o.MaxSocketsPerUser, defaultSockets)
	o.PortableSockets = o.PortableSockets || !leanHere
	o.helloWithin = cmp.Or(o.helloWithin, helloWithin)
	o.writeWithin = cmp.Or(o.writeWithin, writeWithin)
	o.linger = cmp.Or(o.linger, linger)
	o.expiryGrace = cmp.Or(o.expiryGrace, expiryGrace)
	for _, origin := range append([]string{o.PublicURL}, o.Origins...) {
		if origin == "" {
			continue
		}
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("edge: not an origin, as https://chat.example: " + origin)
		}
	}
	return nil
}

// parsePrefixes reads addresses and prefixes.
func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, errors.New("edge: not an address or prefix: " + s)
		}
		all = append(all, p)
	}
	return all, nil
}
