// Package wire is what crosses the network: the frames of the WebSocket and the
// objects of the HTTP answers, as docs/PROTOCOL.md describes them, for the edge
// and for the Go client. It knows JSON and nothing of connections.
//
//	client ── Encode(frame) ──▶ text frame ──▶ DecodeClient ──▶ edge
//	client ◀── DecodeServer ◀── text frame ◀── Encode, AppendEvent… ── edge
//
// The two directions differ in strictness. What a client sends is read by
// Unmarshal, which refuses everything it does not know and names the field;
// what a server sends is read by Parse, which ignores what it does not know, so
// that an older client goes on working.
//
// Ids in what a client sends are plain strings here: the edge parses them, and
// whoever holds a chat.RoomID holds a valid one. The fixtures in testdata are
// read by the tests of the web app too.
package wire
