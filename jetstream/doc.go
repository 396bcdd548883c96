// Package jetstream keeps natter's data in NATS JetStream; it is the only
// package that knows it.
//
//	Submit ─▶ committer-p ─▶ LOG-p ─▶ projector-p ─┬─▶ HISTORY-p  msg, page, room
//	  ▲       (this node)    (fsync)               ├─▶ SYNC-q     sync.<q>.<user> ─▶ teller-q ─▶ sessions
//	  └────── result.<node>.<run> ◀────────────────┴─▶ MARKS-p    mark.<p>.<user>.<room>
//
// Goroutines, each owned by Store and waited for in Close:
//
//	committer-p   gathers commands while the batch before is on its way to disk
//	projector-p   reads LOG-p in order, applies chat's rules, publishes a take
//	finisher-p    waits for a take's acks in order, then answers and checkpoints
//	teller-q      tells who listens of SYNC-q's entries in order; in a cluster it reads them
//	listener-i    hands live entries and passing news to their followers
//	cursors, seen write what devices acknowledged and when people were here, each second
//	keep          looks after a stream in memory: leases, places of the roster
//	watches       of records, leases and places, one each
//
// In a cluster every node has a Store over the same streams. Projector-p runs where
// LOG-p leads and teller-q where SYNC-q leads (leads.go); a claim keeps two projectors
// apart (fence.go), beats tell all nodes how far each is (beat.go), and reads are
// checked for what their node knows of (fresh.go); StepDown gives leads away.
//
// # What is on disk when
//
// LOG-p and the records are fsynced before they are acknowledged (the server
// runs with SyncAlways unless durability is fast). HISTORY, SYNC and MARKS are
// projections: on a single node they are PersistMode async and may lose a
// suffix in a crash. recovery.go says how it is made again, exactly.
package jetstream
