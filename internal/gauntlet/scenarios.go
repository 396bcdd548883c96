//go:build linux

package gauntlet

import (
	"fmt"
	"time"
)

// The targets of the figures. What a person waits for after an unplanned loss is
// Raft's election, of up to 4.5 s and not always at the first try, and a reconnect.
const (
	failover      = 12 * time.Second // sending goes on after a node is lost
	untouchedGap  = time.Second      // for people and leaders on the nodes that live
	backFromZero  = 20 * time.Second // all nodes at once
	plannedGap    = 2 * time.Second  // a drain, a leader that steps down
	swarmBack     = 30 * time.Second
	swarmDelivery = time.Second // p99 for those who weren't touched
	spaceBack     = 30 * time.Second
	noticed       = 10 * time.Second // people on a node without a majority
	restartAfter  = 3 * time.Second  // a supervisor's pause
)

var usual = Traffic{People: 12, Rate: 200, Bytes: 120}

// Scenarios are all there are, in the order in which they are run.
var Scenarios = []*Scenario{
	{Name: "calm", Title: "nothing breaks: what the others are measured against", Nodes: 1, Traffic: usual, Limit: 3 * time.Minute, story: calm},
	{Name: "kills", Title: "SIGKILL of a random node, started again 3 s later", Nodes: 1, Traffic: usual, Limit: 10 * time.Minute, story: kills},
	{Name: "crash", Title: "SIGKILL of all nodes at once", Nodes: 1, Traffic: usual, Limit: 5 * time.Minute, story: crash},
	{Name: "power", Title: "power failure of all nodes at once", Nodes: 1, Disks: true, Traffic: usual, Limit: 6 * time.Minute, story: power},
	{Name: "power-one", Title: "power failure of one node while another is down", Nodes: 3, Disks: true, Traffic: usual, Limit: 6 * time.Minute, story: powerOne},
	{Name: "power-fast", Title: "the same with NATS's way to the disk, `--durability=fast`, for the difference", Nodes: 1, Disks: true, Lossy: true, Args: []string{"--durability=fast"}, Traffic: usual, Limit: 6 * time.Minute, story: powerFast},
	{Name: "frozen", Title: "SIGSTOP of a random node for 3 and 15 s; for 60 s with --long", Nodes: 1, Traffic: usual, Limit: 6 * time.Minute, story: frozen},
	stepdownScenario,
	{Name: "drain", Title: "SIGTERM of each node in turn, started again at once", Nodes: 1, Traffic: usual, Limit: 6 * time.Minute, story: drain},
	{Name: "upgrade", Title: "each node in turn stopped, and started again with this natter; before it was the one before", Nodes: 3, Traffic: usual, Limit: 8 * time.Minute, prepare: buildOld, story: upgrade},
	{Name: "clock", Title: "one node's clock an hour ahead, and behind: when it starts, and for a while when it runs", Nodes: 3, Traffic: Traffic{People: 12, Rate: 100, Bytes: 120}, Limit: 15 * time.Minute, prepare: buildSkewed, story: clock},
	{Name: "full", Title: "the disk of one node full, slowly and all at once", Nodes: 1, Disks: true, Traffic: usual, Limit: 6 * time.Minute, story: full},
	{Name: "minority", Title: "the node with most leaders cut off from the others for 20 s", Nodes: 3, Network: true, Traffic: usual, Limit: 8 * time.Minute, story: minority},
	{Name: "one-way", Title: "what the node with most leaders sends to the others lost for 20 s", Nodes: 3, Network: true, Traffic: usual, Limit: 8 * time.Minute, story: oneWay},
	{Name: "isolated", Title: "every node cut off from every other for 20 s", Nodes: 3, Network: true, Traffic: usual, Limit: 8 * time.Minute, story: isolated},
	{Name: "mixed", Title: "a kill, a stillness of 3 s, a drain, a power failure of all and a node cut off, in a random order", Nodes: 3, Network: true, Disks: true, Traffic: usual, Limit: 8 * time.Minute, story: mixed},
	{Name: "replace", Title: "a node dies with its data, and an empty one takes its place", Nodes: 3, Traffic: usual, Limit: 8 * time.Minute, story: replace},
	{Name: "damage", Title: "bits flipped in the files of one node's copies, and their end cut off", Nodes: 3, Args: []string{"--scrub-interval=10s", "--scrub-rate=64"}, Traffic: usual, Limit: 12 * time.Minute, story: damage},
	{Name: "swarm", Title: "a node with 3,000 clients of its own dies", Nodes: 3, Traffic: usual, Limit: 10 * time.Minute, story: swarm},
	{Name: "grow", Title: "one node grows into three, by a growth that is killed and run again; then one is killed", Nodes: 3, Alone: true, Traffic: usual, Limit: 8 * time.Minute, story: grow},
}

// calm is a run without a fault.
func calm(r *Run) error {
	from := r.crowd.record.now()
	if err := r.calm(10*time.Second, 10*time.Second); err != nil {
		return err
	}
	r.count("longest wait for an answer", r.crowd.record.gap(from, nil))
	r.count("p99 of delivery", r.crowd.record.delivery(0.99, from, r.crowd.record.now(), nil))
	return nil
}

// pick is a random node.
func (r *Run) pick() *node { return r.cluster.nodes[r.random.IntN(len(r.cluster.nodes))] }

