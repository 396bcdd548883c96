package node

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// natsLog is the server's log in ours: its notices are our debug lines. Fatalf
// of the stock logger ends the process; here it ends the node in order.
type natsLog struct {
	log   *slog.Logger
	fatal func(error)
	last  atomic.Pointer[string] // the last error, for a start that failed
	// broken: a stream was given up because a write failed (disk.go).
	broken atomic.Bool

	mu    sync.Mutex
	route string // the last error of a handshake, and when it was told
	told  time.Time
}

func (l *natsLog) Noticef(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *natsLog) Debugf(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *natsLog) Tracef(string, ...any)              {}

func (l *natsLog) Warnf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if slices.ContainsFunc(ordinary, func(o ordinaryWarning) bool {
		return strings.HasPrefix(text, o.begins) && strings.Contains(text, o.has)
	}) {
		l.log.Debug(text)
		return
	}
	l.log.Warn(text)
}

// ordinaryWarning is one about what every start, stop or crash of a node goes through, and
// what mends itself.
type ordinaryWarning struct{ begins, has string }

var ordinary = []ordinaryWarning{
	// After a crash each stream's index is made again from its blocks.
	{"Filestore [", "Stream state"},
	{"Filestore [", "Recovering stream state from index errored: prior state file"},
	{"Filestore [", "TTL state is outdated"},
	{"Catchup for stream", "resetting first sequence"},
	// A member that comes says itself what it waits for.
	{"Waiting for routing to be established", ""},
	{"JetStream has not established contact with a meta leader", ""},
	{"JetStream is not current with the meta leader", ""},
	{"Metalayer blocking snapshot", ""},
	// Of clients, of which there are none but natter's own.
	{"Clients that are not using \"TLS Handshake First\"", ""},
}

func (l *natsLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if strings.HasPrefix(text, "Error trying to connect to route") && !strings.Contains(text, "lookup ") {
		l.log.Debug(text) // the other member is down; a name that isn't known is worth a line
		return
	}
	if l.repeated(text) {
		return
	}
	l.last.Store(&text)
	if strings.Contains(text, "failed to store a msg") || strings.Contains(text, "Critical write error") {
		l.broken.Store(true)
	}
	l.log.Error(text)
}

// againAfter is how often an error that comes back with each try of a handshake is told.
const againAfter = time.Minute

// repeated tells whether a handshake's error was told a moment ago. Routes are tried
// each second, and the errors differ in the port they came from only.
func (l *natsLog) repeated(text string) bool {
	_, what, isHandshake := strings.Cut(text, "TLS route handshake error")
	if !isHandshake {
		if _, what, isHandshake = strings.Cut(text, "TLS handshake error"); !isHandshake {
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.route != what || now.Sub(l.told) > againAfter {
		l.route, l.told = what, now
		return false
	}
	return true
}

func (l *natsLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.last.Store(&text)
	l.log.Error(text)
	l.fatal(errors.New("NATS gave up: " + text))
}
