// Package contacts keeps who is whose friend, who has asked whom, and who blocks
// whom. The rules are chat.Pair's; here are the record of each pair, changed by
// compare-and-set, and an index of all pairs in memory, the same on every node.
//
//	Act ─ rules ─▶ Records.Put pair.<low>.<high> ─▶ index ─▶ Contacts, Friends, Bar, …
//	                        └─ watch of each node ────▶┘
//
// One record stands for both, so neither ever sees half of a change. A node's own
// change is in its index when Act returns, another node's after the watch's way, a
// few milliseconds. What is decided by the index in that moment (whether a message
// passes, who sees whose presence) is as if it had been asked a moment earlier.
//
// # Goroutines
//
// The watch's belong to the Records; they call seen, one at a time, until Close.
// Handlers of OnChange are called by whoever applies a change, without the lock.
package contacts
