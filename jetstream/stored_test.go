package jetstream

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"natter/chat"
)

var update = flag.Bool("update", false, "write the golden files; a stored format is never updated, only added")

func someRecords() map[string]any {
	client := chat.ClientID{0x01, 0x93, 0xc0, 0, 0, 0, 0x70, 1, 0x80, 2, 3, 4, 5, 6, 7, 8}
	message := chat.Message{ID: 1 << 40, Seq: 65, Kind: chat.KindText, Sender: "u1", ClientID: client, Text: "안녕 <&>", ReplyTo: 3,
		CreatedAt: 1795000000123, EditedAt: 1795000000124, Reactions: []chat.Reaction{{Emoji: "👍", Users: []chat.UserID{"u2"}}}}
	system := chat.Message{ID: 2 << 40, Seq: 66, Kind: chat.KindSystem, Sender: "u1", CreatedAt: 1795000000125,
		System: &chat.System{Action: chat.ActionRole, Users: []chat.UserID{"u2"}, Name: "x", Role: chat.RoleAdmin}}
	room := chat.Room{ID: "g1", Kind: chat.RoomGroup, Name: "팀", Topic: "t", Avatar: "a1", CreatedAt: 1795000000000, CreatedBy: "u1",
		Members: []chat.Member{{User: "u1", Role: chat.RoleOwner, JoinedAt: 1795000000000}, {User: "u2", Role: chat.RoleMember, JoinedAt: 1795000000001, Since: 4}}}
	event := chat.Event{Type: chat.EventMember, Room: "g1", User: "u2", Change: chat.ChangeRole, Role: chat.RoleAdmin, Count: 2}
	raw := must(encoding.Marshal(&event))
	// What was added later stands in records of its own: those before stay as they
	// were first written.
	mentioning := message
	mentioning.Mentions = []chat.UserID{"u2", "u3"}
	draft := chat.Draft{Text: "안녕", ReplyTo: 3, At: 1795000000129}
	contact := chat.Event{Type: chat.EventContact, Revision: 70, Pair: &chat.Pair{Low: "u1", High: "u2", Friends: 1795000000131,
		Sides: [2]chat.Side{{Asked: 1795000000129}, {Blocked: 1795000000130, Declined: 1795000000128}}}}
	open := room
	open.History = chat.HistoryAll
	open.Members = append(room.Members[:2:2], chat.Member{User: "u3", Role: chat.RoleMember, JoinedAt: 1795000000002, Joined: 66})
	return map[string]any{
		"batch": &batch{Origin: "n1.abc", Commands: []chat.Command{
			{ID: 3 << 40, At: 1795000000126, Op: chat.OpSend, Room: "g1", By: "u1", Device: "v1", ClientID: client, Text: "hi", ReplyTo: 1},
			{ID: 4 << 40, At: 1795000000127, Op: chat.OpCreate, Room: "g2", By: "u1", Name: "n", Topic: "t", Avatar: "a", Fields: 7, Users: []chat.UserID{"u2"}, Role: chat.RoleMember, Flag: true, Emoji: "👍", Seq: 9},
			{ID: 5 << 40, At: 1795000000128, Op: chat.OpTell, By: "u1", Users: []chat.UserID{"u1"}, Tell: &event},
		}},
		"room_entry":  &roomEntry{Upto: 9, Last: 66, Messages: []chat.Message{message, system}},
		"page":        &page{Upto: 9, After: 5, Messages: []chat.Message{message, system}},
		"room_record": &roomRecord{Upto: 9, Room: room},
		"mark_record": &markRecord{Upto: 9, Mark: chat.Mark{Read: 66, Muted: true, Left: true}},
		"queue_entry": &queueEntry{Upto: 9, Partition: 3, Events: [][]byte{raw, raw}},
		"batch_features": &batch{Origin: "n1.abc", Commands: []chat.Command{
			{ID: 6 << 40, At: 1795000000129, Op: chat.OpSend, Room: "g1", By: "u1", ClientID: client, Text: "@b", Mentions: []chat.UserID{"u2"}},
			{ID: 7 << 40, At: 1795000000130, Op: chat.OpEdit, Room: "g1", By: "u1", Seq: 65, Text: "@c", Mentions: []chat.UserID{"u3"}, Within: 900_000},
			{ID: 8 << 40, At: 1795000000131, Op: chat.OpDraft, Room: "g1", By: "u1", Text: "안녕", ReplyTo: 3},
			{ID: 9 << 40, At: 1795000000132, Op: chat.OpChange, Room: "g1", By: "u1", Fields: chat.FieldHistory, History: chat.HistoryAll},
		}},
		"room_entry_mentions": &roomEntry{Upto: 9, Last: 65, Messages: []chat.Message{mentioning}},
		"room_record_history": &roomRecord{Upto: 9, Room: open},
		"draft_record":        &draftRecord{Upto: 9, Draft: draft},
		"draft_gone":          &draftRecord{Upto: 9, Draft: chat.Draft{At: 1795000000130}},
		"queue_entry_draft": &queueEntry{Upto: 9, Partition: 3, Events: [][]byte{
			must(encoding.Marshal(&chat.Event{Type: chat.EventDraft, Room: "g1", Draft: &draft}))}},
		"batch_contact": &batch{Origin: "n1.abc", Commands: []chat.Command{
			{ID: 10 << 40, At: 1795000000133, Op: chat.OpTell, By: "u1", Users: []chat.UserID{"u1", "u2"}, Tell: &contact},
			{ID: 11 << 40, At: 1795000000134, Op: chat.OpRead, Room: "du1.u2", By: "u1", Seq: 65, Flag: true},
		}},
		"queue_entry_contact": &queueEntry{Upto: 9, Partition: 3, Events: [][]byte{must(encoding.Marshal(&contact))}},
		"checkpoint":          &checkpoint{Log: 9, History: 8, Sync: []uint64{1, 2, 3, 4}, At: 1795000000126},
		"checkpoint_window":   &checkpoint{Log: 9, History: 8, Sync: []uint64{1, 2, 3, 4}, At: 1795000000126, Again: true, Window: 6},
		"window_record": &windowRecord{Before: 5, After: 7, Log: 9, Since: 8, At: 1795000000126,
			Sent: appendSent(nil, &chat.Command{Room: "g1", By: "u1", ClientID: client, At: 1795000000126}, &chat.Result{ID: 3 << 40, Seq: 65})},
	}
}

