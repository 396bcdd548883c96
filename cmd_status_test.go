package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/node"
)

func TestMain(m *testing.M) { harness.Main(m, harness.FasthttpKeeps...) }

// askedStatus runs natter cluster status -o json.
func askedStatus(t *testing.T, n *harness.Node) (*node.Status, error) {
	t.Helper()
	out, failed := run(t, "cluster", "status", "-o", "json", "--admin", adminOf(n))
	s, err := parseStatus(strings.NewReader(out))
	if err != nil {
		t.Fatalf("%v, %v: %s", err, failed, out)
	}
	return s, failed
}

func TestStatusOfOneNode(t *testing.T) {
	begun := time.Now().Truncate(time.Millisecond)
	n := harness.StartNode(t, "--region=seoul", "--partitions=2")
	phone := harness.SignUp(t, n, "Ann").Online("", nil)
	admin := adminOf(n)
	s, err := askedStatus(t, n)
	if err != nil || s.Members != 1 || len(s.Nodes) != 1 || len(s.Partitions) != 2 || len(s.Problems) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	if one := s.Nodes[0]; one.State != "ready" || one.Region != "seoul" || one.URL != n.URL() || one.Version != node.Version || one.Capacity == 0 || one.FreeBytes == nil || *one.FreeBytes == 0 ||
		one.Format != 1 || one.Connections == nil || *one.Connections == 0 || one.ClockAheadMS != nil || one.Started.Before(begun) || one.Started.After(time.Now()) {
		t.Errorf("%+v", one)
	}
	if s.MetaLeader != "" {
		t.Errorf("a node alone has a group that %s leads", s.MetaLeader)
	}
	for i, p := range s.Partitions {
		if p.Partition != i || p.Leader != s.Node || p.Projector != s.Node {
			t.Errorf("%+v", p)
		}
	}
	out, err := run(t, "cluster", "status", "--admin", admin)
	if err != nil || !strings.Contains(out, "seoul") || !strings.Contains(out, "0 batches") || !strings.Contains(out, fmt.Sprintf(" of %d ", s.Nodes[0].Capacity)) || !strings.Contains(out, since(s.Nodes[0])) {
		t.Errorf("%v\n%s", err, out)
	}
	phone.Close()
	n.Stop()
	if _, err := run(t, "cluster", "status", "--admin", admin); exitCode(err) != exitRuntime || !strings.Contains(err.Error(), "no node answers at "+admin) {
		t.Errorf("a node that is down: %v", err)
	}
}

func TestStatusOfACluster(t *testing.T) {
	c := harness.StartCluster(t, "--partitions=2", "--scrub-interval=1s")
	// eventually asks b until it says so.
	eventually := func(what string, is func(*node.Status, error) bool) *node.Status {
		t.Helper()
		var s *node.Status
		var err error
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if s, err = askedStatus(t, c.Node("b")); is(s, err) {
				return s
			}
		}
		t.Fatalf("%s: %+v, %v", what, s, err)
		return nil
	}
	s := eventually("all is well, and the clocks are known", func(s *node.Status, err error) bool {
		return err == nil && s.Nodes[0].ClockAheadMS != nil && s.Nodes[2].ClockAheadMS != nil
	})
	if s.MetaLeader == "" || s.Nodes[1].ClockAheadMS != nil {
		t.Errorf("%+v", s)
	}
	if s.Node != "b" || s.Members != 3 || len(s.Nodes) != 3 || len(s.Missing) != 0 {
		t.Errorf("%+v", s)
	}
	for i, name := range []string{"a", "b", "c"} {
		if one := s.Nodes[i]; one.Name != name || one.State != "ready" || one.URL != c.Node(name).URL() || one.FreeBytes == nil || *one.FreeBytes == 0 {
			t.Errorf("%+v", one)
		}
	}
	for _, p := range s.Partitions {
		if p.Leader == "" || p.Projector == "" {
			t.Errorf("%+v", p)
		}
	}
	eventually("all copies are compared", func(s *node.Status, err error) bool {
		return err == nil && s.Scrub != nil && s.Scrub.Compared == s.Scrub.Streams && s.Scrub.Oldest > 0 && len(s.Scrub.Damaged) == 0
	})
	if out, err := run(t, "cluster", "status", "--admin", strings.TrimPrefix(c.Node("b").AdminURL(), "http://")); !strings.Contains(out, "COPIES COMPARED") ||
		!strings.Contains(out, fmt.Sprintf("%d of %[1]d streams", s.Scrub.Streams)) {
		t.Errorf("%v\n%s", err, out)
	}
	c.Node("c").Kill()
	eventually("one is gone", func(s *node.Status, _ error) bool {
		return len(s.Nodes) == 3 && s.Nodes[2].State == "gone" && s.NotConnected == 1 && strings.Contains(strings.Join(s.Missing, " "), c.Routes[2])
	})
	if out, err := run(t, "cluster", "status", "--admin", adminOf(c.Node("b"))); exitCode(err) != exitRuntime ||
		!strings.Contains(err.Error(), "c: its lease has run out") || !strings.Contains(out, "gone") {
		t.Errorf("%v\n%s", err, out)
	}
	c.Node("a").Kill()
	eventually("no majority", func(s *node.Status, err error) bool {
		return s.NotConnected == 2 && err != nil && strings.Contains(err.Error(), "no leader answers for") && s.MetaLeader == "" &&
			strings.Contains(err.Error(), "JetStream's own group has no leader") && s.Nodes[0].ClockAheadMS == nil
	})
}

// A member that waits for the others says so, and knows itself only.
func TestStatusOfAStart(t *testing.T) {
	c := harness.NewCluster(t, 3)
	a := c.Node("a")
	a.Start()
	for deadline := time.Now().Add(time.Minute); ; {
		out, err := run(t, "cluster", "status", "--admin", adminOf(a))
		if err != nil && strings.Contains(err.Error(), "a: the node is starting: waiting for peers") {
			if exitCode(err) != exitRuntime || !strings.Contains(out, "not ready") || strings.Contains(out, "PARTITION") {
				t.Errorf("%v\n%s", err, out)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

func TestStatusRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	other := httptest.NewServer(nil)
	defer other.Close()
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"-o yaml", "table or json", exitUsage},
		{"--admin nonsense", "host:port", exitUsage},
		{"--admin a:b:c", "host:port", exitUsage},
		{"more", "unknown command", exitUsage},
		{"--admin " + free, "no node answers", exitRuntime},
		{"--admin " + strings.TrimPrefix(other.URL, "http://"), "answers 404", exitRuntime},
	} {
		_, err := run(t, append([]string{"cluster", "status"}, strings.Fields(c.args)...)...)
		if exitCode(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d, %v; want %d, %s", c.args, exitCode(err), err, c.code, c.says)
		}
	}
}

// FuzzStatus takes what a stranger's listener may answer.
func FuzzStatus(f *testing.F) {
	good, _ := json.Marshal(node.Status{Node: "a", Nodes: []node.NodeStatus{{Name: "a\x1b[2J", URL: "http://a"}}, Partitions: []node.PartitionStatus{{Leader: "a\u202e"}}})
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"node":"a","meta_leader":"\u001b","nodes":[{"started":"0001-01-01T00:00:00Z","connections":-1,"clock_ahead_ms":1e308}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStatus(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out strings.Builder
		if err := printStatus(&out, s, "table"); err != nil {
			t.Fatal(err)
		}
		if text := strings.ReplaceAll(out.String(), "\n", ""); printable(text) != text {
			t.Errorf("%q", text)
		}
	})
}
