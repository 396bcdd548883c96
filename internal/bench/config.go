package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"natter/chat"
)

// The workloads.
const (
	Pairs   = "pairs"    // every two users share a direct room, and both talk
	Group   = "group"    // every GroupSize users share a room, and all talk
	Idle    = "idle"     // every user is connected and says nothing
	CatchUp = "catch-up" // users come back to what they missed, beside what others have stored
	Storm   = "storm"    // every connection is cut at once, and all come back
	History = "history"  // pages of rooms at any depth, cold and warm, and how long a start takes
	Mixed   = "mixed"    // pairs, groups, reading, typing, coming and going; and slow readers
)

// Config says what to measure. The command's flags fill it in.
type Config struct {
	Binary string // the natter program, for the node and the raw rate
	URL    string // a running node; empty starts one in a temporary directory
	Admin  string // the running node's admin address, as http://127.0.0.1:8081; for its cost
	PID    int    // the running node's process, if it is on this machine; for its cost

	Nodes      int           // how many to start: 1, or 3 of one cluster
	Workload   string        // one of the above
	Users      int           // people
	Sockets    int           // connections of each; Idle and Storm
	Steps      []int         // Idle: after how many connections to measure; empty is after all
	GroupSize  int           // people in a room of Group and Mixed, 2 to 100
	Window     int           // messages each user has in flight; 0 with a Rate
	Rate       float64       // messages a second, all users together; 0 with a Window
	Duration   time.Duration // how long is measured, after Warmup
	Warmup     time.Duration // load before it
	Durability string        // safe or fast, for a node started here
	TextBytes  int           // a message's text, at least 16
	Raw        time.Duration // how long each row of the raw rate is measured; 0 is not at all
	Profile    string        // a file for the node's CPU profile, of three nodes one each (-a, -b, -c); empty for none
	ServeArgs  []string      // more arguments for every node started here

	Missed   int           // CatchUp: messages for each device while it was away
	Others   []int         // CatchUp: how many messages of other people are stored; growing
	Rounds   int           // CatchUp and Storm: how often it is done
	Spread   time.Duration // Storm: each comes back within a random part of this
	Rooms    int           // History: rooms
	Messages int           // History: messages in all of them together
	Reads    int           // History: rooms that are read
	Slow     int           // Mixed: devices that read a byte a second, in the second half

	Progress io.Writer // one line for each step
}

const (
	maxWindow = 4096
	maxStored = 20_000_000
	maxLoaded = 20_000 // connections: what one address can have towards another, with room to spare
)

// Validate says what can't be done as asked, naming the flag.
func (c *Config) Validate() error {
	known := []string{Pairs, Group, Idle, CatchUp, Storm, History, Mixed}
	driven := c.Workload == Pairs || c.Workload == Group
	grouped := c.Workload == Group || c.Workload == Mixed
	switch {
	case !slices.Contains(known, c.Workload):
		return fmt.Errorf("--workload: must be one of %v, not %q", known, c.Workload)
	case c.Users < 1 || c.Users > maxLoaded:
		return fmt.Errorf("--users: must be 1 to %d, not %d", maxLoaded, c.Users)
	case c.Users%2 != 0 && c.Workload != Group && c.Workload != Idle:
		return fmt.Errorf("--users: %s needs an even number, not %d", c.Workload, c.Users)
	case grouped && (c.GroupSize < 2 || c.GroupSize > chat.MaxMembers):
		return fmt.Errorf("--group-size: must be 2 to %d, not %d", chat.MaxMembers, c.GroupSize)
	case grouped && c.Users%c.GroupSize != 0:
		return fmt.Errorf("--users: must be a multiple of --group-size %d, not %d", c.GroupSize, c.Users)
	case driven && (c.Window > 0) == (c.Rate > 0):
		return errors.New("--window, --rate: give one of them, above 0")
	case (c.Workload == Storm || c.Workload == Mixed) && c.Rate == 0:
		return fmt.Errorf("--rate: %s needs one above 0", c.Workload)
	case c.Window < 0 || c.Window > maxWindow:
		return fmt.Errorf("--window: must be 1 to %d, not %d", maxWindow, c.Window)
	case c.Rate < 0 || c.Rate > 1e6:
		return fmt.Errorf("--rate: must be 0 to 1000000 a second, not %g", c.Rate)
	case c.Duration < 100*time.Millisecond || c.Duration > 2*time.Hour:
		return fmt.Errorf("--duration: must be 100ms to 2h, not %s", c.Duration)
	case c.TextBytes < stampBytes || c.TextBytes > chat.MaxTextRunes:
		return fmt.Errorf("--text-bytes: must be %d to %d, not %d", stampBytes, chat.MaxTextRunes, c.TextBytes)
	case c.Durability != "safe" && c.Durability != "fast":
		return fmt.Errorf("--durability: must be safe or fast, not %q", c.Durability)
	case c.Profile != "" && !driven && c.Workload != Mixed:
		return fmt.Errorf("--profile: is taken of pairs, group and mixed, not of %s", c.Workload)
	}
	if err := c.validateNodes(); err != nil {
		return err
	}
	return c.validateSizes()
}

