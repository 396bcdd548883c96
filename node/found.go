package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Who founds a cluster. Members whose directories are empty would make an empty one as
// soon as enough of them are there, and those may be the very ones that wait for a
// growth. So a member that finds no records asks the others, and makes the first
// stream only when each of them has said that it isn't growing the cluster:
//
//	b, c: serve     ask each other, and a: "waiting for a"
//	a: grow         answers that it grows: "a makes the cluster of a single node's store"
//	a dies          b and c have streams but no cluster's record: nobody founds, the
//	                growth is run again
//
// So one member can hold up the founding, and no majority can overrule it.

// word is what a member that hasn't joined says to those that ask, as JSON.
type word struct {
	Node       string `json:"node"`
	Grows      bool   `json:"grows"`
	Partitions int    `json:"partitions"`
	Format     int    `json:"format"`
	Free       int64  `json:"free_bytes"`       // on the disk of its data
	Failed     string `json:"failed,omitempty"` // what was asked for didn't work
}

func parseWord(b []byte) (w word, err error) {
	if err = json.Unmarshal(b, &w); err == nil && w.Node == "" {
		err = errors.New("it names no node")
	}
	return w, err
}

// The subjects: a word is asked for, or after everything was put on the disk.
const (
	subjectWord   = "found.word"
	subjectSettle = "found.settle"
)

const (
	wordWithin = 400 * time.Millisecond
	// wordEvery is how often the others are asked as long as the answer is no.
	wordEvery = 250 * time.Millisecond
	// settleWithin is what a disk may take to sync what a growth has written.
	settleWithin = 5 * time.Minute
)

// words is a member's end of these questions.
type words struct {
	nc   *nats.Conn
	node string
}

// speak answers the others until it is closed.
func (n *natsServer) speak(say func() word, settle func() error) (_ *words, err error) {
	w := &words{node: say().Node}
	if w.nc, err = n.connect("words"); err != nil {
		return nil, err
	}
	answer := func(m *nats.Msg, failed error) {
		said := say()
		if failed != nil {
			said.Failed = failed.Error()
		}
		b, err := json.Marshal(said)
		if err == nil {
			err = m.Respond(b)
		}
		if err != nil {
			n.log.log.Debug("another member's question is not answered", "err", err)
		}
	}
	_, err = w.nc.Subscribe(subjectWord, func(m *nats.Msg) { answer(m, nil) })
	if err == nil {
		_, err = w.nc.Subscribe(subjectSettle, func(m *nats.Msg) { answer(m, settle()) })
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("answer the other members: %w", err)
	}
	return w, nil
}

// close says no more; nil and again are fine.
func (w *words) close() {
	if w != nil {
		w.nc.Close()
	}
}

// ask asks the other members and returns what they say, by name, when there are as
// many as wanted or time is up.
func (w *words) ask(ctx context.Context, subject string, want int, within time.Duration) (map[string]word, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	inbox := w.nc.NewInbox()
	answers, err := w.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // an error means that the connection is closed
	if err := w.nc.PublishRequest(subject, inbox, nil); err != nil {
		return nil, err
	}
	said := map[string]word{}
	for len(said) < want {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		if one, err := parseWord(m.Data); err == nil && one.Node != w.node {
			said[one.Node] = one
		}
	}
	return said, nil
}

// word is this node's, which serves.
func (n *Node) word() word {
	w := word{Node: n.config.Name, Partitions: n.config.Partitions, Format: dataFormat}
	w.Free, _ = freeBytes(n.data.path) // 0: not known, and the growth says so
	return w
}

// mayFound is nil when none of the other members grows the cluster, and all have said
// so. left says that there are streams, without the cluster's record.
func (n *Node) mayFound(ctx context.Context, left bool) error {
	why := n.foundedElse(ctx, left)
	if why != nil {
		select {
		case <-time.After(wordEvery):
		case <-ctx.Done():
		}
	}
	return why
}

func (n *Node) foundedElse(ctx context.Context, left bool) error {
	said, err := n.words.ask(ctx, subjectWord, len(n.member.others), wordWithin)
	if err != nil {
		return err
	}
	var heard []string
	for name, one := range said {
		if one.Grows {
			return fmt.Errorf("waiting while %s makes the cluster of a single node's store", name)
		}
		heard = append(heard, name)
	}
	if left {
		return errors.New("waiting for `natter cluster grow` to be run again: the cluster was to be made of a single node's store, and that was cut short")
	}
	if len(heard) < len(n.member.others) {
		return fmt.Errorf("waiting for %s: a new cluster is made when all members are there", strings.Join(n.member.missing(heard), ", "))
	}
	return nil
}
