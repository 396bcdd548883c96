package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"natter/chat"
)

// Connect opens a connection to a node's own server.
type Connect func(name string, options ...nats.Option) (*nats.Conn, error)

// Options are what a Store needs. All fields but Registry, Leads, Heirs, Progress,
// Certain, MayFound, Join, Beside and Scrub are required.
type Options struct {
	// Connect opens one more connection to the node's own server; the Store
	// closes it.
	Connect Connect
	// Partitions is P, fixed when the store was created.
	Partitions int
	// Node is this node's name: a subject token.
	Node string
	// Clean says that the store was stopped in order: nothing needs to be made
	// again and no epoch opens.
	Clean bool
	// Replicas is 1 on a single node, 3 in a cluster.
	Replicas int
	// Leads tells whether this node's server leads a stream; it must be quick and not
	// block. Required in a cluster: it says which projectors and tellers run here.
	Leads func(stream string) bool
	// Heirs are the other nodes that may lead now; nil: any, and none is preferred.
	Heirs func() []string
	// Progress is told, in a few words and once a second at most, what Open waits for.
	Progress func(waits string)
	// QueueRetention is how long a queue keeps an entry; a cursor older than
	// that is answered with reset.
	QueueRetention time.Duration
	Log            *slog.Logger
	Registry       prometheus.Registerer
	// Fatal is told of what a running Store can't mend by itself.
	Fatal func(error)
	// Certain is nil when, after it was called, this node heard of a majority of the
	// nodes; it may wait a moment. nil: always.
	Certain func(ctx context.Context) error
	// MayFound is asked, before the first stream and the first record of a new cluster
	// are made, whether this node may make them: its error says what to wait for. left
	// says that other streams are there. It is asked again and again. nil: it may.
	MayFound func(ctx context.Context, left bool) error
	// Join is called by Open when the records can be read, and before anything else
	// is made; its error ends Open and is returned as it is.
	Join func(ctx context.Context, records func(bucket string) chat.Records, found Founder) error
	// Beside is called after Join, and before any stream that is there is touched: it is
	// nil if this node can work beside those that have a lease. Its error ends Open and
	// is returned as it is.
	Beside func(ctx context.Context, leases chat.Leases) error

	// Scrub is of a cluster.
	Scrub ScrubOptions

	fault fault // of the projectors' writes, in tests
}

// logRetention is how long LOG keeps a command after it has been projected.
const logRetention = 7 * 24 * time.Hour

// Store is natter's data. It is safe for concurrent use.
type Store struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	origin  string // <node>.<run>: where results for this run go

	control      *nats.Conn // streams, results, tell-all
	js           jetstream.JetStream
	conns        []*nats.Conn
	opened       map[string]*nats.Conn // of them, those that nobody has been given
	reader       *reader
	historyReads atomic.Uint64
	tails        []*nats.Conn // of a cluster, by partition: what follows its streams

	floors     floors // nil where the node is alone
	partitions partitions
	elections  elections
	progress   progress
	claims     atomic.Uint64
	writes     atomic.Uint64 // of records
	keeper     *publisher    // of records

	answers    *answers
	committers []*committer
	projectors []*projector
	tellers    []*teller
	publishers []*publisher
	followers  *followers
	cursors    *cursors
	seen       *seen
	leases     *leases
	places     *leases
	epochs     epochs
	events     *eventCache

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	held   atomic.Pointer[chat.Problem]

	leaving atomic.Bool // what this node leads is being handed over
}

