// Package edge is the outer wall of a node: the HTTP API, the sync ways and the
// WebSocket. It is the only package that knows Fiber and WebSocket; of the rest
// of the node it knows the seams of chat, and auth.
//
//	 listener (the node's: it bounds the connections)
//	   └─ outer: request id, security headers, framing checks, panics, metrics
//	        ├─ app: static files (everything outside /v1, /healthz, /readyz)
//	        ├─ huma: the routes of table(), each behind admit()
//	        └─ /v1/ws ─ upgrade ─▶ session
//
//	session   reader ──ops table──▶ jobs ─▶ chat.Log ─▶ answer ─┐
//	            ▲                                                ├─▶ outbox ─▶ writer ─▶ socket
//	          conn: lean, or portable                            │
//	          hint ──in order?──▶ event ─────────────────────────┤
//	               └─gap──▶ catch-up ─▶ chat.Queues.Read ────────┘
//
// # Goroutines
//
// A socket at rest has one: the reader, which the hub counts and Shutdown waits
// for. It waits on a stack that has not grown: a second after the last frame it
// goes on in a new goroutine (conn.go, errAtRest). The writer is started by
// whoever puts something into an empty outbox and ends when it is empty; the
// reader waits for it, writes the close frame itself and releases the connection
// last. Two more come and go: one that works through jobs in order, one that
// reads the queue after a gap. They are counted in the session's wait group.
//
// The lean driver's connection is taken out of fasthttp (KeepHijackedConns,
// UnsafeConn), whose buffers and contexts go back to their pools. The portable
// driver's reader is the handler that contrib/websocket called.
//
// # Locks
//
// session.mu, then outbox.mu; a driver's line.mu under session.mu; hub.mu and roster.mu each alone. None is held
// while another package is called, a socket is written or news are published.
package edge
