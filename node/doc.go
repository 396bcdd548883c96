// Package node puts a natter node together: the data directory, the embedded
// NATS server, the store, accounts, ids, and the edge; and takes it apart again
// in order.
//
//	Start                                    Stop
//	  lock the data directory                  edge: no more clients, move the rest
//	  listen (a taken port fails here)         ids: note the last one used
//	  leave the mark "running"                 accounts, contacts
//	  NATS server                              store: finish the log, checkpoint
//	  store: make again what a crash took      NATS server
//	  ids, accounts, contacts, edge            everything to disk, take the mark away
//	  serve                                    unlock
//
// # Goroutines
//
// Start's owners are the Node's: one serves the edge, one the admin listener,
// one renews the ids' lease, one looks at the disk; Stop waits for all of them. In a
// cluster two more answer the other members' questions and follow the roll; they end
// with the store. Whatever fails for good
// calls fail, which wakes Wait; it doesn't stop anything by itself.
package node
