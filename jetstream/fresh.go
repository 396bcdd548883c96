package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"natter/chat"
)

// Fresh reads.
//
// In a cluster any replica answers a Direct Get, and one of them may not have applied
// yet what the leader has acknowledged. So a node keeps a floor for each stream: the
// highest sequence it was told of, by results, hints, beats and its own reads. A read
// counts when the replica that answered has got there:
//
//   - The newest messages of some subjects: the fence's subject is asked for too, so
//     that there always is an answer, and its end says how far the replica is.
//   - The state as of a sequence: the message at that sequence is asked for too.
//   - The messages from a sequence on: when the replica says that there are no more, the
//     subject's newest is asked for as above; of many subjects the leader is asked.
//
// What a replica answers to the third is a part of the queue without holes whatever it
// lacks: a session only hears of the rest later. Who may see a room is asked of the
// leader.

// floors are what this node knows the streams to hold; nil where it is alone.
type floors map[string]*atomic.Uint64

func newFloors(partitions int) floors {
	f := floors{streamCheckpoint: new(atomic.Uint64)}
	for p := range partitions {
		for _, prefix := range []string{streamHistory, streamMarks, streamSync} {
			f[numbered(prefix, p)] = new(atomic.Uint64)
		}
	}
	return f
}

// raise notes that a stream holds sequence.
func (f floors) raise(stream string, sequence uint64) {
	floor := f[stream]
	if floor == nil {
		return
	}
	for {
		known := floor.Load()
		if sequence <= known || floor.CompareAndSwap(known, sequence) {
			return
		}
	}
}

func (s *Store) raise(stream string, sequence uint64) { s.floors.raise(stream, sequence) }

// of is what the stream is known to hold; false if its reads aren't checked.
func (f floors) of(stream string) (uint64, bool) {
	if floor := f[stream]; floor != nil {
		return floor.Load(), true
	}
	return 0, false
}

// witnessOf is a subject of a stream that always has a message: a claim.
func witnessOf(stream string) string {
	p, err := strconv.Atoi(stream[strings.LastIndexByte(stream, '-')+1:])
	if err != nil {
		p = 0
	}
	return subjectFence(stream, p)
}

// staleWithin bounds how long a replica is waited for.
const (
	staleWithin = 3 * time.Second
	stalePause  = 2 * time.Millisecond
	stalePauses = 100 * time.Millisecond // at the most
)

// errStale says that no replica that answered was as far as it had to be.
var errStale = errors.New("the replicas are behind")

// fresh asks again until try says that the answer counts.
func fresh(ctx context.Context, stream string, try func() (bool, error)) error {
	deadline := time.Now().Add(staleWithin)
	for pause := stalePause; ; pause = min(2*pause, stalePauses) {
		if done, err := try(); done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return unavailable("read", stream, errStale)
		}
		if err := wait(ctx, pause); err != nil {
			return unavailable("read", stream, err)
		}
	}
}

// newest is a multi_last that counts.
func (r *reader) newest(ctx context.Context, stream string, a ask) (out answer, err error) {
	witness := witnessOf(stream)
	if a.UpTo > 0 {
		if witness = a.Witness.Subject; witness == "" {
			return r.batch(ctx, stream, a)
		}
	}
	asked := false
	for _, subject := range a.MultiLast {
		asked = asked || subject == witness
	}
	if !asked {
		a.MultiLast = append(append(make([]string, 0, len(a.MultiLast)+1), a.MultiLast...), witness)
	}
	err = fresh(ctx, stream, func() (bool, error) {
		floor, _ := r.floors.of(stream)
		if out, err = r.batch(ctx, stream, a); err != nil {
			return false, err
		}
		if a.UpTo == 0 {
			r.floors.raise(stream, out.UpTo)
			return out.UpTo >= floor, nil
		}
		for _, m := range out.Messages {
			if m.Sequence == a.Witness.Sequence {
				return true, nil
			}
		}
		return false, nil
	})
	if !asked {
		kept := out.Messages[:0]
		for _, m := range out.Messages {
			if m.Subject != witness {
				kept = append(kept, m)
			}
		}
		out.Messages = kept
	}
	return out, err
}

