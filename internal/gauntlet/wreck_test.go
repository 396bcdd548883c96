//go:build linux

package gauntlet

import (
	"path/filepath"
	"strings"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
)

// TestTheLogOfADeadNodeTells: what is in the log of a node that was killed is found there,
// and nothing else.
func TestTheLogOfADeadNodeTells(t *testing.T) {
	n := harness.StartNode(t, "--partitions=2")
	minsu := harness.SignUp(t, n, "Minsu")
	room := minsu.DirectWith(harness.SignUp(t, n, "Jiwoo"))
	phone := minsu.Online("", nil)
	never := client.NewKey()
	asked := map[chat.ClientID]bool{never: true}
	for range 5 {
		key := client.NewKey()
		asked[key] = true
		if _, err := phone.SendWait(harness.Context(t), client.Outgoing{Room: room, ClientID: key, Text: "to be found"}); err != nil {
			t.Fatal(err)
		}
	}
	phone.Close()
	n.Kill()
	held, err := logged(harness.Context(t), filepath.Join(n.Data(), "jetstream"), asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(held) != 5 || held[never] {
		t.Errorf("of 5 messages %d are in the log, and one that was never sent: %v", len(held), held[never])
	}
}

// TestComplaint: what is said most often since the last start, whoever it is about.
func TestComplaint(t *testing.T) {
	log := []byte(`{"level":"WARN","msg":"of before"}
{"level":"WARN","msg":"of before"}
{"level":"WARN","msg":"of before"}
{"level":"INFO","msg":"starting NATS"}
{"level":"INFO","msg":"all is well"}
{"level":"INFO","msg":"all is well"}
{"level":"INFO","msg":"all is well"}
{"level":"WARN","msg":"RAFT [a - S-1] try 1"}
{"level":"ERROR","msg":"another"}
no JSON
{"level":"WARN","msg":"RAFT [b - S-2] try 22"}
`)
	if what, times := complaint(log); what != "RAFT … try …" || times != 2 {
		t.Errorf("%d times %q", times, what)
	}
	if what, times := complaint(nil); times != 0 {
		t.Errorf("of nothing %d times %q", times, what)
	}
}

// TestAWreckIsAResult: nodes that don't come back are told, with what is lost, where that
// is what a run is to show; and nowhere else.
func TestAWreckIsAResult(t *testing.T) {
	r := &Result{Scenario: "power-fast", Lossy: true, Wreck: &Wreck{What: notReady, After: 90, Acked: 100, Lost: 7, Outvote: 2, Why: []string{"a: waits"}}}
	says := "acknowledged 100, lost 7 (in no node's log; 2 in the logs of too few), the rest out of reach: not ready after 90 s because a: waits"
	if !r.OK() || !strings.Contains(r.row(), "| 7 of 100, the rest out of reach |") || !strings.Contains(r.row(), says) || !strings.Contains(r.String(), says) {
		t.Errorf("%s\n%s", r, r.row())
	}
	r.Lossy = false
	if r.OK() {
		t.Error("a promise was kept by nodes that don't come back")
	}
}
