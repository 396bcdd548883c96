package edge

import "net/http"

// table is every call of the HTTP API. A call that isn't here is not there.
func (e *Edge) table() []binding {
	const (
		get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete

		ok, made, empty = http.StatusOK, http.StatusCreated, http.StatusNoContent

		accounts, users, rooms, messages, sync, discovery = "Accounts", "Users", "Rooms", "Messages", "Sync", "Discovery"
	)
	return []binding{
		on(Route{post, "/v1/accounts", Anyone, RateAccount, made, "sign-up", "Make an account and its first session", accounts}, e.signUp),
		on(Route{post, "/v1/sessions", Anyone, RateAccount, made, "sign-in", "Sign in on a device", accounts}, e.signIn),
		on(Route{post, "/v1/sessions/refresh", Anyone, RateAccount, ok, "refresh", "Change a refresh token for a new session", accounts}, e.refresh),
		on(Route{get, "/v1/sessions", SignedIn, RateRead, ok, "list-sessions", "List one's devices", accounts}, e.devices),
		on(Route{del, "/v1/sessions/{device_id}", SignedIn, RateWrite, empty, "end-session", "Sign a device out; current is the one that asks", accounts}, e.endSession),
		on(Route{get, "/v1/me", SignedIn, RateRead, ok, "get-me", "One's profile and settings", accounts}, e.me),
		on(Route{patch, "/v1/me", SignedIn, RateWrite, ok, "change-me", "Change one's profile and settings", accounts}, e.changeMe),
		on(Route{put, "/v1/me/password", SignedIn, RateAccount, empty, "change-password", "Change the password and end every other session", accounts}, e.changePassword),

		on(Route{get, "/v1/users", SignedIn, RateRead, ok, "find-users", "Find people by username or name", users}, e.users),
		on(Route{get, "/v1/users/{user_id}", SignedIn, RateRead, ok, "get-user", "One person", users}, e.oneUser),
		on(Route{get, "/v1/presence", SignedIn, RateRead, ok, "get-presence", "Whether people are here", users}, e.presence),

		on(Route{get, "/v1/rooms", SignedIn, RateRead, ok, "list-rooms", "One's rooms, newest activity first", rooms}, e.rooms),
		on(Route{post, "/v1/rooms", SignedIn, RateWrite, made, "create-room", "Make a group, or find or make the direct room of two (then 200 if it was there)", rooms}, e.createRoom),
		on(Route{get, "/v1/rooms/{room_id}", SignedIn, RateRead, ok, "get-room", "One room, with one's draft in it", rooms}, e.oneRoom),
		on(Route{patch, "/v1/rooms/{room_id}", SignedIn, RateWrite, ok, "change-room", "Change name, topic, picture or what new members see, or mute the room for oneself", rooms}, e.changeRoom),
		on(Route{del, "/v1/rooms/{room_id}", SignedIn, RateWrite, empty, "delete-room", "Delete the room for everybody", rooms}, e.closeRoom),
		on(Route{get, "/v1/rooms/{room_id}/members", SignedIn, RateRead, ok, "list-members", "Everybody in the room", rooms}, e.roomMembers),
		on(Route{put, "/v1/rooms/{room_id}/members/{user_id}", SignedIn, RateWrite, empty, "add-member", "Bring a person in", rooms}, e.addMember),
		on(Route{patch, "/v1/rooms/{room_id}/members/{user_id}", SignedIn, RateWrite, empty, "change-member", "Give a role", rooms}, e.changeMember),
		on(Route{del, "/v1/rooms/{room_id}/members/{user_id}", SignedIn, RateWrite, empty, "remove-member", "Remove a person, or leave", rooms}, e.removeMember),

		on(Route{get, "/v1/rooms/{room_id}/messages", SignedIn, RateRead, ok, "list-messages", "A page of a room's history by seq; without any, the newest", messages}, e.messages),
		on(Route{post, "/v1/rooms/{room_id}/messages", SignedIn, RateSend, made, "send-message", "Send; on disk when answered, 200 for a retry", messages}, e.postMessage),
		on(Route{patch, "/v1/rooms/{room_id}/messages/{seq}", SignedIn, RateSend, ok, "edit-message", "Edit one's own message", messages}, e.editMessage),
		on(Route{del, "/v1/rooms/{room_id}/messages/{seq}", SignedIn, RateSend, empty, "delete-message", "Delete a message for everyone", messages}, e.deleteMessage),
		on(Route{put, "/v1/rooms/{room_id}/messages/{seq}/reactions/{emoji}", SignedIn, RateSend, empty, "react", "Put an emoji on a message", messages}, e.react),
		on(Route{del, "/v1/rooms/{room_id}/messages/{seq}/reactions/{emoji}", SignedIn, RateSend, empty, "unreact", "Take an emoji back", messages}, e.unreact),
		on(Route{put, "/v1/rooms/{room_id}/read", SignedIn, RateRead, empty, "mark-read", "Move one's read mark forward", messages}, e.read),
		on(Route{put, "/v1/rooms/{room_id}/draft", SignedIn, RateRead, empty, "put-draft", "Keep what one has begun to write, for one's other devices; an empty text takes it away", messages}, e.putDraft),
		on(Route{del, "/v1/rooms/{room_id}/draft", SignedIn, RateRead, empty, "delete-draft", "Take one's draft away", messages}, e.deleteDraft),

		on(Route{get, "/v1/sync", SignedIn, RateRead, ok, "sync", "What happened after a cursor: polling, and with wait long polling", sync}, e.sync),
		raw(Route{get, "/v1/sync/stream", SignedIn, RateRead, ok, "sync-stream", "The same as Server-Sent Events", sync}, e.stream, streamDocument()),
		raw(Route{get, "/v1/ws", Anyone, RateSocket, http.StatusSwitchingProtocols, "websocket", "WebSocket, subprotocol natter.v1; see /v1/asyncapi.json", sync}, e.upgrade, socketDocument()),

		on(Route{get, "/v1/nodes", Anyone, RateRead, ok, "list-nodes", "Chat nodes, best first", discovery}, e.nodes),
		on(Route{get, "/v1/server", Anyone, RateNone, ok, "get-server", "Name, version, limits and features", discovery}, e.serverInfo),
		raw(Route{get, "/healthz", Anyone, RateNone, ok, "health", "The process lives", discovery}, e.healthz, nil),
		raw(Route{get, "/readyz", Anyone, RateNone, ok, "ready", "The node may take traffic", discovery}, e.readyz, nil),
		raw(Route{get, "/v1/openapi.json", Anyone, RateNone, ok, "openapi", "The HTTP API, OpenAPI 3.1", discovery}, e.serveOpenAPI, nil),
		raw(Route{get, "/v1/asyncapi.json", Anyone, RateNone, ok, "asyncapi", "The WebSocket, AsyncAPI 3", discovery}, e.serveAsyncAPI, nil),
	}
}
