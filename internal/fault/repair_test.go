//go:build linux

package fault

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"natter/internal/harness"
	"natter/internal/natstest"
)

// TestKilledWhileRepairing: most of the log is gone, as after its seven days, and a
// sealed page can't be read. A repair dies at each of its steps; the next one does
// what is left. Then nothing is wrong, and every room is whole.
func TestKilledWhileRepairing(t *testing.T) {
	random := dice(t)
	data := dataDir(t)
	node := harness.NewNode(t, harness.FailingBinary(t), "--data="+data, "--partitions=2")
	node.Start()
	node.WaitReady()
	l := newLoad(t, node, pointTraffic)
	l.begin(random)
	l.talk(random, 2500*time.Millisecond, 3*time.Second)
	l.kept(l.end())
	node.Stop()
	all := deaths(random, func(point string) bool { return of(point, "repair") })
	for _, d := range all {
		spoil(t, data)
		out, err := repair(t, data, "NATTER_FAILPOINT="+d.String())
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || !strings.Contains(out, "failpoint "+d.point+"\n") {
			t.Fatalf("%s: the repair ended with %v\n%s", d, err, out)
		}
	}
	if out, err := repair(t, data); err != nil {
		t.Fatalf("the last repair: %v\n%s", err, out)
	}
	if out, err := repair(t, data, "--check"); err != nil || !strings.Contains(out, "Nothing is wrong.") {
		t.Fatalf("after it: %v\n%s", err, out)
	}
	node.Start()
	node.WaitReady()
	for i, p := range l.persons {
		if i%2 == 0 {
			l.readAgain(p, p.direct)
		}
	}
	l.readAgain(l.persons[0], l.room)
	if rep := l.history.Check(); !rep.OK() {
		t.Errorf("after the repairs: %s", rep)
	}
	for _, p := range l.persons {
		if err := post(p.Person, p.direct); err != nil {
			t.Errorf("a send after the repairs: %v", err)
		}
	}
	t.Logf("%d deaths", len(all))
}

// repair runs `natter repair` with arguments, NAME=value among them for its
// environment, and returns what it said.
func repair(t *testing.T, data string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(harness.FailingBinary(t), "repair", "--data", data)
	cmd.Env = os.Environ()
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			cmd.Args = append(cmd.Args, a)
		} else {
			cmd.Env = append(cmd.Env, a)
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// spoil takes all but the end of the logs, and makes a page unreadable, in the data
// directory of a node that is down.
func spoil(t *testing.T, data string) {
	t.Helper()
	server := natstest.StartOver(t, filepath.Join(data, "jetstream"))
	defer server.Stop()
	nc, err := server.Connect("spoil")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := harness.Context(t)
	spoiled := false
	for p := range 2 {
		log, err := js.Stream(ctx, fmt.Sprint("LOG-", p))
		if err != nil {
			t.Fatal(err)
		}
		if last := log.CachedInfo().State.LastSeq; last > 3 {
			if err := log.Purge(ctx, natsjs.WithPurgeSequence(last-2)); err != nil {
				t.Fatal(err)
			}
		}
		stream, err := js.Stream(ctx, fmt.Sprint("HISTORY-", p))
		if err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(ctx, natsjs.WithSubjectFilter(fmt.Sprintf("page.%d.>", p)))
		if err != nil {
			t.Fatal(err)
		}
		pages := slices.Sorted(maps.Keys(info.State.Subjects))
		if len(pages) == 0 || spoiled {
			continue
		}
		kept, err := stream.GetLastMsgForSubject(ctx, pages[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(ctx, kept.Sequence); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(ctx, pages[0], []byte("no page")); err != nil {
			t.Fatal(err)
		}
		spoiled = true
	}
	if !spoiled {
		t.Fatal("nothing was sealed")
	}
}