func validNodes(n int) error {
	if n != 1 && n != clusterSize {
		return fmt.Errorf("--nodes: must be 1 or %d, not %d", clusterSize, n)
	}
	return nil
}

func (c *Config) validateNodes() error {
	if err := validNodes(c.Nodes); err != nil {
		return err
	}
	switch {
	case c.Nodes > 1 && (c.URL != "" || c.Admin != "" || c.PID != 0):
		return fmt.Errorf("--nodes: %d are started here; leave out --url, --admin-url and --pid, which are of a node that runs", c.Nodes)
	case c.Users < c.Nodes:
		return fmt.Errorf("--users: must be at least the %d nodes, one on each, not %d", c.Nodes, c.Users)
	}
	return nil
}

// what is under load, in words.
func (c *Config) what() string {
	if c.Nodes > 1 {
		return "the cluster"
	}
	return "the node"
}

func (c *Config) validateSizes() error {
	stores := c.Workload == CatchUp || c.Workload == Storm
	switch {
	case c.Sockets < 0 || c.Sockets > 1000 || c.Users*max(c.Sockets, 1) > maxLoaded:
		return fmt.Errorf("--sockets: must be 1 to 1000, and %d with all users, not %d", maxLoaded, c.Sockets)
	case c.Workload == Idle && (!slices.IsSorted(c.Steps) || len(c.Steps) > 0 && (c.Steps[0] < 1 || c.Steps[len(c.Steps)-1] > c.devices())):
		return fmt.Errorf("--steps: must grow, up to the %d connections there are, not %v", c.devices(), c.Steps)
	case c.Workload == CatchUp && (c.Missed < 1 || c.Missed*c.Users > maxStored):
		return fmt.Errorf("--missed: must be 1 to %d for %d users, not %d", maxStored/c.Users, c.Users, c.Missed)
	case c.Workload == CatchUp && (len(c.Others) == 0 || !slices.IsSorted(c.Others) || c.Others[0] < 0 || c.Others[len(c.Others)-1] > maxStored):
		return fmt.Errorf("--others: must grow, 0 to %d, not %v", maxStored, c.Others)
	case stores && (c.Rounds < 1 || c.Rounds > 1000):
		return fmt.Errorf("--rounds: must be 1 to 1000, not %d", c.Rounds)
	case c.Workload == Storm && (c.Spread <= 0 || c.Spread > time.Minute):
		return fmt.Errorf("--spread: must be above 0, up to 1m, not %s", c.Spread)
	case c.Workload == History && (c.Rooms < 1 || c.Rooms > c.Users/2*chat.MaxRoomsPerUser):
		return fmt.Errorf("--rooms: must be 1 to %d for %d users, not %d", c.Users/2*chat.MaxRoomsPerUser, c.Users, c.Rooms)
	case c.Workload == History && (c.Messages < c.Rooms || c.Messages > maxStored):
		return fmt.Errorf("--messages: must be %d to %d, not %d", c.Rooms, maxStored, c.Messages)
	case c.Workload == History && (c.Reads < 1 || c.Reads > c.Rooms):
		return fmt.Errorf("--reads: must be 1 to the %d rooms, not %d", c.Rooms, c.Reads)
	case c.Workload == Mixed && (c.Slow < 0 || c.Slow > c.Users):
		return fmt.Errorf("--slow: must be 0 to the %d users, not %d", c.Users, c.Slow)
	}
	return nil
}

// devices is how many connections there are in all.
func (c *Config) devices() int {
	if c.Workload == Idle || c.Workload == Storm {
		return c.Users * max(c.Sockets, 1)
	}
	return c.Users
}

// raw tells whether the workload is one whose rate is compared with JetStream's.
func (c *Config) raw() bool { return c.Raw > 0 && (c.Workload == Pairs || c.Workload == Group) }

func (c *Config) say(format string, args ...any) {
	if c.Progress != nil {
		fmt.Fprintf(c.Progress, format+"\n", args...)
	}
}

// Paced tells whether a workload's messages come at a rate, never by windows.
func Paced(workload string) bool {
	return workload == CatchUp || workload == Storm || workload == Mixed
}