// kills: a random node is killed and started again, again and again.
func kills(r *Run) error {
	for i := range r.kills() {
		if err := r.calm(time.Second, 4*time.Second); err != nil {
			return err
		}
		if err := r.killOne(fmt.Sprintf("%d kill", i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) killOne(name string) error {
	victim := r.pick()
	from, leads := r.crowd.record.now(), r.leads()
	if err := r.outage(victim, name+" "+victim.name); err != nil {
		return err
	}
	r.figure("killed: sending resumes after", r.crowd.record.gap(from, nil), failover)
	r.untouched("killed", from, victim.name, leads)
	return nil
}

// kills is how often a node is killed: 20 times in a long run.
func (r *Run) kills() int {
	if r.Long {
		return 20
	}
	return r.times(3)
}

// outage kills a node, starts it again after a pause, and waits until all goes on.
func (r *Run) outage(victim *node, name string) error {
	from := r.crowd.record.now()
	end := r.crowd.record.mark(name)
	defer end()
	if err := victim.kill(); err != nil {
		return err
	}
	if !sleep(r.ctx, restartAfter) {
		return r.ctx.Err()
	}
	began := time.Now()
	if err := victim.start(); err != nil {
		return err
	}
	if err := victim.ready(r.ctx); err != nil {
		return err
	}
	r.count("start to ready", time.Since(began))
	r.say("%s: ready again %.1f s after its start", name, time.Since(began).Seconds())
	return r.resumes(from)
}

// crash: all nodes are killed at the same moment, and started again.
func crash(r *Run) error {
	for i := range r.times(2) {
		if err := r.calm(2*time.Second, 5*time.Second); err != nil {
			return err
		}
		if err := r.blackout(fmt.Sprintf("%d kill all", i+1), nil); err != nil {
			return err
		}
	}
	return nil
}

// blackout ends all nodes at once, does something while they are down, and starts
// them again.
func (r *Run) blackout(name string, meanwhile func() error) error {
	from := r.crowd.record.now()
	end := r.crowd.record.mark(name)
	defer end()
	err := r.cluster.killAll()
	if err == nil && meanwhile != nil {
		err = meanwhile()
	}
	if err != nil {
		return err
	}
	down := r.crowd.record.now()
	if err := r.cluster.startAll(r.ctx); err != nil {
		return &notBack{notReady, r.crowd.record.now() - down, err}
	}
	r.figure("all at once: ready after", r.crowd.record.now()-down, backFromZero)
	if err := r.resumes(from); err != nil {
		return &notBack{notAnswered, r.crowd.record.now() - from, err}
	}
	r.figure("all at once: sending resumes after", r.crowd.record.gap(from, nil), backFromZero)
	r.say("%s: sending again after %.1f s", name, r.crowd.record.gap(from, nil).Seconds())
	return nil
}

// frozen: a random node stands still for a while, as in a machine that is moved.
func frozen(r *Run) error {
	pauses := []time.Duration{3 * time.Second, 15 * time.Second}
	if r.Long {
		pauses = append(pauses, time.Minute, 3*time.Second, 15*time.Second, time.Minute)
	}
	for _, pause := range pauses {
		if err := r.calm(2*time.Second, 4*time.Second); err != nil {
			return err
		}
		if err := r.freezeOne(pause); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) freezeOne(pause time.Duration) error {
	victim, leads := r.pick(), r.leads()
	from := r.crowd.record.now()
	end := r.crowd.record.mark("freeze " + victim.name)
	if err := victim.freeze(); err != nil {
		return err
	}
	if !sleep(r.ctx, pause) {
		return r.ctx.Err()
	}
	if len(r.cluster.nodes) > 1 { // one node has nobody else
		r.figure(fmt.Sprintf("frozen %s: longest wait of people on other nodes", pause), r.crowd.record.gap(from, func(s *sent) bool {
			return s.measured && s.node != victim.name
		}), failover)
		r.untouched(fmt.Sprintf("frozen %s", pause), from, victim.name, leads)
	}
	if err := victim.thaw(); err != nil {
		return err
	}
	r.thawed = time.Now()
	end()
	if err := r.resumes(from); err != nil {
		return err
	}
	r.count(fmt.Sprintf("frozen %s: longest wait of anybody", pause), r.crowd.record.gap(from, nil))
	r.say("freeze %s for %s: longest wait %.1f s", victim.name, pause, r.crowd.record.gap(from, nil).Seconds())
	return nil
}

// drain: each node is stopped in order, and started again, one after the other.
func drain(r *Run) error {
	for range r.times(1) {
		for _, n := range r.cluster.nodes {
			if err := r.calm(2*time.Second, 3*time.Second); err != nil {
				return err
			}
			if err := r.drainOne(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Run) drainOne(n *node) error {
	from := r.crowd.record.now()
	end := r.crowd.record.mark("drain " + n.name)
	began := time.Now()
	if err := n.stop(); err != nil {
		return err
	}
	r.count("a drain takes", time.Since(began))
	if err := n.start(); err != nil {
		return err
	}
	if err := n.ready(r.ctx); err != nil {
		return err
	}
	end()
	if err := r.resumes(from); err != nil {
		return err
	}
	if len(r.cluster.nodes) > 1 {
		r.figure("drained: longest wait for an answer", r.crowd.record.gap(from, nil), plannedGap)
	} else { // nobody is there meanwhile
		r.count("drained: longest wait for an answer", r.crowd.record.gap(from, nil))
	}
	r.say("drain %s: longest wait %.1f s", n.name, r.crowd.record.gap(from, nil).Seconds())
	return nil
}

// mixed: each kind of fault once, in a random order.
func mixed(r *Run) error {
	faults := []func() error{
		func() error { return r.killOne("kill") },
		func() error { return r.freezeOne(3 * time.Second) },
		func() error { return r.drainOne(r.pick()) },
		func() error { return r.powerAll("power") },
		func() error { return r.cutOff("cut off") },
	}
	for range r.times(1) {
		r.random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, fault := range faults {
			if err := r.calm(time.Second, 3*time.Second); err != nil {
				return err
			}
			if err := fault(); err != nil {
				return err
			}
		}
	}
	return nil
}