// Open creates what is missing, makes again what a crash took, and starts the
// goroutines of doc.go. It returns when every partition has caught up with its
// log, so that what is read afterwards is current.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Replicas > 1 && o.Leads == nil {
		return nil, errors.New("a store of a cluster must know what its node leads")
	}
	s := &Store{o: o, log: o.Log, metrics: newMetrics(o.Registry), answers: newAnswers(), events: newEventCache()}
	if s.origin, err = origin(o.Node); err != nil {
		return nil, err
	}
	s.leases = newLeases(s, streamLeases, "lease", leasesBytes)
	s.places = newLeases(s, streamRoster, "place", rosterBytes)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	if s.control, err = s.connect("control"); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.control); err != nil {
		return nil, err
	}
	if s.clustered() {
		if _, err = s.control.Subscribe(advisoryElected+"*", s.elections.handle); err != nil {
			return nil, err
		}
	}
	if s.keeper, err = newPublisher(s.control); err != nil {
		return nil, err
	}
	s.publishers = append(s.publishers, s.keeper)
	if err = s.createRecords(ctx); err != nil {
		return nil, err
	}
	if o.Join != nil {
		if err = o.Join(ctx, s.Records, s.found); err != nil {
			return nil, err
		}
	}
	if o.Beside != nil {
		if err = s.createStream(ctx, s.leases.config()); err != nil {
			return nil, err
		}
		if err = o.Beside(ctx, s.leases); err != nil {
			return nil, err
		}
	}
	if err = s.createStreams(ctx); err != nil {
		return nil, err
	}
	if err = s.connectAll(s.connections()); err != nil {
		return nil, err
	}
	if s.clustered() {
		s.floors = newFloors(o.Partitions)
	}
	s.reader = &reader{slots: make(chan struct{}, readAtOnce), floors: s.floors, leader: s.leaderGet}
	for i := range readAtOnce {
		nc, err := s.connect(connectRead(i))
		if err != nil {
			return nil, err
		}
		s.reader.conns = append(s.reader.conns, nc)
	}
	if err = s.openEpochs(ctx); err != nil {
		return nil, err
	}
	var recovered map[int]*recovery // in a cluster who comes to lead surveys
	if !s.clustered() {
		partitions := make([]int, o.Partitions)
		for p := range partitions {
			partitions[p] = p
		}
		if recovered, err = s.survey(ctx, o.Clean, partitions...); err != nil {
			return nil, err
		}
	}
	if err = s.start(recovered); err != nil {
		return nil, err
	}
	return s, s.caughtUp(ctx)
}

// origin is a name for one run of a node.
func origin(node string) (string, error) {
	var run [6]byte
	_, err := rand.Read(run[:])
	return node + "." + hex.EncodeToString(run[:]), err
}

func (s *Store) newPublisher(name string) (*publisher, error) {
	nc, err := s.connect(name)
	if err != nil {
		return nil, err
	}
	p, err := newPublisher(nc)
	if err == nil {
		s.publishers = append(s.publishers, p)
	}
	return p, err
}

// start launches tellers before projectors, so that everything is told, and
// committers last.
func (s *Store) start(recovered map[int]*recovery) error {
	if _, err := s.control.Subscribe(subjectResult(s.origin), s.handleResults); err != nil {
		return err
	}
	s.partitions.list = make([]partition, s.o.Partitions)
	if s.clustered() {
		if _, err := s.control.Subscribe(subjectBeat, s.handleBeat); err != nil {
			return err
		}
	}
	var err error
	for p := 0; s.clustered() && p < s.o.Partitions; p++ {
		nc, err := s.connect(connectTail(p))
		if err != nil {
			return err
		}
		s.tails = append(s.tails, nc)
	}
	if s.followers, err = newFollowers(s); err != nil {
		return err
	}
	for q := range s.o.Partitions {
		s.tellers = append(s.tellers, newTeller(s, q))
	}
	for p := range s.o.Partitions {
		out, err := s.newPublisher(connectProjector(p))
		if err != nil {
			return err
		}
		out.fault = s.o.fault
		s.projectors = append(s.projectors, newProjector(s, p, out, recovered[p]))
	}
	for p := range s.o.Partitions {
		out, err := s.newPublisher(connectCommitter(p))
		if err != nil {
			return err
		}
		s.committers = append(s.committers, newCommitter(s, p, out))
	}
	out, err := s.newPublisher(connectCursors)
	if err != nil {
		return err
	}
	s.cursors = newCursors(s, out)
	if out, err = s.newPublisher(connectSeen); err != nil {
		return err
	}
	s.seen = newSeen(s, out)
	// Each of them may ask for the others, so all are there before the first begins.
	for _, t := range s.tellers {
		s.goes(func() { t.run(s.ctx) })
	}
	for _, pr := range s.projectors {
		s.goes(func() { pr.run(s.ctx) })
	}
	for _, k := range s.committers {
		s.goes(func() { k.run(s.ctx) })
	}
	s.goes(func() { s.cursors.run(s.ctx) })
	s.goes(func() { s.seen.run(s.ctx) })
	s.goes(func() { s.leases.keep(s.ctx) })
	s.goes(func() { s.places.keep(s.ctx) })
	s.goes(s.expireAnswers)
	s.goes(func() { s.scrub(s.ctx) })
	if s.clustered() {
		s.goes(func() { s.gather(s.ctx) })
	}
	return nil
}

