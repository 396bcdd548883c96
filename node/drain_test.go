package node

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// drainable is a node that stops when it is told to drain, and how often it was.
func drainable(t *testing.T) (n *Node, told chan struct{}) {
	t.Helper()
	told = make(chan struct{}, 10)
	n, err := Start(t.Context(), settings(t, t.TempDir()), quiet(t), func() { told <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	return n, told
}

// asks asks the admin listener with a host and headers.
func asks(t *testing.T, n *Node, method, host string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.AdminURL()+"/drain", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// No web page drains a node: not by a form, not after a preflight, and not by a name of
// its own that stands for this machine.
func TestDrainIsTheOperators(t *testing.T) {
	n, told := drainable(t)
	defer stop(t, n)
	for _, c := range []struct {
		method, host string
		header       []string
		code         int
	}{
		{"GET", "", []string{OrderHeader, "1"}, http.StatusMethodNotAllowed},
		{"POST", "", nil, http.StatusForbidden},
		{"POST", "", []string{"Content-Type", "application/x-www-form-urlencoded", "Origin", "http://evil.example"}, http.StatusForbidden},
		{"POST", "", []string{OrderHeader, "yes"}, http.StatusForbidden},
		{"POST", "evil.example", []string{OrderHeader, "1"}, http.StatusMisdirectedRequest},
		{"POST", "127.0.0.1.evil.example:8081", []string{OrderHeader, "1"}, http.StatusMisdirectedRequest},
		{"OPTIONS", "", []string{"Origin", "http://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", OrderHeader}, http.StatusMethodNotAllowed},
	} {
		res := asks(t, n, c.method, c.host, c.header...)
		if res.StatusCode != c.code || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s to %q with %v: %d %v", c.method, c.host, c.header, res.StatusCode, res.Header)
		}
		if c.code == http.StatusForbidden || c.code == http.StatusMisdirectedRequest {
			var problem struct{ Detail string }
			if err := json.NewDecoder(res.Body).Decode(&problem); err != nil || problem.Detail == "" || res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s to %q: %v %+v %v", c.method, c.host, res.Header, problem, err)
			}
		}
	}
	if len(told) != 0 || n.ready() != nil {
		t.Errorf("told %d times, %v", len(told), n.ready())
	}
}

func TestHostsOfTheAdmin(t *testing.T) {
	n := &Node{config: settings(t, "")}
	n.config.Admin = "node.internal:8081"
	for host, is := range map[string]bool{
		"127.0.0.1:8081": true, "127.0.0.1": true, "[::1]:8081": true, "[::1]": true, "10.0.0.7:80": true, "localhost:9": true, "LOCALHOST": true,
		"node.internal:8081": true, "Node.Internal": true, "": false, ":8081": false, "evil.example:8081": false, "localhost.evil.example": false, "internal": false,
	} {
		if n.isAdmin(host) != is {
			t.Errorf("%q: %v", host, !is)
		}
	}
	n.config.Admin = ":8081"
	if n.isAdmin(":8081") {
		t.Error("no host at all is the admin's")
	}
}

// lines reads a drain's answer to its end.
func lines(t *testing.T, r io.Reader) (all []Drain) {
	t.Helper()
	for s := bufio.NewScanner(r); s.Scan(); {
		var d Drain
		if err := json.Unmarshal(s.Bytes(), &d); err != nil {
			t.Fatalf("%v: %s", err, s.Bytes())
		}
		all = append(all, d)
	}
	return all
}

// Whoever waits for the end reads it to the last line, and a second one too; it is after
// the directory is another's to use.
func TestDrainSaysItsEnd(t *testing.T) {
	n, told := drainable(t)
	one := asks(t, n, "POST", "localhost", OrderHeader, "1")
	two := asks(t, n, "POST", "", OrderHeader, "1")
	<-told
	<-told
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- n.Stop(ctx)
	}()
	for _, res := range []*http.Response{one, two} {
		all := lines(t, res.Body)
		if last := all[len(all)-1]; !last.Stopped || last.Problem != "" || last.Doing != "has stopped in order" || all[0].Stopped || all[0].Node != n.config.Name {
			t.Errorf("%+v", all)
		}
		again, err := openDirectory(n.data.path, identity{Name: n.config.Name, Partitions: n.config.Partitions}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if !again.clean {
			t.Error("the mark of a running node is there")
		}
		_ = again.close()
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A stop that wasn't in order is told as one.
func TestDrainSaysWhatWasNotInOrder(t *testing.T) {
	n, _ := drainable(t)
	res := asks(t, n, "POST", "", OrderHeader, "1")
	n.nats.log.Errorf("JetStream failed to store a msg on stream 'X': no space left on device")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	failed := n.Stop(ctx)
	all := lines(t, res.Body)
	if last := all[len(all)-1]; failed == nil || !last.Stopped || last.Problem != failed.Error() || !strings.Contains(last.Doing, "not in order") {
		t.Errorf("%v: %+v", failed, all)
	}
}

func TestDrainLine(t *testing.T) {
	for want, d := range map[string]Drain{
		"a: telling clients to move":                                          {Node: "a", Doing: "telling clients to move"},
		"a: telling clients to move: connections left: 12":                    {Node: "a", Doing: "telling clients to move", Connections: 12},
		"a: handing over what it leads: leads LOG-0, LOG-1":                   {Node: "a", Doing: "handing over what it leads", Leads: []string{"LOG-0", "LOG-1"}},
		"a: handing over what it leads: connections left: 1; leads HISTORY-0": {Node: "a", Doing: "handing over what it leads", Connections: 1, Leads: []string{"HISTORY-0"}},
	} {
		if got := d.String(); got != want {
			t.Errorf("%s\n%s", got, want)
		}
	}
}
