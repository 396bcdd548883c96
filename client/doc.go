// Package client is a device in Go: what a phone or a browser does, for tests,
// `natter bench` and bots. It is written from docs/PROTOCOL.md.
//
//	Account   the HTTP calls of a person or a session: sign in, rooms, history
//	Device    a WebSocket that comes back by itself: send, events, cursor
//	Poller    the same over long polling, for where no socket passes
//	Outbox    a file that keeps what a Device still has to send
//
// A Device has two goroutines, both joined by Close: run dials, says hello and
// reads; write owns the socket's sending side while a connection stands.
//
//	Send ─▶ Outbox ─▶ pending ─▶ out ─▶ write ─▶ socket ─▶ run ─┬▶ done (answers)
//	        (fsync)      ▲                                      └▶ Event (in queue order)
//	                     └── after a reconnect, in the first order, same client_id
//
// What a Device promises: every event of the person's queue after the cursor,
// in order, each message once; every Send exactly one done, either the server's
// answer, however many connections it took, or the reason why there will be
// none. With an Outbox that holds beyond the process: once Send has returned, the
// message is sent by this process or by the next one that dials with the same
// file, and is one message on the server however often that happens, because
// its client_id is kept with it. An answer is taken out of the file after done
// has returned, so a crash in between tells it again, to Options.Earlier.
//
//	box, err := client.OpenOutbox("bot.outbox")
//	…
//	bot := client.Dial(ctx, client.Options{
//		URLs: urls, Token: account.Token, Outbox: box, KeepCursor: true, Event: answer,
//	})
//	defer box.Close()
//	defer bot.Close() // first
//
// Callbacks run on the reading goroutine: they must not block, and must not call
// Close.
package client