// goes runs f as a goroutine that Close waits for. A panic in it would take the
// embedded server down with it, so it ends the node in order instead.
func (s *Store) goes(f func()) {
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		defer func() {
			if r := recover(); r != nil {
				s.o.Fatal(fmt.Errorf("a goroutine of the store panicked: %v", r))
			}
		}()
		f()
	}()
}

func (s *Store) expireAnswers() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-tick.C:
			s.answers.expire(now.Add(-answerPatience), chat.Unavailable("the answer took too long; the same client_id may be sent again", time.Second))
		}
	}
}

// caughtUp waits until every projector has applied what the log held.
func (s *Store) caughtUp(ctx context.Context) error {
	if s.clustered() {
		return s.heardAll(ctx)
	}
	for _, p := range s.projectors {
		select {
		case <-p.current:
		case <-ctx.Done():
			return fmt.Errorf("the projections have not caught up: %w", ctx.Err())
		}
	}
	return nil
}

// Hold has every command refused with why, until it is called with nil. What was
// taken before goes on.
func (s *Store) Hold(why *chat.Problem) { s.held.Store(why) }

// GiveUp answers every command that waits for its result with why: it may have been
// taken, or may be yet.
func (s *Store) GiveUp(why *chat.Problem) { s.answers.expire(time.Now().Add(time.Hour), why) }

// Ready is nil when commands are taken and every projector, wherever it runs, keeps
// up with its log.
func (s *Store) Ready() error {
	if why := s.held.Load(); why != nil {
		return why
	}
	if s.clustered() {
		return s.partitions.ready(time.Now())
	}
	for _, p := range s.projectors {
		if err := p.ready(); err != nil {
			return err
		}
	}
	return nil
}

// Log, History, Queues and News are the store's seams.
func (s *Store) Log() chat.AsyncLog { return commandLog{s} }

// History is the rooms' past and present.
func (s *Store) History() chat.History { return history{s} }

// Queues are the users' sync queues.
func (s *Store) Queues() chat.Queues { return queues{s} }

// Drafts are what people have begun to write.
func (s *Store) Drafts() chat.Drafts { return drafts{s} }

// Cursors are the devices' places.
func (s *Store) Cursors() chat.Cursors { return s.cursors }

// News carries passing news.
func (s *Store) News() chat.News { return news{s} }

// errNotFinished says that a stop left work to make again at the next start.
var errNotFinished = errors.New("the store stopped before everything committed was projected")

// Close takes no more commands, lets the projectors finish what the log holds,
// writes the last checkpoints and waits for every goroutine, at most until ctx
// ends. An error means that the next start must not be told it was Clean. In a
// cluster the others go on: it waits for what was committed here to be answered, and
// hands over what this node leads.
func (s *Store) Close(ctx context.Context) error {
	for _, k := range s.committers {
		k.close()
	}
	failpoint("close.refused")
	if s.clustered() {
		return s.leave(ctx)
	}
	var err error
	for _, p := range s.projectors {
		if e := p.finish(ctx); e != nil && err == nil {
			err = fmt.Errorf("%w: partition %d: %w", errNotFinished, p.partition, e)
		}
	}
	s.cursors.finish(ctx)
	failpoint("close.cursors")
	s.seen.finish(ctx)
	failpoint("close.seen")
	s.abandon()
	return err
}

// abandon stops everything as it is.
func (s *Store) abandon() {
	s.cancel()
	for _, p := range s.publishers {
		p.close()
	}
	s.done.Wait()
	if s.followers != nil {
		s.followers.close()
	}
	s.answers.expire(time.Now().Add(time.Hour), chat.Unavailable("the node is stopping", time.Second))
	for _, nc := range s.conns {
		nc.Close()
	}
}
