package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/node"
)

func adminOf(n *harness.Node) string { return strings.TrimPrefix(n.AdminURL(), "http://") }

// drained runs natter drain -o json.
func drained(t *testing.T, n *harness.Node) []node.Drain {
	t.Helper()
	out, err := run(t, "drain", "-o", "json", "--admin", adminOf(n))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var all []node.Drain
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		var d node.Drain
		if err := json.Unmarshal(s.Bytes(), &d); err != nil {
			t.Fatalf("%v: %s", err, s.Bytes())
		}
		all = append(all, d)
	}
	for i, d := range all {
		if d.Stopped != (i == len(all)-1) || d.Problem != "" {
			t.Errorf("%+v", all)
		}
	}
	if _, err := os.Stat(filepath.Join(n.Data(), "running")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the stop was not in order: %v", err)
	}
	return all
}

func TestDrainOfOneNode(t *testing.T) {
	n := harness.StartNode(t)
	ann, bob := harness.SignUp(t, n, "Ann"), harness.SignUp(t, n, "Bob")
	room := ann.DirectWith(bob)
	phone := ann.Online("", nil)
	phone.Says(room, "before the drain")
	if all := drained(t, n); all[0].Connections == 0 || len(all[0].Leads) != 0 || all[0].Node != "n1" {
		t.Errorf("%+v", all)
	}
	n.Stop() // it has ended, with 0
	n.Start()
	n.WaitReady()
	if got := ann.Entry(room); got.LastSeq != 1 {
		t.Errorf("the room ends at %d", got.LastSeq)
	}
	out, err := run(t, "drain", "--admin", adminOf(n))
	if err != nil || !strings.HasPrefix(out, "n1: ") || !strings.HasSuffix(out, "\nn1: has stopped in order\n") {
		t.Errorf("%v\n%s", err, out)
	}
	n.Stop()
	if _, err := run(t, "drain", "--admin", adminOf(n)); exitCode(err) != exitRuntime || !strings.Contains(err.Error(), "no node answers") {
		t.Errorf("a node that is down: %v", err)
	}
}

// One node after the other is drained and started again, as an upgrade goes.
func TestDrainOfAllMembers(t *testing.T) {
	c := harness.StartCluster(t, "--partitions=2")
	leads := 0
	for i, name := range []string{"a", "b", "c"} {
		n, next := c.Node(name), c.Nodes[(i+1)%3]
		ann := harness.SignUp(t, n, "Ann-"+name)
		ann.Online("", nil)
		all := drained(t, n)
		leads += len(all[0].Leads)
		if all[0].Connections == 0 {
			t.Errorf("%+v", all)
		}
		harness.WaitFor(t, name+" is not listed", func() bool {
			s, _ := askedStatus(t, next) // it is one member short, and says so
			for _, one := range s.Nodes {
				if one.Name == name {
					return false
				}
			}
			return len(s.Nodes) == 2
		})
		n.Stop() // it has ended, with 0
		n.Start()
		n.WaitReady()
		harness.WaitFor(t, "all is well", func() bool { _, err := askedStatus(t, next); return err == nil })
	}
	if leads == 0 {
		t.Error("none of them led anything")
	}
}

// A member that waits for the others gives up its start.
func TestDrainOfAStart(t *testing.T) {
	c := harness.NewCluster(t, 3)
	a := c.Node("a")
	a.Start()
	harness.WaitFor(t, "it waits", func() bool {
		_, err := run(t, "cluster", "status", "--admin", adminOf(a))
		return err != nil && strings.Contains(err.Error(), "waiting for peers")
	})
	if all := drained(t, a); !strings.HasPrefix(all[0].Doing, "gives up its start: waiting for peers") {
		t.Errorf("%+v", all)
	}
	a.Stop() // it has ended, with 0
}

