package wire_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

var update = flag.Bool("update", false, "write the fixtures anew")

var (
	noon   = wire.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 7e6, time.UTC))
	later  = wire.TimeOf(time.Date(2026, 11, 22, 12, 5, 0, 0, time.UTC))
	uuid   = chat.NewClientID(noon.Time(), [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	mina   = wire.User{ID: "u1", Username: "mina", Name: "미나", About: "\"<script>\" & \u2028", AvatarID: "a1"}
	joon   = wire.User{ID: "u2", Username: "joon", Name: "Joon"}
	hidden = wire.Message{
		ID: 184467440737095, RoomID: "d1", Seq: 3, Kind: chat.KindText, SenderID: "u1", ClientID: wire.ClientID(uuid),
		DeletedAt: later, CreatedAt: noon,
	}
	text = wire.Message{
		ID: 184467440737096, RoomID: "d1", Seq: 4, Kind: chat.KindText, SenderID: "u1", ClientID: wire.ClientID(uuid),
		Text: "안녕 👋🏽\n\"hi\"", ReplyTo: 3, EditedAt: later, CreatedAt: noon,
		Reactions: []wire.Reaction{{Emoji: "👍", UserIDs: []chat.UserID{"u2", "u1"}}},
	}
	naming = wire.Message{
		ID: 184467440737098, RoomID: "g1", Seq: 5, Kind: chat.KindText, SenderID: "u1", ClientID: wire.ClientID(uuid),
		Text: "@joon @bora?", ReplyTo: 4, Mentions: []chat.UserID{"u2", "u3"}, CreatedAt: noon,
	}
	history = wire.Message{
		ID: 184467440737099, RoomID: "g1", Seq: 6, Kind: chat.KindSystem, SenderID: "u1",
		System: &wire.System{Action: chat.ActionHistory, UserIDs: []chat.UserID{}, Name: "all"}, CreatedAt: noon,
	}
	draft  = wire.Draft{Text: "안녕, @joon", ReplyTo: 4, UpdatedAt: later}
	system = wire.Message{
		ID: 184467440737097, RoomID: "g1", Seq: 1, Kind: chat.KindSystem, SenderID: "u1",
		System:    &wire.System{Action: chat.ActionCreated, UserIDs: []chat.UserID{"u2"}, Name: "Lunch"},
		CreatedAt: noon,
	}
	direct = wire.Room{
		ID: "d1", Kind: chat.RoomDirect, MemberCount: 2, CreatedAt: noon, Role: chat.RoleMember, History: chat.HistoryJoined,
		Members: []wire.Member{{User: mina, Role: chat.RoleMember, JoinedAt: noon, ReadSeq: 4}, {User: joon, Role: chat.RoleMember, JoinedAt: noon}},
	}
	group = wire.Room{ID: "g1", Kind: chat.RoomGroup, Name: "Lunch", Topic: "where?", AvatarID: "a2", MemberCount: 30, CreatedAt: noon, Role: chat.RoleOwner, History: chat.HistoryAll}
	node  = wire.Node{ID: "n1", URL: "https://n1.example", Region: "eu", Load: 0.25}
)

// frames are golden: a change here changes the protocol.
var frames = map[string]wire.Frame{
	"client.hello":            &wire.Hello{Ref: "1", Token: "t.o.k", Cursor: "AQ", Client: "test/1"},
	"client.hello.since":      &wire.Hello{Ref: "1", SinceMessage: "184467440737096"},
	"client.send":             &wire.Send{Ref: "2", RoomID: "d1", ClientID: uuid.String(), Text: "안녕 👋🏽\n\"hi\"", ReplyTo: 3},
	"client.read":             &wire.Read{Ref: "3", RoomID: "d1", Seq: 4},
	"client.edit":             &wire.Edit{Ref: "4", RoomID: "d1", Seq: 4, Text: "hi"},
	"client.delete":           &wire.Delete{Ref: "5", RoomID: "d1", Seq: 4},
	"client.react":            &wire.React{Ref: "6", RoomID: "d1", Seq: 4, Emoji: "👍"},
	"client.unreact":          &wire.Unreact{Ref: "7", RoomID: "d1", Seq: 4, Emoji: "👍"},
	"client.ack":              &wire.Ack{Cursor: "AQ"},
	"client.typing":           &wire.Typing{RoomID: "d1"},
	"client.status":           &wire.SetStatus{Ref: "8", Status: wire.Away},
	"client.watch":            &wire.Watch{Ref: "9", UserIDs: []string{"u1", "u2"}},
	"client.ping":             &wire.Ping{Ref: "10"},
	"client.draft":            &wire.SetDraft{Ref: "11", RoomID: "d1", Text: "안녕, @joon", ReplyTo: 4},
	"server.welcome":          &wire.Welcome{Ref: "1", User: mina, DeviceID: "v1", Node: "n1", Cursor: "AQ", HeartbeatMS: 25000, ServerTime: noon},
	"server.sent":             &wire.Sent{Ref: "2", MessageID: 184467440737096, Seq: 4, CreatedAt: noon},
	"server.ok":               &wire.OK{Ref: "3"},
	"server.event.message":    &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventMessage, Message: &text}},
	"server.event.system":     &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventMessage, Message: &system}},
	"server.event.mentions":   &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventMessage, Message: &naming}},
	"server.event.history":    &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventMessage, Message: &history}},
	"server.event.draft":      &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventDraft, RoomID: "d1", Draft: &draft}},
	"server.event.draft_gone": &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventDraft, RoomID: "d1"}},
	"server.event.deleted":    &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventDeleted, Message: &hidden}},
	"server.event.read":       &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventRead, RoomID: "d1", UserID: "u2", Seq: 4}},
	"server.event.room":       &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventRoom, Room: &group}},
	"server.event.member": &wire.EventFrame{Cursor: "AQ", Event: wire.Event{
		Type: chat.EventMember, RoomID: "g1", UserID: "u2", Change: chat.ChangeRole, Role: chat.RoleAdmin, MemberCount: 30,
	}},
	"server.event.room_left": &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventRoomLeft, RoomID: "g1"}},
	"server.event.profile":   &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventProfile, User: &mina}},
	"server.event.settings": &wire.EventFrame{Cursor: "AQ", Event: wire.Event{
		Type: chat.EventSettings, Settings: map[string]string{"b": "2", "a": "1"}, Locale: "ko", TimeZone: "Asia/Seoul", PresenceVisibility: "friends",
	}},
	"server.event.session_revoked": &wire.EventFrame{Cursor: "AQ", Event: wire.Event{Type: chat.EventSessionRevoked, DeviceID: "v1"}},
	"server.events": &wire.EventsFrame{Events: []wire.Placed{
		{Cursor: "AQ", Event: wire.Event{Type: chat.EventMessage, Message: &text}},
		{Cursor: "Ag", Event: wire.Event{Type: chat.EventRoomLeft, RoomID: "g1"}},
	}},
	"server.synced":    &wire.Synced{Cursor: "AQ"},
	"server.reset":     &wire.Reset{Cursor: "AQ"},
	"server.presence":  &wire.PresenceFrame{UserID: "u2", Status: wire.Offline, LastSeen: noon},
	"server.typing":    &wire.TypingFrame{RoomID: "d1", UserID: "u2"},
	"server.delivered": &wire.Delivered{RoomID: "d1", UserID: "u2", Seq: 4},
	"server.pong":      &wire.Pong{Ref: "10", ServerTime: noon},
	"server.error": &wire.Error{Ref: "2", Problem: *wire.NewProblem(
		chat.TooMany("slow down", 20, 1500*time.Millisecond), noon.Time(), "")},
	"server.move": &wire.Move{Nodes: []wire.Node{node}, WithinMS: 10000},
}

