// Package fault holds a node to its promises while the machine under it breaks:
// processes killed, power cut, a disk that is full or fails, answers that never
// came. Everything in it is a test; docs/RELIABILITY.md has the figures.
//
//	people (client) ─ 300–500 messages a second ─▶ natter serve ─▶ data directory
//	    └─ sent, acked, seen ─▶ check.History                       (lossfs, in some)
//
// The nodes are processes of the program built from this tree; those that kill
// themselves between two steps (points_test.go) are built with -tags failpoints. Every run prints
// its seed; FAULT_SEED repeats the choices (not the timing). A run that
// fails keeps the data directory and says where. FAULT_LONG=1 runs ten
// times as long.
package fault
