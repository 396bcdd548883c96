package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natter/internal/harness"
	"natter/node"
)

func TestRepairCommand(t *testing.T) {
	n := harness.StartNode(t)
	ann, bob := harness.SignUp(t, n, "Ann"), harness.SignUp(t, n, "Bob")
	room := ann.DirectWith(bob)
	phone := ann.Online("", nil)
	phone.Says(room, "before the crash")

	if _, err := run(t, "repair", "--check", "--data", n.Data()); exitCode(err) != exitData || !strings.Contains(err.Error(), "in use") {
		t.Errorf("under a running node: %v", err)
	}
	n.Kill()
	running := filepath.Join(n.Data(), "running")
	out, err := run(t, "repair", "--check", "--data", n.Data(), "-o", "json")
	var report node.RepairReport
	if e := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &report); e != nil || report.Clean != (err == nil) {
		t.Errorf("%v, %v: %s", err, e, out)
	}
	if _, err := os.Stat(running); err != nil {
		t.Errorf("a check took the mark of a crash away: %v", err)
	}
	if out, err = run(t, "repair", "--data", n.Data()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(running); err == nil {
		t.Error("a repair left the mark of a crash")
	}
	if out, err = run(t, "repair", "--check", "--data", n.Data()); err != nil || !strings.Contains(out, "Nothing is wrong.") {
		t.Errorf("%v\n%s", err, out)
	}
	n.Start()
	n.WaitReady()
	if got := ann.Entry(room); got.LastSeq != 1 {
		t.Errorf("the room ends at %d", got.LastSeq)
	}
}

func TestRepairOfNothing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "none")
	if _, err := run(t, "repair", "--data", empty); exitCode(err) != exitData {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := os.Stat(empty); err == nil {
		t.Error("it made the directory")
	}
	if _, err := run(t, "repair", "-o", "yaml"); exitCode(err) != exitUsage {
		t.Errorf("-o yaml: %v", err)
	}
	var report strings.Builder
	found := []node.Finding{{Stream: "HISTORY-0", Subject: "page.0.g.1", Seq: 7, Wrong: "the page is missing", Repairable: true}, {Stream: "LOG-0", Wrong: "x"}}
	if err := printReport(&report, &node.RepairReport{Found: found, Left: found[1:]}, false, "table"); err != nil {
		t.Fatal(err)
	}
	want := "STREAM     SUBJECT     SEQ  WHAT IS WRONG        \nHISTORY-0  page.0.g.1  7    the page is missing  repaired\nLOG-0                  0    x                    not repairable\n"
	if report.String() != want {
		t.Errorf("printed\n%s", report.String())
	}
}
