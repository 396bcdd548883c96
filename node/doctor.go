package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"natter/config"
)

// The doctor: whether a node of these settings can run here, and if it runs, whether it
// runs well. It looks and leaves nothing behind. The data directory is not locked by it,
// except for the moment in which it sees whether somebody else has.

// Check is one thing the doctor has looked at. Fields may be added.
type Check struct {
	Name  string `json:"check"` // what was looked at: a setting's name, or a word
	State string `json:"state"` // ok, warn: it works, not as it could; fail: it doesn't
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// The states of a check.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
)

// Asker asks the node whose admin listener is at an address for its status.
type Asker func(ctx context.Context, address string) (*Status, error)

// examination is one visit of the doctor.
type examination struct {
	c      *config.Config
	now    time.Time
	ask    Asker
	checks []Check

	member  *member // nil: alone, or the certificates are no good
	running bool    // a node uses the data directory
	status  *Status // of that node; nil: it doesn't run, or doesn't answer
}

// examineWithin bounds what waits for others.
const examineWithin = 5 * time.Second

// Examine makes the checks, in an order of their own. It takes up to some seconds, and
// ctx may end it early.
func Examine(ctx context.Context, c *config.Config, ask Asker) []Check {
	e := &examination{c: c, now: time.Now(), ask: ask}
	e.certificates()
	e.data()
	e.node(ctx)
	e.disk()
	e.fsync()
	e.files()
	e.ports(ctx)
	e.clock()
	e.peers(ctx)
	return e.checks
}

func (e *examination) ok(name, format string, args ...any) {
	e.checks = append(e.checks, Check{Name: name, State: CheckOK, Found: fmt.Sprintf(format, args...)})
}

func (e *examination) warn(name, do, format string, args ...any) {
	e.checks = append(e.checks, Check{name, CheckWarn, fmt.Sprintf(format, args...), do})
}

func (e *examination) fail(name, do, format string, args ...any) {
	e.checks = append(e.checks, Check{name, CheckFail, fmt.Sprintf(format, args...), do})
}

// node looks at the node that runs over the data directory.
func (e *examination) node(ctx context.Context) {
	switch {
	case !e.running:
		return
	case e.c.Admin == "":
		e.warn("node", "set admin, and the doctor can ask it", "runs, and its admin listener is off")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	s, err := e.ask(ctx, e.c.Admin)
	switch {
	case err != nil:
		e.fail("node", "give the doctor the settings the node was started with; if they are, look at its log", "runs, and can't be asked: %v", err)
		return
	case s.Node != e.c.Name:
		e.fail("node", "give the doctor the settings the node was started with", "%s is the admin listener of the node %q", e.c.Admin, s.Node)
		return
	}
	e.status = s
	for _, p := range s.Problems {
		e.fail("node", "OPERATIONS, \"Watch it\", says what each means; the node's log says more", "%s", p)
	}
	if len(s.Problems) == 0 {
		e.ok("node", "runs, and nothing is wrong with it or its cluster")
	}
	for _, one := range s.Nodes {
		if one.ClockAheadMS == nil {
			continue
		}
		ahead := time.Duration(*one.ClockAheadMS * float64(time.Millisecond))
		if ahead.Abs() > clockLimit {
			e.fail("clock of "+one.Name, "set the clocks of all nodes right, and run NTP on each", "%+d ms from this node's", ahead.Milliseconds())
		} else {
			e.ok("clock of "+one.Name, "%+.1f ms from this node's", *one.ClockAheadMS)
		}
	}
}

// clock looks whether the system keeps its clock right. How far it is from the other
// nodes' is only known while the node runs.
func (e *examination) clock() {
	kept, err := clockKept()
	switch {
	case err != nil: // another system, or not ours to see
	case kept:
		e.ok("clock", "the system says that it is kept right")
	default:
		e.warn("clock", "run NTP (chrony, systemd-timesyncd): ids and the times people see come from this clock", "the system says that nothing keeps it right")
	}
}

// ports looks whether the addresses are free, or the node's.
func (e *examination) ports(ctx context.Context) {
	for _, one := range []struct{ field, address string }{
		{"listen", e.c.Listen}, {"admin", e.c.Admin}, {"cluster_listen", e.c.ClusterListen},
	} {
		if one.address == "" {
			continue
		}
		_, port, _ := net.SplitHostPort(one.address) // config has checked it
		switch {
		case port == "0":
			e.ok(one.field, "a free port is taken at each start")
		case e.running:
			e.answered(ctx, one.field, one.address)
		default:
			e.free(one.field, one.address)
		}
	}
}

func (e *examination) answered(ctx context.Context, field, address string) {
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", dialable(address))
	if err != nil {
		e.fail(field, "look at the node's log, and whether it was started with this address", "the node doesn't take connections: %v", err)
		return
	}
	_ = conn.Close()
	e.ok(field, "the node takes connections at %s", address)
}

func (e *examination) free(field, address string) {
	l, err := take(field, address)
	switch {
	case errors.Is(err, ErrAddressInUse):
		e.fail(field, "stop what listens there, or set "+field+" to another address", "%s is in use", address)
	case err != nil:
		e.fail(field, "set "+field+" to an address of this machine, with a port this user may take", "%v", err)
	default:
		_ = l.Close()
		e.ok(field, "%s is free", address)
	}
}

// dialable is where this machine reaches an address it listens on.
func dialable(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
