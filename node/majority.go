package node

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// Whether this node is cut off from the majority.
//
// Each node asks all others each second whether they are there, and they answer with
// their names: that takes both directions. Who lacks the answers of a majority for some
// turns is cut off. Turns are counted and not seconds, so that a node that was frozen
// itself asks first. The lease wouldn't tell: it is lost too while its stream elects.
const (
	majorityEach = time.Second
	// majorityTurns is for how many turns answers may fail.
	majorityTurns = 5
	// certainWithin bounds how long certain waits for an answer.
	certainWithin  = 2 * time.Second
	subjectPresent = "present"
)

var errCut = chat.Unavailable("this node is cut off from the others; another one may answer", 2*time.Second)

// majority knows who answers. Safe for concurrent use.
type majority struct {
	nc    *nats.Conn
	inbox string
	needs int // others that make a majority with this node
	log   *slog.Logger

	mu       sync.Mutex
	turn     uint64
	asked    uint64 // counts the questions
	answered map[string]heardOf
	changed  chan struct{} // closed by the next answer

	stop context.CancelFunc
	done chan struct{}
}

// heardOf is which of the questions a node has answered last, and at which turn.
type heardOf struct{ asked, turn uint64 }

// watchMajority answers for node and asks the others until close. It owns nc.
func watchMajority(nc *nats.Conn, node string, needs int, log *slog.Logger) (*majority, error) {
	m := &majority{nc: nc, inbox: nats.NewInbox(), needs: needs, log: log, answered: map[string]heardOf{}, changed: make(chan struct{}), done: make(chan struct{})}
	_, err := nc.Subscribe(subjectPresent, func(msg *nats.Msg) {
		if strings.HasPrefix(msg.Reply, m.inbox) {
			return // its own
		}
		if err := msg.Respond([]byte(node)); err != nil {
			log.Debug("another node's question is not answered", "err", err)
		}
	})
	if err == nil {
		_, err = nc.Subscribe(m.inbox+".*", m.heard)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	m.stop = stop
	go m.run(life)
	return m, nil
}

func (m *majority) run(ctx context.Context) {
	defer close(m.done)
	every(ctx, majorityEach, func() {
		m.mu.Lock()
		m.turn++
		m.mu.Unlock()
		m.ask()
	})
}

// ask asks everybody and returns the question's number.
func (m *majority) ask() uint64 {
	m.mu.Lock()
	m.asked++
	number := m.asked
	m.mu.Unlock()
	if err := m.nc.PublishRequest(subjectPresent, m.inbox+"."+strconv.FormatUint(number, 10), nil); err != nil {
		m.log.Debug("the other nodes are not asked", "err", err)
	}
	return number
}

func (m *majority) heard(msg *nats.Msg) {
	name := string(msg.Data)
	number, err := strconv.ParseUint(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:], 10, 64)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.answered[name]; err != nil || !chat.ValidID(name) || !known && len(m.answered) >= maxPeers {
		return
	}
	m.answered[name] = heardOf{max(number, m.answered[name].asked), m.turn}
	close(m.changed)
	m.changed = make(chan struct{})
}

// countLocked is how many others are like that.
func (m *majority) countLocked(like func(heardOf) bool) (n int) {
	for _, one := range m.answered {
		if like(one) {
			n++
		}
	}
	return n
}

// lost tells whether the answers of a majority have failed for majorityTurns.
func (m *majority) lost() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.turn > majorityTurns && m.countLocked(func(h heardOf) bool { return h.turn+majorityTurns >= m.turn }) < m.needs
}

// certain is nil when a majority answers what is asked now; KindUnavailable if it
// doesn't within certainWithin.
func (m *majority) certain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, certainWithin)
	defer cancel()
	number := m.ask()
	for {
		m.mu.Lock()
		enough := m.countLocked(func(h heardOf) bool { return h.asked >= number }) >= m.needs
		changed := m.changed
		m.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errCut
		}
	}
}

// close stops asking and answering.
func (m *majority) close() {
	m.stop()
	<-m.done
	m.nc.Close()
}
