// Package chat is the ground floor of natter: what a chat is, and its rules.
// It imports the standard library only and does no I/O and reads no clock: the
// time is always an argument, so that the same log always has the same result.
//
//	device ─ Command ─▶ Log ─▶ RoomState.Apply ─┬─▶ Message   (a room's history)
//	                                            ├─▶ Event     (each member's queue)
//	                                            └─▶ Outcome   (the sender's answer)
//
// # Invariants
//
// Each has tests, of its name or nearly; docs/ARCHITECTURE.md says which.
//
//   - durable before ack: an answer to a send means the command is on disk.
//   - one client_id, one message: for ever, within a room and a sender.
//   - stored, then told: nobody hears of what isn't in their queue.
//   - the projector reads the log, never memory.
//   - same log, same result.
//   - room order survives: seq counts from 1 without holes, the same for all.
//   - cursors move only on the device's own ack.
//   - no silent gap: a cursor is honoured or answered with reset.
//   - one path: catch-up and live are the same loop.
//   - a slow or absent device costs disk, not memory.
//   - presence is an opinion with an expiry.
//   - offline = the last device gone for linger.
//   - strangers learn nothing: not yours = not found.
package chat
