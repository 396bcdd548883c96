package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// A member is replaced with the assent of all others. Who was told to replace it asks
// them what they have and whom they see, and each answers for itself: a leader knows of
// its followers only what they acknowledged last.

const (
	subjectAssent = "assent"
	// assentWithin bounds one question, assentLook the part in which a member looks
	// again and again for a moment in which a stream is current.
	assentWithin = 4 * time.Second
	assentLook   = 2 * time.Second
)

// question is what a member is asked.
type question struct {
	// Member is who is to be replaced.
	Member string `json:"member"`
	// Revision is what the roll must be of at least before the answer is given.
	Revision uint64 `json:"revision,omitempty"`
}

// assent is a member's answer.
type assent struct {
	Node     string   `json:"node"`
	Linked   []string `json:"linked"`             // members it has a route to
	Behind   []string `json:"behind"`             // streams kept here that aren't all here
	Newcomer string   `json:"newcomer,omitempty"` // the store it turned away under the name asked about, a moment ago
	Revision uint64   `json:"revision"`           // of its roll, which is on its disk
	Problem  string   `json:"problem,omitempty"`  // why it can't answer as asked
}

// parseAssent reads a member's answer.
func parseAssent(b []byte) (w assent, err error) {
	if err = json.Unmarshal(b, &w); err == nil && !chat.ValidID(w.Node) {
		err = fmt.Errorf("%.40q is no name", w.Node)
	}
	if err == nil && w.Newcomer != "" && !isStore(w.Newcomer) {
		err = fmt.Errorf("%.40q is no store", w.Newcomer)
	}
	return w, err
}

// assents answers for this member until close. It owns nc.
type assents struct {
	nc     *nats.Conn
	answer func(context.Context, question) assent
	log    *slog.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// answerAssent answers what is asked of this member, and follows the roll.
func answerAssent(nc *nats.Conn, answer func(context.Context, question) assent, own *roll, log *slog.Logger) (*assents, error) {
	ctx, stop := context.WithCancel(context.Background())
	a := &assents{nc: nc, answer: answer, log: log, stop: stop}
	asked := make(chan *nats.Msg, 16) // of more at once the later ones aren't answered
	if _, err := nc.ChanSubscribe(subjectAssent, asked); err != nil {
		stop()
		nc.Close()
		return nil, err
	}
	a.done.Go(func() { own.follow(ctx) })
	a.done.Go(func() {
		for {
			select {
			case msg := <-asked:
				a.reply(ctx, msg)
			case <-ctx.Done():
				return
			}
		}
	})
	return a, nil
}

func (a *assents) reply(ctx context.Context, msg *nats.Msg) {
	var q question
	if err := json.Unmarshal(msg.Data, &q); err != nil || !chat.ValidID(q.Member) {
		a.log.Warn("a question of another member was not understood", "question", fmt.Sprintf("%.100q", msg.Data))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, assentWithin)
	defer cancel()
	b, err := json.Marshal(a.answer(ctx, q))
	if err == nil {
		err = msg.Respond(b)
	}
	if err != nil {
		a.log.Debug("another member's question is not answered", "err", err)
	}
}

// ask asks all members, this one too, and returns the answers of those that were named,
// by name, when all of them have answered or the time is over.
func (a *assents) ask(ctx context.Context, q question, of []string) (map[string]assent, error) {
	ctx, cancel := context.WithTimeout(ctx, assentWithin+time.Second)
	defer cancel()
	inbox := a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	b, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if err := a.nc.PublishRequest(subjectAssent, inbox, b); err != nil {
		return nil, err
	}
	words := map[string]assent{}
	for len(words) < len(of) {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return words, nil // the others haven't answered
		}
		if len(msg.Data) == 0 {
			continue // nobody is there, not even this node
		}
		w, err := parseAssent(msg.Data)
		if err != nil {
			a.log.Warn("a member's answer was not understood", "err", err)
			continue
		}
		if slices.Contains(of, w.Node) {
			words[w.Node] = w
		}
	}
	return words, nil
}

// close stops answering and waits.
func (a *assents) close() {
	a.stop()
	a.done.Wait()
	a.nc.Close()
}

// assent answers a question for this node.
func (n *Node) assent(ctx context.Context, q question) assent {
	own := n.member.roll
	w := assent{Node: n.config.Name, Linked: n.nats.peers(), Newcomer: own.newcomer(q.Member)}
	for own.current().Revision < q.Revision {
		if _, err := own.read(ctx); err != nil || wait(ctx, joinLook) != nil {
			w.Problem = fmt.Sprintf("it can't read the roll: %v", cmp.Or(err, ctx.Err()))
			break
		}
	}
	w.Revision = own.current().Revision
	w.Behind = n.nats.behind(ctx, n.store.Streams())
	return w
}

// behind are those of the streams kept here that weren't all here at any moment of
// assentLook. Under load a replica is a little behind most of the time, and whole in
// between.
func (n *natsServer) behind(ctx context.Context, streams []string) []string {
	ctx, cancel := context.WithTimeout(ctx, assentLook)
	defer cancel()
	left := append([]string{metaStream}, streams...)
	for {
		left = slices.DeleteFunc(left, func(stream string) bool {
			if stream == metaStream {
				return n.server.JetStreamIsCurrent()
			}
			return !n.server.JetStreamIsStreamAssigned(account, stream) || n.server.JetStreamIsStreamCurrent(account, stream)
		})
		if len(left) == 0 || wait(ctx, joinLook) != nil {
			return left
		}
	}
}

// metaStream stands for what JetStream keeps of itself.
const metaStream = "JetStream"

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