// stranger answers a drain with text, and then hangs if it is told to.
func stranger(t *testing.T, text string, hangs bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		if hangs {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestDrainThatFails(t *testing.T) {
	under := `{"node":"a","doing":"telling clients to move","connections":3}` + "\n"
	for _, c := range []struct {
		name, text, says string
		hangs            bool
		lines            int
	}{
		{"killed on the way", under + under, errNoLastWord.Error(), false, 1},
		{"not a word", "", errNoLastWord.Error(), false, 0},
		{"cut off in a line", under + `{"node":`, "is no drain", false, 1},
		{"something else", "<html>", "is no drain", false, 0},
		{"a line without an end", strings.Repeat("x", maxDrainBytes+1), "is no drain", false, 0},
		{"not in order", under + `{"node":"a","doing":"x","stopped":true,"problem":"a write\u0007 failed"}` + "\n", "a write? failed", false, 2},
		{"frozen", under, "says nothing", true, 1},
	} {
		quiet := time.Minute
		if c.hangs {
			quiet = 100 * time.Millisecond
		}
		told := 0
		err := drain(t.Context(), stranger(t, c.text, c.hangs), quiet, func(*node.Drain) error { told++; return nil })
		if err == nil || !strings.Contains(err.Error(), c.says) || told != c.lines {
			t.Errorf("%s: %v after %d lines", c.name, err, told)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := drain(ctx, stranger(t, under, true), time.Minute, func(*node.Drain) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	full := errors.New("no space left")
	if err := drain(t.Context(), stranger(t, under, true), time.Minute, func(*node.Drain) error { return full }); !errors.Is(err, full) {
		t.Errorf("stdout is gone: %v", err)
	}
}

func TestDrainRefused(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"detail":"not\u001b you"}`)
	}))
	defer refuses.Close()
	other := httptest.NewServer(nil)
	defer other.Close()
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"-o table", "text or json", exitUsage},
		{"--admin nonsense", "host:port", exitUsage},
		{"more", "unknown command", exitUsage},
		{"--admin " + strings.TrimPrefix(refuses.URL, "http://"), "refuses: not? you", exitRuntime},
		{"--admin " + strings.TrimPrefix(other.URL, "http://"), "answers 404 to /drain", exitRuntime},
	} {
		_, err := run(t, append([]string{"drain"}, strings.Fields(c.args)...)...)
		if exitCode(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d, %v; want %d, %s", c.args, exitCode(err), err, c.code, c.says)
		}
	}
}

func TestUntilTold(t *testing.T) {
	for _, c := range []struct {
		name            string
		signals         int
		drained, atOnce bool
	}{
		{"a signal", 1, false, false},
		{"two signals", 2, false, true},
		{"a drain", 0, true, false},
		{"a drain and a supervisor's signal", 1, true, false},
		{"a drain and two signals", 2, true, true},
	} {
		signals, drain, ended, told := make(chan os.Signal), make(chan struct{}), make(chan struct{}), make(chan struct{})
		result := make(chan bool, 1)
		go func() { result <- untilTold(context.Background(), signals, drain, ended, func() { close(told) }) }()
		if c.drained {
			close(drain)
			<-told
		}
		for range c.signals {
			signals <- syscall.SIGTERM
		}
		<-told
		if !c.atOnce {
			close(ended)
		}
		if atOnce := <-result; atOnce != c.atOnce {
			t.Errorf("%s: at once: %v", c.name, atOnce)
		}
	}
	ended := make(chan struct{})
	close(ended)
	if untilTold(context.Background(), nil, nil, ended, func() { t.Error("told to stop") }) {
		t.Error("a node that has ended stops at once")
	}
}

// FuzzDrain takes what a stranger's listener may answer.
func FuzzDrain(f *testing.F) {
	f.Add([]byte(`{"node":"a\u001b[2J","doing":"x\u202e","connections":-1,"leads":["LOG-0"]}` + "\n" + `{"node":"a","stopped":true}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		last, err := followDrain(bytes.NewReader(b), func(d *node.Drain) error {
			if text := printable(d.String()); printable(text) != text || d.Node == "" {
				t.Errorf("%q", text)
			}
			return nil
		})
		if err != nil && last.Stopped {
			t.Errorf("%+v, %v", last, err)
		}
	})
}
