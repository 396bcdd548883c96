package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A restore is answered when one member has the stream; the others follow. Raft calls
// them current before they are. So each server is asked what its own files hold.

// Settled waits until every member has all of every stream, in its own files.
func (g *Growth) Settled(ctx context.Context) error {
	for {
		lacks, err := g.lacking(ctx)
		if err == nil && lacks == "" {
			failpoint("grow.settled")
			return nil
		}
		if err != nil {
			lacks = err.Error()
		}
		g.o.Progress("waiting for the members' copies: " + lacks)
		if err := wait(ctx, settledEvery); err != nil {
			return err
		}
	}
}

const settledEvery = time.Second

// lacking names a stream that a member hasn't all of; empty if each has all.
func (g *Growth) lacking(ctx context.Context) (string, error) {
	kept, err := g.keptBy(ctx)
	if err != nil {
		return "", err
	}
	if len(kept) < g.o.Members {
		return fmt.Sprintf("%d of %d members answer", len(kept), g.o.Members), nil
	}
	for _, stream := range slices.Sorted(maps.Keys(g.copies)) {
		copies := 0
		for _, node := range slices.Sorted(maps.Keys(kept)) {
			state, there := kept[node][stream]
			if !there {
				continue
			}
			if why := g.copies[stream].differs(state); why != "" {
				return fmt.Sprintf("%s on %s %s", stream, node, why), nil
			}
			copies++
		}
		if copies < g.s.o.Replicas {
			return fmt.Sprintf("%s is on %d of %d members", stream, copies, g.s.o.Replicas), nil
		}
	}
	return "", nil
}

// differs says how a member's copy isn't the old stream; empty if it is. What has
// become too old since may be missing.
func (c copied) differs(kept jetstream.StreamState) string {
	was := c.state
	switch {
	case kept.LastSeq != was.LastSeq:
		return fmt.Sprintf("ends at %d of %d", kept.LastSeq, was.LastSeq)
	case kept.Msgs == 0 && (was.Msgs == 0 || c.ages): // an empty stream may begin at 0 or behind its end
		return ""
	case kept.FirstSeq < was.FirstSeq || kept.FirstSeq > was.FirstSeq && !c.ages:
		return fmt.Sprintf("begins at %d, not %d", kept.FirstSeq, was.FirstSeq)
	case kept.FirstSeq == was.FirstSeq && kept.Msgs != was.Msgs:
		return fmt.Sprintf("has %d of %d messages", kept.Msgs, was.Msgs)
	case holes(kept) > holes(was):
		return fmt.Sprintf("lacks %d messages", holes(kept)-holes(was))
	}
	return ""
}

// holes are the sequences between a stream's ends that have no message.
func holes(s jetstream.StreamState) uint64 { return s.LastSeq + 1 - s.FirstSeq - s.Msgs }

// keptBy asks every server for what it has, by node and stream.
func (g *Growth) keptBy(ctx context.Context) (map[string]map[string]jetstream.StreamState, error) {
	inbox := g.system.NewInbox()
	answers, err := g.system.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer answers.Unsubscribe()
	if err := g.system.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox, []byte(`{"accounts":true,"streams":true}`)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, keptWithin)
	defer cancel()
	kept := map[string]map[string]jetstream.StreamState{}
	for len(kept) < g.o.Members {
		msg, err := answers.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return nil, err
		}
		node, streams, err := parseKept(msg.Data)
		if err != nil {
			return nil, err
		}
		kept[node] = streams
	}
	return kept, nil
}

const keptWithin = 2 * time.Second

// parseKept reads one server's answer.
func parseKept(b []byte) (node string, streams map[string]jetstream.StreamState, err error) {
	var answer struct {
		Server struct {
			Name string `json:"name"`
		} `json:"server"`
		Data struct {
			Accounts []struct {
				Streams []struct {
					Name  string                `json:"name"`
					State jetstream.StreamState `json:"state"`
				} `json:"stream_detail"`
			} `json:"account_details"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", nil, fmt.Errorf("what a member keeps: %w", err)
	}
	streams = map[string]jetstream.StreamState{}
	for _, account := range answer.Data.Accounts {
		for _, s := range account.Streams {
			streams[s.Name] = s.State
		}
	}
	return answer.Server.Name, streams, nil
}
