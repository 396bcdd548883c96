package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"natter/chat"
)

// What the scrub knows, as its record has it.

const (
	scrubBucket = "scrub"
	scrubKey    = "state"
	scrubFormat = 1
)

// Scrubbed is what is known of the streams' replicas.
type Scrubbed struct {
	Version int `json:"version"`
	// Compared is when each stream last was, whatever came of it; 0: it is to be next.
	Compared map[string]chat.Millis `json:"compared,omitempty"`
	Damaged  []Damage               `json:"damaged,omitempty"`
}

// Damage is a replica that differs from the others.
type Damage struct {
	Stream string      `json:"stream"`
	Node   string      `json:"node"` // empty: no majority agrees which one is right
	Seq    uint64      `json:"seq"`  // the first that differs
	Since  chat.Millis `json:"since"`
	Fills  int         `json:"fills,omitempty"` // how often it was filled anew
}

// String is one line for the operator.
func (d Damage) String() string {
	if d.Node == "" {
		return fmt.Sprintf("%s differs on all nodes, from sequence %d on: nobody can tell which is right", d.Stream, d.Seq)
	}
	text := fmt.Sprintf("%s: its copy of %s differs from the others', from sequence %d on", d.Node, d.Stream, d.Seq)
	if d.Fills >= scrubFills {
		text += fmt.Sprintf("; it was made anew %d times and still does: look at its disk", d.Fills)
	}
	return text
}

func parseScrubbed(b []byte) (*Scrubbed, error) {
	k := &Scrubbed{}
	if err := json.Unmarshal(b, k); err != nil || k.Version != scrubFormat {
		return nil, fmt.Errorf("the scrub's record can't be read: %.100q", b)
	}
	if k.Compared == nil {
		k.Compared = map[string]chat.Millis{}
	}
	return k, nil
}

// damage is what is known of a replica; nil if nothing is wrong with it.
func (k *Scrubbed) damage(stream, node string) *Damage {
	for i := range k.Damaged {
		if d := &k.Damaged[i]; d.Stream == stream && d.Node == node {
			return d
		}
	}
	return nil
}

// Well tells whether a stream is equal on all nodes, as far as node is concerned.
func (k *Scrubbed) Well(stream, node string) bool {
	return k.Compared[stream] != 0 && k.damage(stream, node) == nil
}

// toFill are the replicas that are to be filled, by node: not those that were and are
// yet to be compared.
func (k *Scrubbed) toFill() map[string][]string {
	of := map[string][]string{}
	for _, d := range k.Damaged {
		if d.Node != "" && d.Fills < scrubFills && k.Compared[d.Stream] != 0 {
			of[d.Node] = append(of[d.Node], d.Stream)
		}
	}
	return of
}

// found notes what a comparison came to.
func (k *Scrubbed) found(stream string, wrong wrongs, now chat.Millis) {
	k.Compared[stream] = now
	k.Damaged = slices.DeleteFunc(k.Damaged, func(d Damage) bool { return d.Stream == stream && wrong[d.Node] == nil })
	for _, node := range slices.Sorted(maps.Keys(wrong)) {
		if k.damage(stream, node) == nil {
			from, _ := wrongs{node: wrong[node]}.span()
			k.Damaged = append(k.Damaged, Damage{Stream: stream, Node: node, Seq: from, Since: now})
		}
	}
}

// Oldest is when the one of the streams was compared that was compared longest ago; 0 if
// one is to be compared next.
func (k *Scrubbed) Oldest(streams []string) chat.Millis {
	oldest := k.Compared[streams[0]]
	for _, name := range streams {
		oldest = min(oldest, k.Compared[name])
	}
	return oldest
}

// Scrubbed tells what is known of the streams' replicas, to any node.
func (s *Store) Scrubbed(ctx context.Context) (*Scrubbed, error) {
	k, _, err := s.scrubbed(ctx)
	return k, err
}

func (s *Store) scrubbed(ctx context.Context) (*Scrubbed, uint64, error) {
	b, revision, err := s.Records(scrubBucket).Get(ctx, scrubKey)
	if chat.KindOf(err) == chat.KindNotFound {
		return &Scrubbed{Version: scrubFormat, Compared: map[string]chat.Millis{}}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	k, err := parseScrubbed(b)
	return k, revision, err
}

// ScrubFirst has streams compared before all others: there is reason to look.
func (s *Store) ScrubFirst(ctx context.Context, streams ...string) error {
	_, err := s.noteScrub(ctx, func(k *Scrubbed) {
		for _, name := range streams {
			k.Compared[name] = 0
		}
	})
	return err
}

// noteScrub changes the record.
func (s *Store) noteScrub(ctx context.Context, change func(*Scrubbed)) (*Scrubbed, error) {
	for {
		k, revision, err := s.scrubbed(ctx)
		if err != nil {
			return nil, err
		}
		change(k)
		b, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		_, err = s.Records(scrubBucket).Put(ctx, scrubKey, b, revision)
		if chat.KindOf(err) == chat.KindConflict {
			continue
		}
		return k, err
	}
}