// following reads on from a sequence or a time; its More counts.
func (r *reader) following(ctx context.Context, stream string, a ask) (out answer, err error) {
	err = fresh(ctx, stream, func() (bool, error) {
		if out, err = r.batch(ctx, stream, a); err != nil {
			return false, err
		}
		last := max(a.Seq, 1) - 1
		if n := len(out.Messages); n > 0 {
			last = out.Messages[n-1].Sequence
			r.floors.raise(stream, last)
		}
		floor, _ := r.floors.of(stream)
		switch {
		case out.More, last >= floor && a.StartTime == nil, a.Batch > 0 && len(out.Messages) == a.Batch:
			return true, nil
		}
		behind, err := r.behind(ctx, stream, a, last, len(out.Messages) > 0)
		if err != nil {
			return false, err
		}
		if behind && len(out.Messages) > 0 {
			out.More = true // the caller asks again, from where this ends
			return true, nil
		}
		return !behind, nil
	})
	return out, err
}

// behind tells whether more follows last than the replica showed.
func (r *reader) behind(ctx context.Context, stream string, a ask, last uint64, some bool) (bool, error) {
	next := ask{Seq: last + 1, NextFor: a.NextFor}
	if a.StartTime != nil && !some {
		next.Seq, next.StartTime = 0, a.StartTime
	} else if !strings.ContainsAny(a.NextFor, "*>") {
		found, err := r.newest(ctx, stream, ask{MultiLast: []string{a.NextFor}})
		for _, m := range found.Messages {
			if m.Sequence > last {
				return true, err
			}
		}
		return false, err
	}
	_, err := r.leader(ctx, stream, next)
	if errors.Is(err, errNone) {
		return false, nil
	}
	return err == nil, err
}

// reachWithin bounds how long a sequence is waited for that the leader doesn't show: a
// follower may have shown it before the leader had applied it.
const (
	reachWithin = time.Second
	reachPause  = 10 * time.Millisecond
)

// reaches tells whether a stream holds, or has held, a sequence that a device names;
// true where reads aren't checked.
func (s *Store) reaches(ctx context.Context, stream string, sequence uint64) (bool, error) {
	deadline := time.Now().Add(reachWithin)
	for pause := reachPause; ; pause *= 2 {
		if floor, checked := s.floors.of(stream); !checked || sequence <= floor {
			return true, nil
		}
		_, last, err := s.bounds(ctx, stream)
		if err != nil {
			return false, err
		}
		if s.raise(stream, last); sequence <= last {
			return true, nil
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := wait(ctx, pause); err != nil {
			return false, unavailable("read", stream, err)
		}
	}
}

// leaderGet reads one message from the stream's leader: what that doesn't know is
// not acknowledged. (A leader that was cut off may answer for up to 10 s more.)
// errNone if there is none. While there is no leader it tries again, for readTimeout.
func (s *Store) leaderGet(ctx context.Context, stream string, a ask) (stored, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return stored{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	within := readTimeout
	if s.clustered() {
		within = answerSoon
	}
	for pause := firstPause; ; pause = min(2*pause, againSoon) {
		m, again, err := s.leaderTry(ctx, within, stream, body)
		if !again || !s.clustered() {
			return m, err
		}
		if wait(ctx, pause) != nil {
			return stored{}, err
		}
	}
}

// leaderTry is one try of leaderGet; again: another may do better.
func (s *Store) leaderTry(ctx context.Context, within time.Duration, stream string, body []byte) (m stored, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	msg, err := s.control.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return m, true, unavailable("read", stream, err)
	}
	var reply struct {
		Message *struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Data    []byte `json:"data"`
			Headers []byte `json:"hdrs"`
		} `json:"message"`
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return m, false, fmt.Errorf("read %s: %w", stream, err)
	}
	switch {
	case reply.Error != nil && reply.Error.Code == 404:
		return m, false, errNone
	case reply.Error != nil:
		return m, true, unavailable("read", stream, errors.New(reply.Error.Description))
	case reply.Message == nil:
		return m, false, unavailable("read", stream, errors.New("an empty answer"))
	}
	s.raise(stream, reply.Message.Seq)
	return stored{reply.Message.Subject, reply.Message.Seq, reply.Message.Data, reply.Message.Headers}, false, nil
}

// authority has what is read of a room afterwards be at least what its stream's
// leader knows now of its members.
func (s *Store) authority(ctx context.Context, p int, id chat.RoomID) error {
	if !s.clustered() {
		return nil
	}
	_, err := s.leaderGet(ctx, numbered(streamHistory, p), ask{LastFor: subjectRoom(p, id)})
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}
