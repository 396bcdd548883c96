// Package client is a device in Go: what a phone or a browser does, for tests,
// `natter bench` and bots. It is written from docs/PROTOCOL.md.
//
//	Account   the HTTP calls of a person or a session: sign in, rooms, history
//	Device    a WebSocket that comes back by itself: send, events, cursor
//	Poller    the same over long polling, for where no socket passes
//
// A Device has two goroutines, both joined by Close: run dials, says hello and
// reads; write owns the socket's sending side while a connection stands.
//
//	Send ─▶ pending ─▶ outbox ─▶ write ─▶ socket ─▶ run ─┬▶ done (answers)
//	           ▲                                         └▶ Event (in queue order)
//	           └── after a reconnect, in the first order, same client_id
//
// What a Device promises: every event of the person's queue after the cursor,
// in order, each message once; every Send exactly one done, either the server's
// answer, however many connections it took, or the reason why there will be
// none. Callbacks run on the reading goroutine: they must not block, and must
// not call Close.
package client
