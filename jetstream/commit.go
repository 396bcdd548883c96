package jetstream

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// A committer takes commands for one partition. While one batch is on its way
// to disk the next one gathers: at rest a batch is one command and waits for
// nobody, under load it is hundreds and they share one fsync.
//
//	Submit ─▶ queue (bounded) ─▶ batch ─▶ LOG-p ─ ack ─▶ next batch
//	                                        └▶ projector ─▶ result ─▶ done
type committer struct {
	s         *Store
	partition int
	out       *publisher

	mu     sync.Mutex
	queue  []*chat.Command
	bytes  int
	closed bool
	wake   chan struct{} // holds one token when queue is not empty
}

const (
	// batchCommands and batchBytes bound a batch; the rest waits for the next.
	batchCommands = 512
	batchBytes    = 192 << 10
	// queueCommands and queueBytes bound what waits for a partition's disk, and
	// answersMost what waits for its answer, in the log or before it: beyond any of
	// them Submit answers unavailable. A slow projection so reaches the sockets,
	// and never the memory. 8,192 ordinary chat messages are about 4 MB.
	queueCommands = 8192
	queueBytes    = 16 << 20
	answersMost   = 64 << 10
	// answerPatience is how long a command waits for its result in all.
	answerPatience = 30 * time.Second
)

var errBusy = chat.Unavailable("too much is waiting for the disk; try again", 500*time.Millisecond)

func newCommitter(s *Store, p int, out *publisher) *committer {
	out.published = func() { failpoint("commit.published") }
	return &committer{s: s, partition: p, out: out, wake: make(chan struct{}, 1)}
}

// add queues c; errBusy when the queue is full, or why the store is held.
func (k *committer) add(c *chat.Command) error {
	if why := k.s.held.Load(); why != nil {
		return why
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return chat.Unavailable("the node is stopping", time.Second)
	}
	if len(k.queue) >= queueCommands || k.bytes >= queueBytes {
		return errBusy
	}
	k.queue = append(k.queue, c)
	k.bytes += sizeOf(c)
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return nil
}

// take cuts the next batch off the queue.
func (k *committer) take() []chat.Command {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, size := 0, 0
	for n < len(k.queue) && n < batchCommands {
		size += sizeOf(k.queue[n])
		if n > 0 && size > batchBytes {
			break
		}
		n++
	}
	commands := make([]chat.Command, n)
	for i, c := range k.queue[:n] {
		commands[i] = *c
		k.bytes -= sizeOf(c)
		k.queue[i] = nil
	}
	k.queue = k.queue[n:]
	if len(k.queue) == 0 {
		k.queue = nil
	} else {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	return commands
}

// sizeOf is about what a command takes in a batch.
func sizeOf(c *chat.Command) int {
	return 96 + len(c.Text) + len(c.Topic) + len(c.Name) + 24*len(c.Users)
}

// run commits until ctx ends; what is queued then is refused.
func (k *committer) run(ctx context.Context) {
	defer k.close()
	for n := uint64(1); ; {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		commands := k.take()
		if len(commands) == 0 {
			continue
		}
		failpoint("commit.gathered")
		k.s.metrics.batch.Observe(float64(len(commands)))
		if err := k.commit(ctx, n, commands); err != nil {
			k.s.log.Error("a batch was not committed", "partition", k.partition, "commands", len(commands), "error", err)
			for i := range commands {
				k.s.answers.resolve(commands[i].ID, chat.Result{}, chat.Unavailable("the log does not take the command now; try again", time.Second))
			}
		}
		n++
	}
}

// commit publishes one batch under an id of its own until the log has it.
func (k *committer) commit(ctx context.Context, n uint64, commands []chat.Command) error {
	data, err := encode(&batch{Origin: k.s.origin, Commands: commands})
	if err != nil {
		return err
	}
	id := k.s.origin + "." + strconv.FormatUint(n, 36)
	sequence, err := k.s.persist(ctx, k.out, numbered(streamLog, k.partition), func() []*nats.Msg {
		return []*nats.Msg{{Subject: subjectLog(k.partition), Data: data, Header: nats.Header{headerID: {id}}}}
	})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	k.s.grew(k.out, numbered(streamLog, k.partition), sequence)
	failpoint("commit.acknowledged")
	return nil
}

func (k *committer) close() {
	k.mu.Lock()
	k.closed = true
	queue := k.queue
	k.queue, k.bytes = nil, 0
	k.mu.Unlock()
	for _, c := range queue {
		k.s.answers.resolve(c.ID, chat.Result{}, chat.Unavailable("the node is stopping", time.Second))
	}
}

// answers are the commands of this node that wait for their result.
type answers struct {
	mu      sync.Mutex
	waiting map[chat.MessageID]waiting
}

type waiting struct {
	done func(chat.Result, error)
	at   time.Time
}

func newAnswers() *answers { return &answers{waiting: make(map[chat.MessageID]waiting)} }

func (a *answers) expect(id chat.MessageID, done func(chat.Result, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= answersMost {
		return errBusy
	}
	a.waiting[id] = waiting{done, time.Now()}
	return nil
}

// len is how many wait.
func (a *answers) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting)
}

// forget drops id; false if it has been answered already.
func (a *answers) forget(id chat.MessageID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.waiting[id]
	delete(a.waiting, id)
	return ok
}

func (a *answers) resolve(id chat.MessageID, res chat.Result, err error) {
	a.mu.Lock()
	w, ok := a.waiting[id]
	delete(a.waiting, id)
	a.mu.Unlock()
	if ok {
		w.done(res, err)
	}
}

// expire answers what has waited since before the given time.
func (a *answers) expire(before time.Time, err error) {
	a.mu.Lock()
	var late []waiting
	for id, w := range a.waiting {
		if w.at.Before(before) {
			late = append(late, w)
			delete(a.waiting, id)
		}
	}
	a.mu.Unlock()
	for _, w := range late {
		w.done(chat.Result{}, err)
	}
}

// commandLog is the chat.AsyncLog of a Store.
type commandLog struct{ s *Store }

// Submit implements chat.AsyncLog.
func (l commandLog) Submit(c *chat.Command, done func(chat.Result, error)) error {
	if c.ID == 0 || c.At == 0 {
		panic("jetstream: a command needs an id and a time")
	}
	if err := l.s.answers.expect(c.ID, done); err != nil {
		return err
	}
	if err := l.s.committers[l.s.partitionOfCommand(c)].add(c); err != nil {
		l.s.answers.forget(c.ID)
		return err
	}
	return nil
}

// Append implements chat.Log.
func (l commandLog) Append(ctx context.Context, c *chat.Command) (chat.Result, error) {
	type outcome struct {
		res chat.Result
		err error
	}
	done := make(chan outcome, 1)
	if err := l.Submit(c, func(res chat.Result, err error) { done <- outcome{res, err} }); err != nil {
		return chat.Result{}, err
	}
	select {
	case o := <-done:
		return o.res, o.err
	case <-ctx.Done():
		l.s.answers.forget(c.ID)
		return chat.Result{}, chat.Unavailable("the answer took too long; the same client_id may be sent again", time.Second)
	}
}
