//go:build linux

package gauntlet

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
)

// at makes a record in which each message is {sender, sent, acked} in seconds; acked
// 0 is never.
func at(messages ...[3]float64) *record {
	r := newRecord()
	r.began = r.began.Add(-100 * time.Second) // it is 100 s now
	for _, m := range messages {
		r.sent = append(r.sent, sent{by: int(m[0]), at: seconds(m[1]), acked: seconds(m[2])})
	}
	return r
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// TestGap: a wait counts from the fault on, until its answer or now.
func TestGap(t *testing.T) {
	tests := []struct {
		name string
		r    *record
		from float64
		want float64
	}{
		{"nothing was said", at(), 10, 0},
		{"answered before", at([3]float64{0, 1, 9}), 10, 0},
		{"sent before, answered after", at([3]float64{0, 1, 12}), 10, 2},
		{"sent and answered after", at([3]float64{0, 11, 12}, [3]float64{1, 11, 15}), 10, 4},
		{"never answered", at([3]float64{0, 11, 0}), 10, 89},
	}
	for _, tt := range tests {
		if got := tt.r.gap(seconds(tt.from), nil).Seconds(); got < tt.want || got > tt.want+5 {
			t.Errorf("%s: %.1f s, want %.1f", tt.name, got, tt.want)
		}
	}
	r := at([3]float64{0, 11, 12}, [3]float64{1, 11, 15})
	if got := r.gap(seconds(10), func(s *sent) bool { return s.by == 0 }); got != time.Second {
		t.Errorf("of the first sender: %s", got)
	}
	if _, what := r.slowest(seconds(10), nil); what.by != 1 {
		t.Errorf("the message of sender %d is said to have waited longest", what.by)
	}
}

// TestFlows: sending goes on when everybody has had a new answer and nobody waits for
// an old one.
func TestFlows(t *testing.T) {
	tests := []struct {
		name string
		r    *record
		want bool
	}{
		{"nobody said anything", at(), false},
		{"one has no answer yet", at([3]float64{0, 11, 12}), false},
		{"both have", at([3]float64{0, 11, 12}, [3]float64{1, 13, 14}), true},
		{"an old one is open", at([3]float64{0, 9, 0}, [3]float64{0, 11, 12}, [3]float64{1, 13, 14}), false},
		{"a new one is open", at([3]float64{0, 11, 12}, [3]float64{1, 13, 14}, [3]float64{1, 15, 0}), true},
		{"an old one was answered", at([3]float64{0, 9, 11}, [3]float64{1, 13, 14}), false},
	}
	for _, tt := range tests {
		if got := tt.r.flows(seconds(10), 2); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestTimeline: the drawing begins with the first message and shows every fault.
func TestTimeline(t *testing.T) {
	r := newRecord()
	m := &client.Outgoing{Room: "r", ClientID: client.NewKey()}
	r.sends("ann", 0, "a", m)
	r.acks(m, client.Receipt{ID: 1, Seq: 1})
	r.shows("bob", false, showing{"r", 1, 1, m.ClientID})
	r.shows("bob", false, showing{"r", 2, 2, chat.ClientID{}}) // a system message is nobody's delivery
	end := r.mark("kill a")
	end()
	raw := string(r.timeline("a & b"))
	for d := xml.NewDecoder(strings.NewReader(raw)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(raw, "kill a") || len(r.shown) != 1 {
		t.Errorf("%d deliveries in\n%s", len(r.shown), raw)
	}
}

// TestPlantedIDs: an id that two messages have, and times that are none, are found.
func TestPlantedIDs(t *testing.T) {
	now := time.Now()
	id := func(at time.Time, n int64) chat.MessageID {
		return chat.MessageID((int64(chat.MillisOf(at))-int64(chat.SnowflakeEpoch))<<22 | n)
	}
	for name, c := range map[string]struct {
		first, second client.Receipt
		says          string
	}{
		"two messages":         {client.Receipt{ID: id(now, 1), At: chat.MillisOf(now)}, client.Receipt{ID: id(now, 2), At: chat.MillisOf(now)}, ""},
		"one id":               {client.Receipt{ID: id(now, 1), At: chat.MillisOf(now)}, client.Receipt{ID: id(now, 1), At: chat.MillisOf(now)}, "of two messages"},
		"a time of tomorrow":   {client.Receipt{ID: id(now, 1), At: chat.MillisOf(now.Add(time.Hour))}, client.Receipt{ID: id(now, 2), At: chat.MillisOf(now)}, "of a time"},
		"an id an hour behind": {client.Receipt{ID: id(now, 1), At: chat.MillisOf(now)}, client.Receipt{ID: id(now.Add(-time.Hour), 2), At: chat.MillisOf(now)}, "of a time"},
	} {
		r := newRecord()
		for _, got := range []client.Receipt{c.first, c.second} {
			m := &client.Outgoing{Room: "r", ClientID: client.NewKey()}
			r.sends("ann", 0, "a", m)
			r.acks(m, got)
			r.acks(m, got) // again is the same message
		}
		if err := r.wrong(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
