//go:build linux

package gauntlet

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/check"
	"natter/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// options of a test's run; GAUNTLET_SEED repeats its choices. What a run that fails
// leaves behind outlives the test.
func options(t *testing.T, nodes int) Options {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("GAUNTLET_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("GAUNTLET_SEED: %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "natter-gauntlet-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("histories, logs and data are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return Options{Binary: harness.Binary(t), Dir: dir, Seed: seed, Nodes: nodes, Brief: true, Slow: slow, Out: t.Output()}
}

func scenario(t *testing.T, name string) *Scenario {
	t.Helper()
	for _, s := range Scenarios {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no scenario %q", name)
	return nil
}

// TestPlantedFaults: what goes wrong between a node and a person's screen is found,
// each for what it is, in a run in which nothing else happens.
func TestPlantedFaults(t *testing.T) {
	o := options(t, 1)
	var mu sync.Mutex // devices show at once
	var held *showing
	counts := map[string]int{}
	o.plant = func(d *device, s showing, show func(showing)) {
		name := d.reader
		if s.key.IsZero() || s.room != d.person.rooms[0] { // only in direct rooms
			show(s)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		counts[string(name)]++
		n := counts[string(name)]
		switch {
		case name == "p00/socket" && n == 5: // lost
		case name == "p01/stream" && n == 5: // shown twice
			show(s)
			show(s)
		case name == "p02/poll" && n == 5:
			held = &s
		case name == "p02/poll" && n == 6: // two change places
			show(s)
			show(*held)
		case name == "p03/socket" && n == 5: // shown to somebody else
			d.crowd.record.shows("p04/stream", false, s)
			show(s)
		case name == "p05/poll" && n == 5: // another message under the same seq
			s.id += 4711
			show(s)
		case name == "p06/socket" && n == 5: // nobody sent it, and what was sent is lost
			s.key = chat.NewClientID(time.Now(), [10]byte{1})
			show(s)
		default:
			show(s)
		}
	}
	short := *scenario(t, "calm")
	short.story = func(r *Run) error {
		for {
			if err := r.calm(time.Second, time.Second); err != nil {
				return err
			}
			r.crowd.record.mu.Lock()
			enough := len(r.crowd.record.sent) > 400
			r.crowd.record.mu.Unlock()
			if enough {
				return nil
			}
		}
	}
	r := Play(t.Context(), &short, o)
	if r.Messages == nil || r.Error != "" {
		t.Fatalf("it didn't come to a judgement: %s", r)
	}
	m := r.Messages
	for _, c := range []struct {
		what      string
		got, want int
	}{{"lost", m.Lost, 2}, {"twice", m.Twice, 1}, {"order", m.Order, 1}, {"foreign", m.Foreign, 1}, {"differing", m.Differ, 2}, {"unexpected", m.Unexpected, 1}} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	if r.OK() || m.Holes != 1 {
		t.Error("it passed for a good run")
	}
	if t.Failed() {
		t.Log(r)
	}
	f, err := os.Open(filepath.Join(r.Dir, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	again, err := check.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	if rep := again.Check(); rep.Lost != m.Lost || rep.Twice != m.Twice || rep.Foreign != m.Foreign || rep.Acked != m.Acked {
		t.Errorf("the history that was kept is judged differently: %s", rep)
	}
	if svg, err := os.ReadFile(filepath.Join(r.Dir, "timeline.svg")); err != nil || !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("the timeline: %.40s, %v", svg, err)
	}
}

// TestGauntlet is the short form, each fault once against three nodes: a kill, a power
// failure of all, a drain of each in turn. Figures are told, not asserted.
func TestGauntlet(t *testing.T) {
	for _, name := range []string{"kills", "power", "drain"} {
		t.Run(name, func(t *testing.T) {
			s := scenario(t, name)
			if err := s.Needs(); err != nil {
				t.Skipf("SKIPPED: %v; nothing is known about %s here", err, name)
			}
			ctx, cancel := context.WithTimeout(t.Context(), shortLimit)
			defer cancel()
			r := Play(ctx, s, options(t, testNodes))
			t.Log(r)
			if !r.OK() {
				t.Error("the promise is broken")
			}
		})
	}
}

// TestUpgrade: three nodes of the natter before this one become three of this one, one
// after the other, under load, and nobody misses anything.
func TestUpgrade(t *testing.T) {
	s := *scenario(t, "upgrade")
	s.Traffic = Traffic{People: 6, Rate: 60, Bytes: 120}
	ctx, cancel := context.WithTimeout(t.Context(), shortLimit)
	defer cancel()
	r := Play(ctx, &s, options(t, s.Nodes))
	t.Log(r)
	if !r.OK() {
		t.Error("the promise is broken")
	}
	if !strings.HasPrefix(r.Old, "commit ") {
		t.Log("WITHOUT A COMMIT: nothing is known about the natter that people run now")
	}
}

const (
	testNodes  = 3                 // of the short form
	shortLimit = 150 * time.Second // of a scenario: within the package's time, so that nothing is left behind
)
