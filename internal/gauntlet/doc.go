// Package gauntlet holds a cluster to its promises while the machines under it
// break, and measures for how long people notice.
//
//	               ┌ faults, at random times under a seed (scenarios*.go)
//	               ▼
//	crowd ──▶ 3 × natter serve ──▶ data directories (some on lossfs)
//	  │ WebSocket, SSE, long poll;      │
//	  │ HTTP asks another node each     │ stopped in the end
//	  │ time                            ▼
//	  │                            replicas.go: equal by hash?
//	  └ sent, acked, seen ─▶ record.go ─▶ check.History: lost, twice, order, strangers
//	                              └─────▶ gaps, timeline.svg
//
// A scenario is a name, a crowd and a function that breaks things. When it is done
// everything is healed, the last answers and deliveries are waited for, each room's
// history is read through every node, the nodes stop, and all of it is judged. What
// went wrong with messages fails a scenario; a figure beyond its target is told, and
// fails it only where the caller wants that. Where nothing is promised (Lossy) nodes that
// don't come back are a result too: wreck.go counts what their logs still hold.
//
// The nodes are processes of one program. Between them they talk over loopback, or,
// where a scenario cuts lines, over a network of their own: namespaces without
// names, which end with the processes in them (network.go).
//
// # Goroutines
//
// Run's caller has the scenario. The crowd owns its devices, a pacer, a sender for
// each person over HTTP and two who look into rooms that aren't theirs; end waits
// for all of them. Each process has one that waits for its end (harness/process).
// Nothing outlives Run: processes are killed, disks unmounted and directories
// removed, but for what a failed scenario leaves behind to be looked at.
package gauntlet
