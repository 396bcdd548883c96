package bench

import (
	"errors"
	"fmt"
	"io"
	"time"

	"natter/chat"
)

// The workloads.
const (
	Pairs = "pairs" // every two users share a direct room, and both talk
	Group = "group" // every GroupSize users share a room, and all talk
	Idle  = "idle"  // every user is connected and says nothing
)

// Config says what to measure. The command's flags fill it in.
type Config struct {
	Binary string // the natter program, for the node and the raw rate
	URL    string // a running node; empty starts one in a temporary directory
	Admin  string // the running node's admin address, as http://127.0.0.1:8081; for its cost
	PID    int    // the running node's process, if it is on this machine; for its cost

	Workload   string        // Pairs, Group or Idle
	Users      int           // people, one device each
	GroupSize  int           // people in a room of Group, 2 to 100
	Window     int           // messages each user has in flight; 0 with a Rate
	Rate       float64       // messages a second, all users together; 0 with a Window
	Duration   time.Duration // how long is measured, after Warmup
	Warmup     time.Duration // load before it
	Durability string        // safe or fast, for a node started here
	TextBytes  int           // a message's text, at least 16
	Raw        time.Duration // how long each row of the raw rate is measured; 0 is not at all
	Profile    string        // a file for the node's CPU profile; empty for none
	ServeArgs  []string      // more arguments for a node started here

	Progress io.Writer // one line for each step
}

// Validate says what can't be done as asked, naming the flag.
func (c *Config) Validate() error {
	switch {
	case c.Workload != Pairs && c.Workload != Group && c.Workload != Idle:
		return fmt.Errorf("--workload: must be pairs, group or idle, not %q", c.Workload)
	case c.Users < 1 || c.Users > 20_000:
		return fmt.Errorf("--users: must be 1 to 20000, not %d", c.Users)
	case c.Workload == Pairs && c.Users%2 != 0:
		return fmt.Errorf("--users: pairs need an even number, not %d", c.Users)
	case c.Workload == Group && (c.GroupSize < 2 || c.GroupSize > chat.MaxMembers):
		return fmt.Errorf("--group-size: must be 2 to %d, not %d", chat.MaxMembers, c.GroupSize)
	case c.Workload == Group && c.Users%c.GroupSize != 0:
		return fmt.Errorf("--users: must be a multiple of --group-size %d, not %d", c.GroupSize, c.Users)
	case c.Workload != Idle && (c.Window > 0) == (c.Rate > 0):
		return errors.New("--window, --rate: give one of them, above 0")
	case c.Window < 0 || c.Window > maxWindow:
		return fmt.Errorf("--window: must be 1 to %d, not %d", maxWindow, c.Window)
	case c.Rate < 0 || c.Rate > 1e6:
		return fmt.Errorf("--rate: must be 0 to 1000000 a second, not %g", c.Rate)
	case c.Duration < 100*time.Millisecond || c.Duration > 10*time.Minute:
		return fmt.Errorf("--duration: must be 100ms to 10m, not %s", c.Duration)
	case c.TextBytes < stampBytes || c.TextBytes > chat.MaxTextRunes:
		return fmt.Errorf("--text-bytes: must be %d to %d, not %d", stampBytes, chat.MaxTextRunes, c.TextBytes)
	case c.Durability != "safe" && c.Durability != "fast":
		return fmt.Errorf("--durability: must be safe or fast, not %q", c.Durability)
	}
	return nil
}

const maxWindow = 4096

// size is how many people share a room.
func (c *Config) size() int {
	switch c.Workload {
	case Pairs:
		return 2
	case Group:
		return c.GroupSize
	}
	return 1
}

func (c *Config) say(format string, args ...any) {
	if c.Progress != nil {
		fmt.Fprintf(c.Progress, format+"\n", args...)
	}
}
