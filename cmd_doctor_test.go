package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/node"
)

// doctored runs natter doctor -o json.
func doctored(t *testing.T, args ...string) ([]node.Check, error) {
	t.Helper()
	out, failed := run(t, append([]string{"doctor", "-o", "json"}, args...)...)
	var checks []node.Check
	if err := json.Unmarshal([]byte(out), &checks); err != nil {
		t.Fatalf("%v, %v\n%s", err, failed, out)
	}
	return checks, failed
}

// state is the state of the check called name; empty if there is none.
func state(checks []node.Check, name string) string {
	i := slices.IndexFunc(checks, func(c node.Check) bool { return c.Name == name })
	if i < 0 {
		return ""
	}
	return checks[i].State
}

func TestDoctorOfOneNode(t *testing.T) {
	n := harness.StartNode(t, "--partitions=2")
	address := strings.TrimPrefix(n.URL(), "http://")
	same := []string{"--partitions=2", "--listen=" + address, "--admin=" + adminOf(n), "--data=" + n.Data()}
	checks, _ := doctored(t, same...) // how quick this machine's disk is isn't ours to say
	for _, name := range []string{"data", "node", "listen", "admin"} {
		if state(checks, name) != node.CheckOK {
			t.Errorf("%s: %+v", name, checks)
		}
	}
	for _, name := range []string{"disk", "fsync", "open files"} {
		if state(checks, name) == "" {
			t.Errorf("%s: %+v", name, checks)
		}
	}
	// With other settings than the node's.
	checks, err := doctored(t, "--partitions=2", "--name=other", "--listen=127.0.0.1:0", "--admin="+adminOf(n), "--data="+n.Data())
	if state(checks, "data") != node.CheckFail || state(checks, "node") != node.CheckFail || exitCode(err) != exitRuntime || !strings.Contains(err.Error(), "checks that fail: data, node") {
		t.Errorf("%v: %+v", err, checks)
	}
	// A second node beside it.
	checks, err = doctored(t, "--listen="+address, "--admin="+adminOf(n), "--data="+filepath.Join(t.TempDir(), "data"))
	if state(checks, "listen") != node.CheckFail || state(checks, "admin") != node.CheckFail || state(checks, "data") != node.CheckOK || exitCode(err) != exitRuntime {
		t.Errorf("%v: %+v", err, checks)
	}
	n.Kill()
	checks, _ = doctored(t, same...)
	if state(checks, "data") != node.CheckWarn || state(checks, "listen") != node.CheckOK || state(checks, "node") != "" {
		t.Errorf("after a crash: %+v", checks)
	}
	n.Start()
	n.WaitReady() // the doctor has left nothing that is in its way
}

func TestDoctorOfACluster(t *testing.T) {
	c := harness.StartCluster(t)
	member := func(i int, more ...string) []string {
		n := c.Nodes[i]
		return append([]string{"--name=" + string(rune('a'+i)), "--listen=" + strings.TrimPrefix(n.URL(), "http://"), "--admin=" + adminOf(n), "--data=" + n.Data(),
			"--cluster=" + strings.Join(c.Routes, ","), "--cluster-listen=" + c.Routes[i], "--cluster-certs=" + c.Certs[i]}, more...)
	}
	// Each of b's checks, once its clocks have been compared.
	harness.WaitUpTo(t, time.Minute, "all is well", func() bool {
		checks, _ := doctored(t, member(1)...)
		for _, name := range []string{"cluster_certs", "data", "node", "listen", "admin", "cluster_listen", "clock of a", "clock of c", "member " + c.Routes[0], "member " + c.Routes[2]} {
			if state(checks, name) != node.CheckOK {
				return false
			}
		}
		return true
	})
	c.Node("c").Stop()
	if checks, _ := doctored(t, member(2)...); state(checks, "member "+c.Routes[0]) != node.CheckOK || state(checks, "member "+c.Routes[1]) != node.CheckOK || state(checks, "cluster_listen") != node.CheckOK {
		t.Errorf("before its start: %+v", checks)
	}
	harness.WaitFor(t, "c is missed", func() bool {
		checks, err := doctored(t, member(1)...)
		return state(checks, "member "+c.Routes[2]) == node.CheckWarn && state(checks, "node") == node.CheckFail && exitCode(err) == exitRuntime
	})
	// The authority of another cluster.
	other := harness.NewCluster(t, 3)
	checks, err := doctored(t, append(member(2), "--cluster-certs="+other.Certs[2])...)
	if state(checks, "data") != node.CheckFail || state(checks, "member "+c.Routes[0]) != node.CheckFail || exitCode(err) != exitRuntime {
		t.Errorf("%v: %+v", err, checks)
	}
}

// The limit of open files is that of the doctor's own process.
func TestDoctorUnderALimit(t *testing.T) {
	for limit, want := range map[string]string{"260": node.CheckFail, "1024": node.CheckWarn} {
		cmd := exec.Command("sh", "-c", `ulimit -n "$1" && exec "$2" doctor -o json --listen 127.0.0.1:0 --admin "" --data "$3"`, "sh", limit, harness.Binary(t), filepath.Join(t.TempDir(), "data"))
		out, err := cmd.Output()
		var checks []node.Check
		if e := json.Unmarshal(out, &checks); e != nil || state(checks, "open files") != want || (want == node.CheckFail && cmd.ProcessState.ExitCode() != exitRuntime) {
			t.Errorf("%s: %v, %v\n%s", limit, e, err, out)
		}
	}
}

func TestDoctorTable(t *testing.T) {
	var out strings.Builder
	checks := []node.Check{{Name: "disk", State: node.CheckOK, Found: "4 GiB"}, {Name: "member x\x1b", State: node.CheckFail, Found: "is\u202e down", Do: "start it"}}
	if err := printChecks(&out, checks, "table"); err != nil {
		t.Fatal(err)
	}
	want := "STATE  CHECK      FOUND\nok     disk       4 GiB\nfail   member x?  is? down\n                  → start it\n"
	if out.String() != want {
		t.Errorf("printed\n%s", out.String())
	}
	if err := failing(checks); exitCode(err) != exitRuntime || err.Error() != "checks that fail: member x?" || failing(checks[:1]) != nil {
		t.Errorf("%v", err)
	}
	for args, code := range map[string]int{"-o yaml": exitUsage, "more": exitUsage, "--partitions=0": exitConfig, "--cluster=a:1": exitConfig} {
		if _, err := run(t, append([]string{"doctor"}, strings.Fields(args)...)...); exitCode(err) != code {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := os.Stat("data"); err == nil {
		t.Error("it made ./data")
	}
}