// objects are golden too.
var objects = map[string]any{
	"object.me": &wire.Me{
		User: mina, Locale: "ko", TimeZone: "Asia/Seoul", PresenceVisibility: "everyone", Settings: map[string]string{}, CreatedAt: noon,
	},
	"object.session": &wire.Session{
		AccessToken: "a.b.c", AccessExpiresAt: later, RefreshToken: "r", DeviceID: "v1", User: joon, Nodes: []wire.Node{node},
	},
	"object.device":   &wire.Device{DeviceID: "v1", DeviceName: "phone", CreatedAt: noon, LastSeenAt: later, Current: true},
	"object.rooms":    &wire.Rooms{Rooms: []wire.RoomEntry{{Room: direct, LastMessage: &text, LastSeq: 4, ReadSeq: 3, Unread: 1}}, Next: "p2"},
	"object.room":     &wire.OneRoom{Room: direct, Draft: &draft},
	"object.drafts":   &wire.Rooms{Rooms: []wire.RoomEntry{{Room: group, LastSeq: 6, ReadSeq: 6, Draft: &draft}}},
	"object.messages": &wire.Messages{Messages: []wire.Message{hidden, text}, MoreBefore: true},
	"object.sync":     &wire.SyncAnswer{Events: []wire.Event{{Type: chat.EventRoomLeft, RoomID: "g1"}}, Cursor: "AQ", More: true},
	"object.presence": &wire.Presences{Presence: []wire.Presence{{UserID: "u1", Status: wire.Online}, {UserID: "u2", Status: wire.Offline, LastSeen: noon}}},
	"object.server":   &wire.Server{Name: "natter", Version: "0.1.0", Limits: map[string]int64{"text_chars": 8000, "page": 100}, Auth: []string{"password"}, Features: []string{"direct", "group"}},
	"object.problem": wire.NewProblem(
		&chat.Problem{Kind: chat.KindClockAhead, Field: "client_id", Detail: "is from the future"}, noon.Time(), "req1"),
}

