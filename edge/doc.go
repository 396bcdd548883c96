// Package edge is the outer wall of a node: the HTTP API, the sync ways and the
// WebSocket. It is the only package that knows Fiber and WebSocket; of the rest
// of the node it knows the seams of chat, and auth.
//
//	 listener (cap, survives EMFILE)
//	   └─ outer: request id, security headers, framing checks, panics, metrics
//	        ├─ app: static files (everything outside /v1, /healthz, /readyz)
//	        ├─ huma: the routes of table(), each behind admit()
//	        └─ /v1/ws ─ upgrade ─▶ session
//
//	session   reader ──ops table──▶ jobs ─▶ chat.Log ─▶ answer ─┐
//	          (handler's goroutine)                              ├─▶ outbox ─▶ writer ─▶ socket
//	          hint ──in order?──▶ event ─────────────────────────┤
//	               └─gap──▶ catch-up ─▶ chat.Queues.Read ────────┘
//
// # Goroutines
//
// Each socket has two: the reader, which is the handler that contrib/websocket
// called, and the writer, which the reader joins before it returns, because the
// connection goes back to a pool then. Two more come and go: one that works
// through jobs in order, one that reads the queue after a gap. All are counted
// in the session's wait group; Shutdown waits for every session.
//
// # Locks
//
// session.mu, then outbox.mu; hub.mu and roster.mu each alone. None is held
// while another package is called, a socket is written or news are published.
package edge
