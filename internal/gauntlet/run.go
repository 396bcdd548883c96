//go:build linux

package gauntlet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"natter/internal/lossfs"
)

// Options say what to run, and where.
type Options struct {
	Binary string  // the natter program
	Dir    string  // gets a directory for each scenario: history, timeline, logs
	Seed   uint64  // of every choice; not of the timing
	Nodes  int     // 1 or 3
	Long   bool    // more of everything
	Brief  bool    // each fault once
	Slow   float64 // divides rates and multiplies patience: the programs have the race detector; 0 is 1
	Keep   bool    // the data too, not only of what failed
	Out    io.Writer

	plant func(d *device, s showing, show func(showing))
}

// Scenario is one story of things that break.
type Scenario struct {
	Name    string
	Title   string
	Nodes   int  // it makes sense with at least so many
	Alone   bool // it begins with one node, which grows
	Network bool // it cuts lines
	Disks   bool // its disks forget, or run full
	Lossy   bool // shows what the others don't lose: it may
	Traffic Traffic
	Args    []string // of natter serve
	Limit   time.Duration
	story   func(*Run) error
	prepare func(*Run) error // builds other programs, before the nodes start; nil: there are none
}

// Needs tells why this machine can't run the scenario, nil if it can.
func (s *Scenario) Needs() error {
	if s.Network {
		if err := lanUsable(); err != nil {
			return err
		}
	}
	if s.Disks {
		return lossfs.Usable()
	}
	return nil
}

// Run is a scenario under way. It belongs to one goroutine.
type Run struct {
	Options
	*Scenario
	ctx     context.Context
	random  *rand.Rand
	cluster *cluster
	crowd   *crowd
	result  *Result
	first   string    // the program the nodes begin with
	other   string    // one that prepare has built
	thawed  time.Time // when a node that was frozen went on
}

// Play runs a scenario from an empty directory to its judgement. What went wrong
// stands in the result.
func Play(ctx context.Context, s *Scenario, o Options) *Result {
	if o.Slow <= 0 {
		o.Slow = 1
	}
	began := time.Now()
	traffic := s.Traffic
	traffic.Rate /= o.Slow
	limit := s.Limit
	if o.Long {
		limit *= 8
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(float64(limit)*o.Slow), fmt.Errorf("the scenario's time of %s is over", limit))
	defer cancel()
	r := &Run{Options: o, Scenario: s, ctx: ctx, random: rand.New(rand.NewPCG(o.Seed, 1))}
	r.result = &Result{
		Scenario: s.Name, Title: s.Title, Seed: o.Seed, When: began.Format(time.DateTime), Nodes: o.Nodes,
		Rate: traffic.Rate, People: traffic.People, Long: o.Long, Lossy: s.Lossy, Dir: filepath.Join(o.Dir, s.Name),
	}
	r.Traffic = traffic
	if err := r.play(); err != nil {
		r.result.Error = err.Error()
		if cause := context.Cause(ctx); cause != nil {
			r.result.Error = fmt.Sprintf("%v: %v", cause, err)
		}
	}
	r.result.Seconds = time.Since(began).Seconds()
	r.tidy()
	return r.result
}

func (r *Run) play() (err error) {
	dir := r.result.Dir
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r.say("seed %d", r.Seed)
	r.first = r.Binary
	if r.prepare != nil {
		if err := r.prepare(r); err != nil {
			return err
		}
	}
	r.cluster, err = newCluster(r.ctx, r.first, dir, r.Options.Nodes, r.Scenario)
	if r.cluster != nil {
		defer func() { err = errors.Join(err, r.cluster.end(r.Keep || err != nil || !r.result.OK())) }()
	}
	if err != nil {
		return err
	}
	began := time.Now()
	if err := r.cluster.begin(r.ctx); err != nil {
		return err
	}
	r.count("first start to ready", time.Since(began))
	r.crowd, err = gather(r.ctx, r.cluster, r.Traffic, r.random)
	defer r.crowd.leave()
	if err != nil {
		return err
	}
	r.crowd.plant = r.plant
	defer func() { err = errors.Join(err, r.keep()) }()
	if err := r.crowd.begin(r.random); err != nil {
		return err
	}
	r.say("%d people talk in %d rooms, %g messages a second", len(r.crowd.people), len(r.crowd.rooms), r.Traffic.Rate)
	if err := r.story(r); err != nil {
		return errors.Join(err, r.crowd.wrong())
	}
	if r.result.Wreck != nil { // nobody answers any more
		return nil
	}
	return r.judge()
}

