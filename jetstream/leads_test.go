package jetstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// After a replay that wrote nothing the checkpoint says where history really is: a
// replay that begins there must see what survived.
func TestACheckpointAfterAReplayHoldsWhatSurvived(t *testing.T) {
	for _, clean := range []bool{true, false} {
		h := open(t)
		room := h.direct("minsu", "jiwoo")
		h.send(room, "minsu", "one")
		for range 2 {
			h.stop()
			h.start(clean)
		}
		p := h.store.roomPartition(room)
		h.stop()
		h.start(true)
		kept, err := h.store.checkpoints(context.Background(), p)
		if err != nil || len(kept) == 0 {
			t.Fatalf("%d checkpoints, %v", len(kept), err)
		}
		_, last, err := h.store.bounds(context.Background(), numbered(streamHistory, p))
		if err != nil {
			t.Fatal(err)
		}
		if newest := kept[len(kept)-1]; newest.Log != 2 || newest.History != last {
			t.Errorf("clean %v: the checkpoint is %+v, history ends at %d", clean, newest, last)
		}
	}
}

// A stream that is not as the settings have it is named by what differs.
func TestDifferencesAreNamed(t *testing.T) {
	s := &Store{o: Options{Replicas: 3, QueueRetention: time.Hour}}
	want := s.projection(jetstream.StreamConfig{Name: "SYNC-0", Subjects: []string{"sync.0.*"}, MaxAge: time.Hour})
	want.Replicas = 3
	if d := differences(want, want); len(d) != 0 {
		t.Errorf("the same differs in %v", d)
	}
	have := want
	have.Replicas, have.MaxAge = 1, 2*time.Hour
	if d := strings.Join(differences(have, want), ", "); d != "replicas (1, not 3), max_age (2h0m0s, not 1h0m0s)" {
		t.Errorf("it differs in %s", d)
	}
}

// A node is ready while it hears of every projector and none is far behind.
func TestReadyGoesByWhatIsHeard(t *testing.T) {
	now := time.Now()
	l := partitions{list: make([]partition, 2)}
	tell := func(p int, finished, head uint64, at time.Time) {
		l.heard(&beat{Node: "n", Finished: finished, Head: head, Reach: reach{Partition: p}}, at)
	}
	tell(0, 10, 10, now)
	if l.ready(now) == nil {
		t.Error("ready without a word of partition 1")
	}
	tell(1, 10, 12, now)
	if err := l.ready(now.Add(time.Second)); err != nil {
		t.Error(err)
	}
	if l.ready(now.Add(2*beatLost)) == nil {
		t.Error("ready long after the last beat")
	}
	tell(0, 10, 10, now.Add(2*beatLost))
	tell(1, 10, 11+lagUnready, now.Add(2*beatLost))
	if l.ready(now.Add(2*beatLost)) == nil {
		t.Error("ready with a projector far behind")
	}
	tell(2, 1, 1, now) // nobody's partition
}
