package node

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/config"
)

// visit makes some of the checks of a node's settings.
func visit(c *config.Config, some ...func(*examination)) []Check {
	e := &examination{c: c, now: time.Now()}
	for _, check := range some {
		check(e)
	}
	return e.checks
}

// fault is something planted, and the check that must tell it.
type fault struct {
	what        string
	plant       func()
	name, state string
	says        string
}

// finds fails the test unless a check tells the fault; and what isn't well says what to do.
func (f *fault) finds(t *testing.T, checks []Check) {
	t.Helper()
	found := false
	for _, c := range checks {
		found = found || c.Name == f.name && c.State == f.state && strings.Contains(c.Found, f.says)
		if (c.Do == "") != (c.State == CheckOK) {
			t.Errorf("%s: %+v", f.what, c)
		}
	}
	if !found {
		t.Errorf("%s: no %q that is %s and says %q in %+v", f.what, f.name, f.state, f.says, checks)
	}
}

// made makes a data directory as a node would have.
func made(t *testing.T, dir string, as identity) {
	t.Helper()
	d := directory{path: dir}
	if err := errors.Join(os.MkdirAll(dir, 0o700), d.make(as)); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorSeesTheDataDirectory(t *testing.T) {
	c := settings(t, "")
	fresh := func(change func(*identity)) func() {
		return func() {
			c.Data = t.TempDir()
			as := identity{Format: dataFormat, Name: c.Name, Partitions: c.Partitions}
			change(&as)
			made(t, c.Data, as)
		}
	}
	file := func(name, text string) func() {
		return func() {
			if err := os.WriteFile(filepath.Join(c.Data, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range []fault{
		{"none yet", func() { c.Data = filepath.Join(t.TempDir(), "not", "yet") }, "data", CheckOK, "isn't there"},
		{"an empty one", func() { c.Data = t.TempDir() }, "data", CheckOK, "is empty"},
		{"its own", fresh(func(*identity) {}), "data", CheckOK, `of the node "n1", format 1`},
		{"the mark of a crash", file(runningFile, "x"), "data", CheckWarn, "the last stop was not in order"},
		{"a record that is broken", file(identityFile, "{"), "data", CheckFail, "can't be read"},
		{"another format", fresh(func(as *identity) { as.Format = 7 }), "data", CheckFail, "is of format 7"},
		{"another name", fresh(func(as *identity) { as.Name = "other" }), "data", CheckFail, `belongs to the node "other"`},
		{"other partitions", fresh(func(as *identity) { as.Partitions = 9 }), "data", CheckFail, "partitions: 9"},
		{"a member's", fresh(func(as *identity) { as.Cluster, as.ClusterName = true, "x" }), "data", CheckFail, `belongs to the cluster "x"`},
		{"streams and no record", func() {
			c.Data = t.TempDir()
			if err := os.Mkdir(filepath.Join(c.Data, streamsDir), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "data", CheckFail, "holds streams but no natter.json"},
		{"a file", func() {
			c.Data = filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(c.Data, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "data", CheckFail, "is not a directory"},
	} {
		f.plant()
		f.finds(t, visit(c, (*examination).data))
	}
}

// A look at a directory that is in use leaves it as it is, and one at a free one leaves it
// free.
func TestDoctorLocksNothing(t *testing.T) {
	c := settings(t, t.TempDir())
	as := identity{Name: c.Name, Partitions: c.Partitions}
	d, err := openDirectory(c.Data, as, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e := &examination{c: c, now: time.Now()}
	e.data()
	(&fault{"in use", nil, "data", CheckOK, "in use (process "}).finds(t, e.checks)
	if !e.running {
		t.Error("it doesn't know that a node runs")
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	e = &examination{c: c, now: time.Now()}
	e.data()
	if e.running {
		t.Error("it takes itself for a node")
	}
	if d, err = openDirectory(c.Data, as, time.Now()); err != nil {
		t.Fatal(err)
	}
	_ = d.close()
}

func TestDoctorSeesTheCluster(t *testing.T) {
	c := newCluster(t)
	s := c.all[0]
	other := identity{Format: dataFormat, Name: "a", Partitions: s.Partitions, Cluster: true, ClusterName: s.ClusterName, ClusterID: "0123456789abcdef"}
	made(t, s.Data, other)
	(&fault{"another cluster's", nil, "data", CheckFail, "belongs to the cluster 0123456789abcdef"}).finds(t, visit(s, (*examination).certificates, (*examination).data))
	// Without certificates nothing is known of the id.
	(&fault{"a member's", nil, "data", CheckOK, `in the cluster "natter"`}).finds(t, visit(s, (*examination).data))
	made(t, s.Data, identity{Format: dataFormat, Name: "a", Partitions: s.Partitions})
	(&fault{"a single node's", nil, "data", CheckFail, "was made by a single node"}).finds(t, visit(s, (*examination).data))
}

func TestDoctorMeasuresTheDisk(t *testing.T) {
	room := func(free int64) []Check { return visit(nil, func(e *examination) { e.room(free) }) }
	speed := func(d time.Duration) []Check {
		return visit(nil, func(e *examination) { e.speed([]time.Duration{d + time.Second, d, d}) })
	}
	for _, one := range []struct {
		checks []Check
		fault
	}{
		{room(4 << 30), fault{"room", nil, "disk", CheckOK, "4.00 GiB"}},
		{room(diskLittle - 1), fault{"little", nil, "disk", CheckWarn, "1.00 GiB"}},
		{room(diskReserve - 1), fault{"none", nil, "disk", CheckFail, "0.03 GiB"}},
		{speed(time.Millisecond), fault{"quick", nil, "fsync", CheckOK, "median 1.00 ms, slowest 1001.00 ms, of 3"}},
		{speed(fsyncSlow + 1), fault{"slow", nil, "fsync", CheckWarn, "median 20.00 ms"}},
		{speed(fsyncTooSlow + 1), fault{"too slow", nil, "fsync", CheckFail, "median 250.00 ms"}},
		{speed(fsyncNone - 1), fault{"no disk", nil, "fsync", CheckWarn, "quicker than a disk is"}},
	} {
		one.finds(t, one.checks)
	}
	c := settings(t, filepath.Join(t.TempDir(), "not", "yet"))
	for _, one := range visit(c, (*examination).disk, (*examination).fsync) {
		if strings.Contains(one.Found, "can't") || one.Found == "" {
			t.Errorf("%+v", one)
		}
	}
	left, err := os.ReadDir(filepath.Dir(filepath.Dir(c.Data)))
	if err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	c.Data = "/proc/natter" // where nobody may write, root neither
	(&fault{"no writes", nil, "fsync", CheckFail, "/proc can't be written"}).finds(t, visit(c, (*examination).fsync))
}

// A disk that takes ages is not waited for.
func TestTimingADiskEnds(t *testing.T) {
	now := time.Now()
	took, err := timeSyncs(t.TempDir(), func() time.Time { now = now.Add(fsyncAtMost / 4); return now })
	if err != nil || len(took) < 1 || len(took) > 2 || took[0] != fsyncAtMost/4 {
		t.Errorf("%v, %v", took, err)
	}
}

func TestDoctorSeesAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ports := func(e *examination) { e.ports(t.Context()) }
	runs := func(e *examination) { e.running = true }
	for field, set := range map[string]func(*config.Config, string){
		"listen":         func(c *config.Config, a string) { c.Listen = a },
		"admin":          func(c *config.Config, a string) { c.Admin = a },
		"cluster_listen": func(c *config.Config, a string) { c.ClusterListen = a },
	} {
		c := settings(t, "")
		set(c, taken.Addr().String())
		(&fault{"in use", nil, field, CheckFail, taken.Addr().String() + " is in use"}).finds(t, visit(c, ports))
		(&fault{"the node's", nil, field, CheckOK, "takes connections"}).finds(t, visit(c, runs, ports))
		set(c, freeAddress(t))
		(&fault{"free", nil, field, CheckOK, "is free"}).finds(t, visit(c, ports))
		(&fault{"the node's, and closed", nil, field, CheckFail, "doesn't take connections"}).finds(t, visit(c, runs, ports))
		set(c, "192.0.2.1:8080")
		(&fault{"another machine's", nil, field, CheckFail, "192.0.2.1:8080"}).finds(t, visit(c, ports))
		set(c, "127.0.0.1:0")
		(&fault{"any", nil, field, CheckOK, "free port"}).finds(t, visit(c, ports))
	}
	for address, want := range map[string]string{"0.0.0.0:80": "localhost:80", ":80": "localhost:80", "[::]:80": "localhost:80", "10.0.0.1:80": "10.0.0.1:80", "[::1]:80": "[::1]:80", "a:80": "a:80"} {
		if got := dialable(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

func TestDoctorAsksTheNode(t *testing.T) {
	ms := func(f float64) *float64 { return &f }
	c := settings(t, "")
	c.Name, c.Admin = "a", "127.0.0.1:8081"
	ask := func(s *Status, err error) []Check {
		return visit(c, func(e *examination) {
			e.running, e.ask = true, func(_ context.Context, address string) (*Status, error) {
				if address != c.Admin {
					t.Errorf("asks %s", address)
				}
				return s, err
			}
			e.node(t.Context())
			e.files()
		})
	}
	well := &Status{Node: "a", Nodes: []NodeStatus{
		{Name: "a", Capacity: c.MaxConnections}, {Name: "b", ClockAheadMS: ms(-3)}, {Name: "c", ClockAheadMS: ms(3_600_000)},
	}}
	(&fault{"well", nil, "node", CheckOK, "nothing is wrong"}).finds(t, ask(well, nil))
	(&fault{"its connections", nil, "open files", CheckOK, "20000"}).finds(t, ask(well, nil))
	(&fault{"a clock", nil, "clock of b", CheckOK, "-3.0 ms"}).finds(t, ask(well, nil))
	(&fault{"a wrong clock", nil, "clock of c", CheckFail, "+3600000 ms"}).finds(t, ask(well, nil))
	(&fault{"few files", nil, "open files", CheckWarn, "takes 16 connections"}).finds(t, ask(&Status{Node: "a", Nodes: []NodeStatus{{Name: "a", Capacity: 16}}}, nil))
	(&fault{"a problem", nil, "node", CheckFail, "b: its lease has run out"}).finds(t, ask(&Status{Node: "a", Problems: []string{"b: its lease has run out"}}, nil))
	(&fault{"another's", nil, "node", CheckFail, `the node "b"`}).finds(t, ask(&Status{Node: "b"}, nil))
	(&fault{"no answer", nil, "node", CheckFail, "nobody is there"}).finds(t, ask(nil, errors.New("nobody is there")))
	c.Admin = ""
	(&fault{"no admin", nil, "node", CheckWarn, "is off"}).finds(t, ask(nil, nil))
	if none := visit(c, func(e *examination) { e.node(t.Context()) }); len(none) != 0 {
		t.Errorf("no node runs: %+v", none)
	}
}