func TestFramesAreGolden(t *testing.T) {
	for name, f := range frames {
		t.Run(name, func(t *testing.T) {
			want := golden(t, name, wire.Encode(f))
			var got wire.Frame
			var err error
			if strings.HasPrefix(name, "client.") {
				got, _, err = wire.DecodeClient(want)
			} else {
				got, err = wire.DecodeServer(want)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, f) {
				t.Fatalf("read back\n%+v\nwant\n%+v", got, f)
			}
		})
	}
}

func TestObjectsAreGolden(t *testing.T) {
	for name, object := range objects {
		t.Run(name, func(t *testing.T) {
			want := golden(t, name, wire.Marshal(object))
			got := reflect.New(reflect.TypeOf(object).Elem())
			if err := wire.Unmarshal(want, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Interface(), object) {
				t.Fatalf("read back\n%+v\nwant\n%+v", got.Interface(), object)
			}
		})
	}
}

// TestAppendersWriteWhatEncodeWrites holds the hand-written forms to the others.
func TestAppendersWriteWhatEncodeWrites(t *testing.T) {
	one := wire.Event{Type: chat.EventMessage, Message: &text}
	two := wire.Event{Type: chat.EventRoomLeft, RoomID: "g1"}
	check := func(got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	check(wire.AppendEvent(nil, "AQ", wire.Marshal(one)), wire.Encode(&wire.EventFrame{Cursor: "AQ", Event: one}))
	var b wire.Batch
	check(b.AppendTo(nil), nil)
	b.Add([]byte("AQ"), wire.Marshal(one))
	check(b.AppendTo(nil), wire.Encode(&wire.EventFrame{Cursor: "AQ", Event: one}))
	b.Add([]byte("AQ"), wire.Marshal(one))
	b.Add([]byte("Ag"), wire.Marshal(two))
	if b.Len() != 2 {
		t.Errorf("two events make a batch of %d", b.Len())
	}
	size := b.Size()
	got := b.AppendTo(nil)
	check(got, wire.Encode(&wire.EventsFrame{Events: []wire.Placed{{Cursor: "AQ", Event: one}, {Cursor: "Ag", Event: two}}}))
	if size != len(got) {
		t.Errorf("Size is %d, the frame has %d", size, len(got))
	}
	for _, m := range []wire.Message{hidden, text, naming, history, system, {}, {Mentions: []chat.UserID{"\"<\xff"}}, {Text: "a\xffb", Kind: "\"", Reactions: []wire.Reaction{{}}, System: &wire.System{}}} {
		check(wire.AppendMessageEvent(nil, chat.EventEdited, &m), wire.Marshal(&wire.Event{Type: chat.EventEdited, Message: &m}))
	}
	for _, ref := range []string{"", "7", "\"\\\n안"} {
		check(wire.AppendSent(nil, ref, 9, 3, chat.Millis(noon)), wire.Encode(&wire.Sent{Ref: ref, MessageID: 9, Seq: 3, CreatedAt: noon}))
	}
}

func TestHotFramesDoNotAllocate(t *testing.T) {
	event := wire.Marshal(wire.Event{Type: chat.EventMessage, Message: &text})
	buf := make([]byte, 0, 4096)
	cursor := []byte("AQ")
	var b wire.Batch
	b.Add(cursor, event)
	b.Add(cursor, event)
	buf = b.AppendTo(buf[:0])
	got := testing.AllocsPerRun(100, func() {
		buf = wire.AppendEvent(buf[:0], "AQ", event)
		buf = wire.AppendSent(buf[:0], "12", 9, 3, chat.Millis(noon))
		b.Add(cursor, event)
		b.Add(cursor, event)
		buf = b.AppendTo(buf[:0])
	})
	if got != 0 {
		t.Errorf("event, sent and events take %v allocations", got)
	}
}

func TestAClientIgnoresWhatItDoesNotKnow(t *testing.T) {
	f, err := wire.DecodeServer([]byte(`{"op":"ok","ref":"1","new":{"a":[1]}}`))
	if ok, is := f.(*wire.OK); err != nil || !is || ok.Ref != "1" {
		t.Fatalf("got %+v, %v", f, err)
	}
	if f, err := wire.DecodeServer([]byte(`{"op":"sparkle","ref":"1"}`)); f != nil || err != nil {
		t.Fatalf("an unknown frame gave %+v, %v", f, err)
	}
}

func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.TrimSuffix(want, []byte("\n"))
	if !bytes.Equal(got, want) {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
	return want
}