// judge ends the load and says what came of it. The nodes are killed once more, all
// at once, so that no stop in order tidies their stores before they are compared;
// then they start, and each room's history is read through each of them.
func (r *Run) judge() error {
	w := r.crowd
	r.say("draining")
	err := errors.Join(w.settle(), w.wrong(), r.cluster.lives())
	if r.Lossy {
		err = r.cluster.lives()
	}
	w.offline()
	if err == nil {
		err = r.compare()
	}
	if err == nil {
		r.say("starting all nodes once more to read the histories")
		err = r.cluster.startAll(r.ctx)
	}
	if err == nil {
		if err = w.readHistories(); r.Lossy {
			err = nil // a room may be lost
		}
	}
	r.result.Messages = w.record.history.Check()
	r.result.Repeats, r.result.Resets = w.repeats(), w.resets.Load()
	for _, o := range w.outside {
		r.result.Looked += o.looked
	}
	if err == nil && r.result.Looked == 0 {
		err = errors.New("no outsider was ever sent away: nothing is known about them")
	}
	if err != nil {
		return err
	}
	return errors.Join(r.cluster.stopAll(), r.cluster.cries())
}

// compare ends the nodes and holds their stores against each other.
func (r *Run) compare() error {
	if !sleep(r.ctx, max(restFor, time.Until(r.thawed.Add(equalWithin)))) {
		return context.Cause(r.ctx)
	}
	if err := r.cluster.killAll(); err != nil || len(r.cluster.nodes) < 2 {
		return err
	}
	r.say("comparing the nodes' stores")
	var err error
	r.result.Replicas, err = compareStores(r.ctx, r.cluster)
	return err
}

// restFor is how long nothing happens before the stores must be equal: what a node
// does once a second has happened.
const restFor = 3 * time.Second

// equalWithin is how long a node that was frozen may take for what the others wrote
// meanwhile; people can do without it, so nothing else waits for that.
const equalWithin = 30 * time.Second

// keep writes history, timeline and the times of all messages.
func (r *Run) keep() error {
	f, err := os.Create(filepath.Join(r.result.Dir, "history.jsonl"))
	if err != nil {
		return err
	}
	_, err = r.crowd.record.history.WriteTo(f)
	drawing := r.crowd.record.timeline(fmt.Sprintf("%s, %d nodes, seed %d", r.Name, len(r.cluster.nodes), r.Seed))
	return errors.Join(err, f.Close(), os.WriteFile(filepath.Join(r.result.Dir, "timeline.svg"), drawing, 0o600),
		os.WriteFile(filepath.Join(r.result.Dir, "messages.csv"), r.crowd.record.messages(), 0o600))
}

// tidy removes the data of what went well.
func (r *Run) tidy() {
	if r.Keep || !r.result.OK() {
		return
	}
	for _, pattern := range []string{"data-*", "disk-*", "certs", "natter-*"} {
		all, _ := filepath.Glob(filepath.Join(r.result.Dir, pattern)) // the pattern is well formed
		for _, path := range all {
			_ = os.RemoveAll(path) // it is only in the way
		}
	}
}

func (r *Run) say(format string, args ...any) {
	fmt.Fprintf(r.Out, "%s %s: %s\n", time.Now().Format("15:04:05.0"), r.Name, fmt.Sprintf(format, args...))
}

// times is n, or eight times as many in a long run, or once in a brief one.
func (r *Run) times(n int) int {
	switch {
	case r.Long:
		return 8 * n
	case r.Brief:
		return 1
	}
	return n
}

// calm lets people talk undisturbed for a random time.
func (r *Run) calm(least, most time.Duration) error {
	d := least + time.Duration(r.random.Int64N(int64(most-least)+1))
	if !sleep(r.ctx, d) {
		return context.Cause(r.ctx)
	}
	return r.cluster.lives()
}

// figure keeps the worst of a measurement that has a target; count one without.
func (r *Run) figure(name string, value, limit time.Duration) {
	r.keepWorst(Figure{Name: name, Unit: "s", Value: value.Seconds(), Limit: limit.Seconds(), Bound: true})
}

func (r *Run) count(name string, value time.Duration) {
	r.keepWorst(Figure{Name: name, Unit: "s", Value: value.Seconds()})
}

func (r *Run) keepWorst(f Figure) {
	for i := range r.result.Figures {
		if have := &r.result.Figures[i]; have.Name == f.Name {
			have.Value = max(have.Value, f.Value)
			return
		}
	}
	r.result.Figures = append(r.result.Figures, f)
}

// resumes waits until everybody has had an answer to something said after from.
func (r *Run) resumes(from time.Duration) error {
	if !r.crowd.until(resumeLimit, func() bool { return r.crowd.record.flows(from, len(r.crowd.people)) }) {
		return errors.Join(fmt.Errorf("%s after the fault somebody still has no answer%s", resumeLimit, r.crowd.owing()), r.cluster.lives(), r.crowd.wrong())
	}
	return r.cluster.lives()
}

// resumeLimit is when a scenario is given up. Targets are far below.
const resumeLimit = 90 * time.Second
