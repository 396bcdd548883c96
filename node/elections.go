package node

import (
	"time"
	_ "unsafe" // for go:linkname
)

// How long a member of a Raft group that hears no leader waits before it stands for
// election: at random between the two, so that two of three seldom stand at once. NATS
// has 4 and 9 s, for clusters across continents, and no setting for it; its own tests
// set these variables of its package. Half of it is what people wait for less when a
// node dies, on average, and the least is still more than the two heartbeats (of 1 s)
// after which a leader may be late. Why it may be done, what it costs and what it was
// measured with: docs/adr/0015-shorter-elections.md.
const (
	electionLeast = 2500 * time.Millisecond
	electionMost  = 4500 * time.Millisecond
)

//go:linkname natsElectionLeast github.com/nats-io/nats-server/v2/server.minElectionTimeout
var natsElectionLeast time.Duration

//go:linkname natsElectionMost github.com/nats-io/nats-server/v2/server.maxElectionTimeout
var natsElectionMost time.Duration

// Before any server is started: they are read without a lock.
func init() { natsElectionLeast, natsElectionMost = electionLeast, electionMost }