// The first stored format is frozen: what version 1 wrote is read for ever.
func TestStoredVersion1IsRead(t *testing.T) {
	for name, record := range someRecords() {
		file := filepath.Join("testdata", "v1", name+".hex")
		if _, err := os.Stat(file); *update && err != nil { // what is there is frozen
			data := must(encode(record))
			if err := os.WriteFile(file, []byte(hex.EncodeToString(data)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(string(golden[:len(golden)-1]))
		if err != nil {
			t.Fatal(err)
		}
		read := reflect.New(reflect.TypeOf(record).Elem()).Interface()
		if err := decode(data, read); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(read, record) {
			t.Errorf("%s was read as\n%+v\nnot\n%+v", name, read, record)
		}
		data[0] = 9
		if err := decode(data, read); err == nil {
			t.Errorf("%s of version 9 was read", name)
		}
	}
}

func TestACursorOfAnOlderEpochIsClamped(t *testing.T) {
	e := epochs{List: []epoch{{1, []uint64{0}}, {2, []uint64{990}}, {3, []uint64{985}}}}
	for _, c := range []struct{ from, want chat.Cursor }{
		{chat.Cursor{Epoch: 1, Seq: 1000}, chat.Cursor{Epoch: 3, Seq: 985}},
		{chat.Cursor{Epoch: 1, Seq: 900, Place: 2}, chat.Cursor{Epoch: 3, Seq: 900, Place: 2}},
		{chat.Cursor{Epoch: 2, Seq: 988, Place: 1}, chat.Cursor{Epoch: 3, Seq: 985}},
		{chat.Cursor{Epoch: 3, Seq: 1000, Place: 1}, chat.Cursor{Epoch: 3, Seq: 1000, Place: 1}},
		{chat.Cursor{}, chat.Cursor{Epoch: 3}},
	} {
		if got, err := e.clamp(c.from, 0); err != nil || got != c.want {
			t.Errorf("%+v became %+v, %v; want %+v", c.from, got, err, c.want)
		}
	}
	if _, err := e.clamp(chat.Cursor{Epoch: 4}, 0); err == nil {
		t.Error("a cursor of an epoch to come was honoured")
	}
}
