package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Records is the replicated state of one concern: record.<bucket>.<key> in one
// stream that keeps the newest value of each. A delete writes a marker, which
// stays: a watch that begins later still learns of it.
func (s *Store) Records(bucket string) chat.Records {
	return &records{s: s, prefix: "record." + bucket + "."}
}

type records struct {
	s      *Store
	prefix string
}

const (
	headerExpected = "Nats-Expected-Last-Subject-Sequence"
	headerDeleted  = "Natter-Deleted"
)

// errWrongRevision is the server's code for a failed compare-and-set.
const errWrongRevision = 10071

// Get implements chat.Records. It asks the leader, so it reads its own writes.
func (r *records) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	body, err := json.Marshal(map[string]string{"last_by_subj": r.prefix + key})
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msg, err := r.s.control.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+streamRecords, body)
	if err != nil {
		return nil, 0, unavailable("read", key, err)
	}
	var reply struct {
		Message *struct {
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
		return nil, 0, fmt.Errorf("read %s: %w", key, err)
	}
	switch {
	case reply.Error != nil && reply.Error.Code == 404:
		return nil, 0, chat.NotFound("record")
	case reply.Error != nil:
		return nil, 0, unavailable("read", key, errors.New(reply.Error.Description))
	case reply.Message == nil:
		return nil, 0, unavailable("read", key, errors.New("an empty answer"))
	case bytes.Contains(reply.Message.Headers, []byte(headerDeleted)):
		return nil, reply.Message.Seq, chat.NotFound("record")
	}
	return reply.Message.Data, reply.Message.Seq, nil
}

// Put implements chat.Records.
func (r *records) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	next, err := r.write(ctx, key, value, revision, false)
	if revision != 0 || chat.KindOf(err) != chat.KindConflict {
		return next, err
	}
	// The key may have been deleted, which left a marker with a revision.
	if _, marker, e := r.Get(ctx, key); chat.KindOf(e) == chat.KindNotFound && marker != 0 {
		return r.write(ctx, key, value, marker, false)
	}
	return next, err
}

// Delete implements chat.Records.
func (r *records) Delete(ctx context.Context, key string, revision uint64) error {
	_, err := r.write(ctx, key, nil, revision, true)
	return err
}

func (r *records) write(ctx context.Context, key string, value []byte, revision uint64, deleted bool) (uint64, error) {
	msg := &nats.Msg{Subject: r.prefix + key, Data: value, Header: nats.Header{headerExpected: {fmt.Sprint(revision)}}}
	if deleted {
		msg.Header.Set(headerDeleted, "1")
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	failpoint("record.asked")
	ack, err := r.s.js.PublishMsg(ctx, msg)
	if err == nil {
		failpoint("record.written")
		return ack.Sequence, nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == errWrongRevision {
		return 0, chat.Conflict("", "somebody else changed it at the same time")
	}
	return 0, unavailable("write", key, err)
}

// Watch implements chat.Records by an ordered consumer from the newest value of
// each key on.
func (r *records) Watch(ctx context.Context, prefix string, seen func(string, []byte, uint64), ready func()) error {
	filter := r.prefix + strings.TrimSuffix(prefix, ".") + ".>"
	if prefix == "" {
		filter = r.prefix + ">"
	}
	consumer, err := r.s.js.OrderedConsumer(ctx, streamRecords, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return unavailable("watch", prefix, err)
	}
	var once sync.Once
	if info := consumer.CachedInfo(); info != nil && info.NumPending == 0 {
		once.Do(ready)
	}
	running, err := consumer.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err != nil {
			r.s.log.Error("a watched record has no metadata", "subject", msg.Subject(), "error", err)
			return
		}
		value := msg.Data()
		if value == nil {
			value = []byte{}
		}
		if msg.Headers().Get(headerDeleted) != "" {
			value = nil
		}
		seen(strings.TrimPrefix(msg.Subject(), r.prefix), value, meta.Sequence.Stream)
		if meta.NumPending == 0 {
			once.Do(ready)
		}
	})
	if err != nil {
		return unavailable("watch", prefix, err)
	}
	r.s.goes(func() {
		select {
		case <-ctx.Done():
		case <-r.s.ctx.Done():
		}
		running.Stop()
		<-running.Closed()
	})
	return nil
}
