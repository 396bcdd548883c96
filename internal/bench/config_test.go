package bench

import (
	"strings"
	"testing"
	"time"

	"natter/internal/check"
)

func good() Config {
	return Config{Nodes: 1, Workload: Pairs, Users: 2, GroupSize: 100, Window: 1, Duration: time.Second, Durability: "safe", TextBytes: 300}
}

// TestValidate: what can't be done is refused by the flag's name before
// anything is started.
func TestValidate(t *testing.T) {
	if c := good(); c.Validate() != nil {
		t.Fatal(c.Validate())
	}
	for flag, spoil := range map[string]func(*Config){
		"--workload":   func(c *Config) { c.Workload = "triples" },
		"--users":      func(c *Config) { c.Users = 3 },
		"--group-size": func(c *Config) { c.Workload, c.GroupSize = Group, 101 },
		"--window":     func(c *Config) { c.Rate = 5 },
		"--rate":       func(c *Config) { c.Window, c.Rate = 0, 1e7 },
		"--duration":   func(c *Config) { c.Duration = 3 * time.Hour },
		"--text-bytes": func(c *Config) { c.TextBytes = 15 },
		"--profile":    func(c *Config) { c.Workload, c.Profile = Idle, "cpu.pprof" },
		"--durability": func(c *Config) { c.Durability = "none" },
		"--sockets":    func(c *Config) { c.Workload, c.Users, c.Sockets = Idle, 200, 200 },
		"--steps":      func(c *Config) { c.Workload, c.Steps = Idle, []int{1, 3} },
		"--missed":     func(c *Config) { c.Workload, c.Others = CatchUp, []int{1} },
		"--others":     func(c *Config) { c.Workload, c.Missed, c.Others = CatchUp, 1, []int{2, 1} },
		"--rounds":     func(c *Config) { c.Workload, c.Rate = Storm, 1 },
		"--spread":     func(c *Config) { c.Workload, c.Rate, c.Rounds = Storm, 1, 1 },
		"--rooms":      func(c *Config) { c.Workload, c.Rooms = History, 1001 },
		"--messages":   func(c *Config) { c.Workload, c.Rooms = History, 10 },
		"--reads":      func(c *Config) { c.Workload, c.Rooms, c.Messages = History, 10, 10 },
		"--slow":       func(c *Config) { c.Workload, c.GroupSize, c.Rate, c.Slow = Mixed, 2, 1, 3 },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
	three := good()
	three.Nodes, three.Users = 3, 4
	if three.Validate() != nil {
		t.Error(three.Validate())
	}
	for want, spoil := range map[string]func(*Config){
		"--nodes: must be 1 or 3, not 2": func(c *Config) { c.Nodes = 2 },
		"leave out --url":                func(c *Config) { c.URL = "http://127.0.0.1:1" },
		"leave out --url, --admin-url":   func(c *Config) { c.PID = 1 },
		"--users: must be at least":      func(c *Config) { c.Users = 2 },
	} {
		c := three
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	neither := good()
	neither.Window = 0
	if neither.Validate() == nil {
		t.Error("neither window nor rate, and no refusal")
	}
}

// TestStamp: a text tells when it was sent, and is as long as asked.
func TestStamp(t *testing.T) {
	for _, n := range []int{16, 17, 300, 8000} {
		w := &world{filler: filler(n)}
		text := w.stamp(123456789012)
		if len(text) != n || stamped([]byte(text)) != 123456789012 {
			t.Errorf("%d bytes: %q", n, text)
		}
	}
	for _, s := range []string{"", "0", "0123456789abcdeG", "somebody's own text"} {
		if stamped([]byte(s)) != -1 {
			t.Errorf("%q is stamped", s)
		}
	}
}

// TestWriteTable: every number a reader looks for is there.
func TestWriteTable(t *testing.T) {
	r := &Result{Workload: Pairs, AckedPerSecond: 1234, Raw: &Raw{}, FirstError: "oops", Check: &check.Report{}}
	var table, json strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteJSON(&json); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1234/s", "send to ack", "send to delivery", "lost 0", "raw JetStream", "oops"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}
	if !strings.Contains(json.String(), `"acked_per_second": 1234`) {
		t.Error(json.String())
	}
}
