//go:build linux

package gauntlet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Wreck is what is left of nodes that don't come back from a fault, in a run that shows
// what may be lost: nobody can read a room any more, but the logs on their disks tell
// which messages are there.
type Wreck struct {
	What    string   `json:"what"` // doesn't come back: their readiness, or answers
	After   float64  `json:"after_seconds"`
	Acked   int      `json:"acknowledged"`
	Lost    int      `json:"lost"`     // acknowledged, and in no node's log
	Outvote int      `json:"outvoted"` // acknowledged, and in the logs of fewer than a majority
	Why     []string `json:"why"`      // what the nodes say
}

// String is the wreck in a line.
func (w *Wreck) String() string {
	return fmt.Sprintf("acknowledged %d, lost %d (in no node's log; %d in the logs of too few), the rest out of reach: %s after %.0f s because %s",
		w.Acked, w.Lost, w.Outvote, w.What, w.After, strings.Join(w.Why, "; "))
}

// notBack says that nodes that were all down don't come back.
type notBack struct {
	what  string
	after time.Duration
	why   error
}

const (
	notReady    = "not ready"
	notAnswered = "not everybody answered"
)

// Error is why.
func (e *notBack) Error() string { return e.why.Error() }

// Unwrap is why.
func (e *notBack) Unwrap() error { return e.why }

// powerFast is power on disks that keep less: that the nodes don't come back from it is
// the run's result as well.
func powerFast(r *Run) error {
	err := power(r)
	var gone *notBack
	if !errors.As(err, &gone) || r.ctx.Err() != nil {
		return err
	}
	w := &Wreck{What: gone.what, After: gone.after.Seconds(), Why: r.why()}
	r.say("%s after %s: reading the nodes' logs", gone.what, gone.after.Round(time.Second))
	r.crowd.quiet()
	r.crowd.offline()
	for _, n := range r.cluster.nodes {
		if n.now != nil { // who ended by itself is down, too
			n.now.Kill()
			n.now = nil
		}
	}
	if err := r.salvage(w); err != nil {
		return errors.Join(gone, err)
	}
	r.result.Wreck = w
	return nil
}

// why is what the nodes say of themselves, and NATS in them most often.
func (r *Run) why() (all []string) {
	for _, n := range r.cluster.nodes {
		text, err := os.ReadFile(n.log.Name())
		if err != nil {
			all = append(all, err.Error())
			continue
		}
		one := n.name + ": " + strings.TrimSpace(r.readyz(n))
		if err := n.lives(); err != nil {
			one = n.name + ": ended by itself"
		}
		if what, times := complaint(text); times > 0 {
			one += fmt.Sprintf(" (%d times %q)", times, what)
		}
		all = append(all, one)
	}
	return all
}

// salvage counts the messages that the logs on the nodes' disks still hold.
func (r *Run) salvage(w *Wreck) error {
	acked := r.crowd.record.acked()
	copies := make(map[chat.ClientID]int, len(acked))
	for _, n := range r.cluster.nodes {
		held, err := logged(r.ctx, filepath.Join(n.opts.Data, "jetstream"), acked)
		if err != nil {
			return fmt.Errorf("the logs of %s: %w", n.name, err)
		}
		for key := range held {
			copies[key]++
		}
	}
	w.Acked = len(acked)
	for key := range acked {
		switch c := copies[key]; {
		case c == 0:
			w.Lost++
		case 2*c <= len(r.cluster.nodes):
			w.Outvote++
		}
	}
	return nil
}

// logged are those of some messages that the logs of a node that is down hold. What can't
// be read isn't there.
func logged(ctx context.Context, dir string, of map[chat.ClientID]bool) (_ map[chat.ClientID]bool, err error) {
	s, discard, err := openCopy(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, discard()) }()
	held := map[chat.ClientID]bool{}
	list := s.js.ListStreams(ctx)
	for info := range list.Info() {
		if !strings.HasPrefix(info.Config.Name, "LOG-") {
			continue
		}
		if _, err := s.each(ctx, info, func(m jetstream.Msg, _ *jetstream.MsgMetadata) {
			keysIn(m.Data(), of, held)
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", info.Config.Name, err)
		}
	}
	return held, list.Err()
}

// keysIn adds to held the keys of which that stand in a log's entry: as they are, sixteen
// bytes that occur nowhere else.
func keysIn(entry []byte, of, held map[chat.ClientID]bool) {
	for i := 0; i+len(chat.ClientID{}) <= len(entry); i++ {
		if key := chat.ClientID(entry[i : i+len(chat.ClientID{})]); of[key] {
			held[key] = true
		}
	}
}

// varies is what differs in complaints that are the same: numbers, and a group's name.
var varies = regexp.MustCompile(`\[[^\]]*\]|[0-9]+`)

// complaint is what a node's log warned of most often since the last start, and how often.
func complaint(log []byte) (most string, times int) {
	if i := bytes.LastIndex(log, []byte(`"msg":"starting NATS"`)); i >= 0 {
		log = log[i:]
	}
	counts := map[string]int{}
	for line := range bytes.Lines(log) {
		var l struct {
			Level string `json:"level"`
			Msg   string `json:"msg"`
		}
		if json.Unmarshal(line, &l) != nil || l.Level != "WARN" && l.Level != "ERROR" {
			continue
		}
		what := varies.ReplaceAllString(l.Msg, "…")
		if counts[what]++; counts[what] > times {
			most, times = what, counts[what]
		}
	}
	return most, times
}
