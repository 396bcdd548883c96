// Package check judges a run of a chat system by what its clients wrote down:
// what they sent, what was acknowledged, and what each device showed.
//
//	device ─ Sent, Acked, Seen ─▶ History ─ Check ─▶ Report (every count must be 0)
//	bench  ─ Acked, Seen ───────▶ Tally   ─ Check ─▶ Report (constant memory)
//
// History keeps every record and names what went wrong; Tally keeps a few words
// for each device and room and only counts, so that it can watch a benchmark.
// Neither knows the server: a fault of the server and a fault of the client
// look the same, and both are faults.
package check
