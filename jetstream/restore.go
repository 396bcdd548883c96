package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// One stream's way from the old server's snapshot into the cluster's restore, a chunk
// at a time: a chunk is asked for when the one before it is taken.

const (
	restoreChunk  = 512 << 10 // bytes
	restoreWindow = 8 << 20   // bytes that the old server sends ahead
	// restoreWithin is how long the member that restores may take for one chunk, and
	// to begin; it gives up by itself after 5 s without one.
	restoreWithin = 15 * time.Second
	// restoredWithin bounds the end, where the member opens the stream: it reads what
	// it has been sent.
	restoredWithin = 10 * time.Minute
	snapshotWithin = time.Minute // between two chunks of the old server
	heardWithin    = 3 * time.Second
)

// refusedRestore is the API's error.
type refusedRestore struct {
	Code        int    `json:"code"`
	Number      int    `json:"err_code"`
	Description string `json:"description"`
}

// Error implements error.
func (r *refusedRestore) Error() string { return r.Description }

// name tells whether there is such a stream: somebody else has made it.
func (r *refusedRestore) name() bool { return r.Number == nameExists }

const nameExists = 10130 // stream name already in use, cannot restore

// apiAnswer is what the answers have in common that say anything.
type apiAnswer struct {
	Error          *refusedRestore       `json:"error"`
	DeliverSubject string                `json:"deliver_subject"`
	State          jetstream.StreamState `json:"state"`
	Config         json.RawMessage       `json:"config"`
}

// call asks the JetStream API at subject.
func call(ctx context.Context, nc *nats.Conn, within time.Duration, subject string, request any) (a apiAnswer, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return a, err
	}
	return push(ctx, nc, within, subject, body)
}

// push sends body and reads the answer; an empty one is fine.
func push(ctx context.Context, nc *nats.Conn, within time.Duration, subject string, body []byte) (a apiAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := time.Now()
	msg, err := nc.RequestWithContext(ctx, subject, body)
	// That somebody listens may become known later than where.
	for errors.Is(err, nats.ErrNoResponders) && time.Since(asked) < heardWithin && wait(ctx, untilEvery) == nil {
		msg, err = nc.RequestWithContext(ctx, subject, body)
	}
	if err != nil || len(msg.Data) == 0 {
		return a, err
	}
	if err := json.Unmarshal(msg.Data, &a); err != nil {
		return a, fmt.Errorf("%s: %w", subject, err)
	}
	if a.Error != nil {
		return a, a.Error
	}
	return a, nil
}

// copy restores one stream under the configuration c.
func (g *Growth) copy(ctx context.Context, c jetstream.StreamConfig, place string) error {
	// The server goes on sending until it is through or nobody listens.
	inbox := g.old.NewInbox()
	chunks, err := g.old.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer chunks.Unsubscribe()
	if err := chunks.SetPendingLimits(-1, -1); err != nil { // the window bounds it
		return err
	}
	snapshot, err := call(ctx, g.old, snapshotWithin, "$JS.API.STREAM.SNAPSHOT."+c.Name, map[string]any{
		"deliver_subject": inbox, "no_consumers": true, "chunk_size": restoreChunk, "window_size": restoreWindow})
	if err != nil {
		return fmt.Errorf("read the old stream: %w", err)
	}
	failpoint("grow.asked")
	restore, err := call(ctx, g.s.control, restoreWithin, "$JS.API.STREAM.RESTORE."+c.Name, map[string]any{"config": c, "state": snapshot.State})
	if err != nil {
		return err
	}
	if restore.DeliverSubject == "" {
		return errors.New("the cluster doesn't say where to restore")
	}
	if err := g.pass(ctx, chunks, restore.DeliverSubject, func(sent uint64) {
		g.o.Progress(fmt.Sprintf("copying %s: %s of about %s", place, size(sent), size(snapshot.State.Bytes)))
	}); err != nil {
		return err
	}
	failpoint("grow.passed")
	if _, err := push(ctx, g.s.control, restoredWithin, restore.DeliverSubject, nil); err != nil {
		return fmt.Errorf("the end: %w", err)
	}
	failpoint("grow.copied")
	g.copies[c.Name] = copied{snapshot.State, c.MaxAge > 0}
	return nil
}

// pass hands every chunk on. tell is called once a second at most.
func (g *Growth) pass(ctx context.Context, chunks *nats.Subscription, to string, tell func(sent uint64)) error {
	var sent uint64
	said := time.Now()
	for {
		within, cancel := context.WithTimeout(ctx, snapshotWithin)
		chunk, err := chunks.NextMsgWithContext(within)
		cancel()
		if err != nil {
			return fmt.Errorf("read the old stream: %w", err)
		}
		if len(chunk.Data) == 0 {
			if status := chunk.Header.Get("Status"); status != "" && status != "204" {
				return fmt.Errorf("read the old stream: %s %s", status, chunk.Header.Get("Description"))
			}
			return nil
		}
		if _, err := push(ctx, g.s.control, restoreWithin, to, chunk.Data); err != nil {
			return fmt.Errorf("write the new stream: %w", err)
		}
		failpoint("grow.chunk")
		if sent += uint64(len(chunk.Data)); time.Since(said) >= progressEvery {
			said = time.Now()
			tell(sent)
		}
		// The last chunk has no reply: an answer to nothing is an error.
		if chunk.Reply != "" {
			if err := chunk.Respond(nil); err != nil {
				return err
			}
		}
	}
}
