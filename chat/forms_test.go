package chat_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"natter/chat"
)

// refusedAs fails unless err is a refusal of the kind that names the field.
func refusedAs(t *testing.T, err error, kind chat.Kind, field string) {
	t.Helper()
	var p *chat.Problem
	if !errors.As(err, &p) || p.Kind != kind || p.Field != field {
		t.Errorf("got %v, want a refusal %s of %s", err, kind, field)
	}
}

func TestIDs(t *testing.T) {
	for _, s := range []string{"a", "A-z_09", strings.Repeat("x", 64), "-", "_"} {
		if id, err := chat.ParseID[chat.RoomID]("room_id", s); err != nil || string(id) != s {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", strings.Repeat("x", 65), "a.b", "a b", "*", ">", "a/b", "a\x00", "é", "a\n", "%41", "..", "$JS"} {
		if _, err := chat.ParseID[chat.UserID]("user_id", s); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%q: %v, want invalid", s, err)
		} else {
			refusedAs(t, err, chat.KindInvalid, "user_id")
		}
	}
}

// TestMadeIDs: ids made of different Snowflakes differ, across the kinds too,
// and may stand wherever an id may.
func TestMadeIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []chat.MessageID{1, 2, 35, 36, 1 << 22, 1 << 40, 1<<63 - 1} {
		for _, id := range []string{string(chat.NewUserID(n)), string(chat.NewRoomID(n)), string(chat.NewDeviceID(n))} {
			if !chat.ValidID(id) || seen[id] {
				t.Errorf("%q, of %d, is not a new valid id", id, n)
			}
			seen[id] = true
		}
	}
}

// TestDirectRoomID: the same for both, another for any other two, and not to be
// shifted from one name into the other.
func TestDirectRoomID(t *testing.T) {
	if chat.DirectRoomID("ann", "bob") != chat.DirectRoomID("bob", "ann") {
		t.Error("it depends on who asks")
	}
	seen := map[chat.RoomID]string{}
	for _, pair := range [][2]chat.UserID{{"ann", "bob"}, {"annb", "ob"}, {"an", "nbob"}, {"ann", "bo"}, {"ann", "ann"}, {"a", "b"}} {
		id := chat.DirectRoomID(pair[0], pair[1])
		if other, ok := seen[id]; ok || !chat.ValidID(string(id)) {
			t.Errorf("%v has the room %q of %q", pair, id, other)
		}
		seen[id] = fmt.Sprint(pair)
	}
}

func TestMessageID(t *testing.T) {
	for _, s := range []string{"1", "9223372036854775807"} {
		if id, err := chat.ParseMessageID("since_message", s); err != nil || id.String() != s {
			t.Errorf("%q became %v, %v", s, id, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "+1", "01", "1.0", "1e3", " 1", "1 ", "0x1", "1_000", "9223372036854775808", "१", strings.Repeat("9", 100)} {
		_, err := chat.ParseMessageID("since_message", s)
		refusedAs(t, err, chat.KindInvalid, "since_message")
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)
	id := chat.MessageID(chat.MillisOf(at)-chat.SnowflakeEpoch)<<22 | 1023<<12 | 4095
	if id.Time() != chat.MillisOf(at) {
		t.Errorf("the time of %v is %v", id, id.Time())
	}
	if later := chat.MessageID(chat.MillisOf(at)+1-chat.SnowflakeEpoch) << 22; later <= id {
		t.Error("a millisecond later is not a greater id")
	}
}

func TestMillis(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC):                                 "2026-11-22T10:00:00.000Z",
		time.Date(2026, 11, 22, 10, 0, 0, 7_999_999, time.UTC):                         "2026-11-22T10:00:00.007Z",
		time.Date(2026, 11, 22, 19, 0, 0, 0, time.FixedZone("Asia/Seoul", 9*60*60)):    "2026-11-22T10:00:00.000Z",
		time.Date(2027, 1, 1, 8, 59, 59, 999e6, time.FixedZone("Asia/Seoul", 9*60*60)): "2026-12-31T23:59:59.999Z",
	} {
		if got := chat.MillisOf(at).String(); got != want {
			t.Errorf("%v is %s, want %s", at, got, want)
		}
	}
}

func TestClientID(t *testing.T) {
	const rfc = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f" // RFC 9562, appendix A.6
	id, err := chat.ParseClientID("client_id", strings.ToUpper(rfc))
	if err != nil || id.String() != rfc {
		t.Fatalf("%v, %v", id, err)
	}
	if got := id.Time().String(); got != "2022-02-22T19:22:22.000Z" {
		t.Errorf("its time is %s", got)
	}
	for name, s := range map[string]string{
		"empty": "", "version 4": "017f22e2-79b0-4cc3-98c4-dc0c0c07398f", "version 1": "017f22e2-79b0-1cc3-98c4-dc0c0c07398f",
		"another variant": "017f22e2-79b0-7cc3-18c4-dc0c0c07398f", "the nil UUID": "00000000-0000-0000-0000-000000000000",
		"no dashes": strings.ReplaceAll(rfc, "-", ""), "a dash too many": "017f22e2-79b0-7cc3-98c4-dc0c-c07398f",
		"dashes elsewhere": "017f22e27-9b0-7cc3-98c4-dc0c0c07398f", "braces": "{" + rfc + "}", "short": rfc[:35], "long": rfc + "0",
		"no hex": "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "urn": "urn:uuid:" + rfc, "not ASCII": "017f22e2-79b0-7cc3-98c4-dc0c0c0739é",
	} {
		if _, err := chat.ParseClientID("client_id", s); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if !(chat.ClientID{}).IsZero() || id.IsZero() {
		t.Error("IsZero")
	}
}

func TestNewClientID(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	for _, fill := range []byte{0, 0x55, 0xff} {
		var random [10]byte
		for i := range random {
			random[i] = fill
		}
		id := chat.NewClientID(at, random)
		back, err := chat.ParseClientID("client_id", id.String())
		if err != nil || back != id || id.Time() != chat.MillisOf(at) {
			t.Errorf("%v became %v, %v, of %v", id, back, err, id.Time())
		}
	}
}

// cursors are some places, the ends of the range among them.
var cursors = []chat.Cursor{{}, {Seq: 1}, {Epoch: 1, Seq: 990, Place: 3}, {Epoch: 256, Seq: 1 << 40, Place: 1 << 20}, {Epoch: ^uint64(0), Seq: ^uint64(0), Place: ^uint64(0)}}

func TestCursor(t *testing.T) {
	for _, c := range cursors {
		for _, u := range []chat.UserID{"u", "u1abc", chat.UserID(strings.Repeat("x", chat.MaxIDBytes))} {
			s := c.String(u)
			if back, err := chat.ParseCursor(s, u); err != nil || back != c {
				t.Errorf("%+v came back as %+v, %v", c, back, err)
			}
			if !chat.ValidID(s) {
				t.Errorf("%q is more than 64 of A-Z a-z 0-9 _ -", s)
			}
		}
	}
}

// TestCursorOfAnotherUser: a cursor is one user's; so are one with a character
// changed, one cut off and one grown.
func TestCursorOfAnotherUser(t *testing.T) {
	for _, c := range cursors {
		s := c.String("ann")
		for _, u := range []chat.UserID{"bob", "an", "anna", "Ann", ""} {
			_, err := chat.ParseCursor(s, u)
			refusedAs(t, err, chat.KindInvalid, "cursor")
		}
		for i := range s {
			changed := []byte(s)
			changed[i] = "AB"[(s[i]^'A'^1)&1]
			if string(changed) == s {
				changed[i] = 'C'
			}
			if back, err := chat.ParseCursor(string(changed), "ann"); err == nil {
				t.Errorf("%q, changed at %d, is %+v", s, i, back)
			}
			if back, err := chat.ParseCursor(s[:i], "ann"); err == nil {
				t.Errorf("the first %d characters are %+v", i, back)
			}
		}
		if back, err := chat.ParseCursor(s+"A", "ann"); err == nil {
			t.Errorf("with an A behind, it is %+v", back)
		}
	}
	for _, s := range []string{"", "0", "A", "AAAA", "nonsense!", "../..", strings.Repeat("A", 64), strings.Repeat("A", 65), "AQ==", " ", "\x00", "커서"} {
		_, err := chat.ParseCursor(s, "ann")
		refusedAs(t, err, chat.KindInvalid, "cursor")
	}
}

// TestCursorBefore: a place within an entry lies before the entry's end.
func TestCursorBefore(t *testing.T) {
	inOrder := []chat.Cursor{{Seq: 1}, {Seq: 2, Place: 1}, {Seq: 2, Place: 2}, {Seq: 2}, {Seq: 3, Place: 9}, {Seq: 3}}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if a.Before(b) != (i < j) {
				t.Errorf("%+v before %+v: %v", a, b, a.Before(b))
			}
		}
	}
}

// TestEntryPlace: the cursor after each event of an entry; after the last one
// it is the entry's own.
func TestEntryPlace(t *testing.T) {
	end := chat.Cursor{Epoch: 1, Seq: 7}
	entry := chat.Entry{Cursor: end, Events: make([]*chat.Event, 3)}
	for i, want := range []chat.Cursor{{Epoch: 1, Seq: 7, Place: 1}, {Epoch: 1, Seq: 7, Place: 2}, end} {
		if got := entry.Place(i); got != want {
			t.Errorf("after event %d: %+v, want %+v", i, got, want)
		}
	}
}

// TestProblem: what isn't a refusal is an internal one that says nothing.
func TestProblem(t *testing.T) {
	fault := errors.New("disk: /secret/path is full")
	if p := chat.ProblemOf(fault); p.Kind != chat.KindInternal || strings.Contains(p.Error(), "secret") {
		t.Errorf("%v", p)
	}
	wrapped := fmt.Errorf("read: %w", chat.NotFound("room"))
	if chat.KindOf(wrapped) != chat.KindNotFound || chat.ProblemOf(wrapped).Detail != "there is no such room" {
		t.Errorf("%v", chat.ProblemOf(wrapped))
	}
	if chat.KindOf(fault) != chat.KindInternal {
		t.Error(chat.KindOf(fault))
	}
	if _, err := chat.ParseRole("role", "king"); chat.KindOf(err) != chat.KindInvalid {
		t.Error(err)
	}
}

// TestReactionsEnd: a message holds MaxReactions different emoji, by however
// many people.
func TestReactionsEnd(t *testing.T) {
	w := newWorld()
	if _, err := w.do(`ann create g "G" bob`); err != nil {
		t.Fatal(err)
	}
	react := func(u chat.UserID, emoji rune) *chat.Problem {
		c := w.command(u, chat.OpReact, "g")
		c.Seq, c.Emoji = 1, string(emoji)
		out, err := w.apply(c)
		if err != nil {
			t.Fatal(err)
		}
		return out.Refusal
	}
	for i := range rune(chat.MaxReactions) {
		if p := react("ann", '😀'+i); p != nil {
			t.Fatal(i, p)
		}
	}
	if p := react("ann", '🙈'); p == nil || p.Limit != chat.MaxReactions {
		t.Errorf("one emoji more: %v", p)
	}
	if p := react("bob", '😀'); p != nil {
		t.Errorf("one that is there: %v", p)
	}
}

// TestTimeOfARoomNeverGoesBack: commands of two nodes whose clocks differ.
func TestTimeOfARoomNeverGoesBack(t *testing.T) {
	w := newWorld()
	for _, line := range []string{`ann create g "G" bob`, `ann send g "one"`, `wait -30s`, `bob send g "two"`, `wait 10s`, `ann send g "three"`, `wait 1m`, `ann send g "four"`} {
		if _, err := w.do(line); err != nil { // apply holds the tail to its order
			t.Fatal(err)
		}
	}
	tail := w.room("g").Tail
	if tail[2].CreatedAt != tail[1].CreatedAt || tail[4].CreatedAt <= tail[3].CreatedAt {
		t.Errorf("%v", tail)
	}
}

// FuzzParse: nothing crashes a parser of the ground floor, and what one takes
// has one form.
func FuzzParse(f *testing.F) {
	f.Add("a", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
	f.Add("9223372036854775807", "ann")
	f.Add((chat.Cursor{Epoch: 1, Seq: 990, Place: 3}).String("ann"), "ann")
	f.Add((chat.Cursor{Epoch: ^uint64(0), Seq: ^uint64(0), Place: ^uint64(0)}).String("b"), "b")
	f.Fuzz(func(t *testing.T, s, u string) {
		if id, err := chat.ParseMessageID("x", s); err == nil && id.String() != s {
			t.Errorf("message id %q is %s", s, id)
		}
		if id, err := chat.ParseClientID("x", s); err == nil && id.String() != strings.ToLower(s) {
			t.Errorf("client id %q is %s", s, id)
		}
		if id, err := chat.ParseID[chat.RoomID]("x", s); err == nil && (string(id) != s || len(s) > 64) {
			t.Errorf("id %q is %s", s, id)
		}
		if c, err := chat.ParseCursor(s, chat.UserID(u)); err == nil {
			if back, err := chat.ParseCursor(c.String(chat.UserID(u)), chat.UserID(u)); err != nil || back != c {
				t.Errorf("cursor %q is %+v and comes back as %+v, %v", s, c, back, err)
			}
		} else if chat.KindOf(err) != chat.KindInvalid {
			t.Error(err)
		}
	})
}

// FuzzCursor: any place of any user goes out and comes back; nobody else's.
func FuzzCursor(f *testing.F) {
	f.Add(uint64(1), uint64(990), uint64(3), "ann", "bob")
	f.Fuzz(func(t *testing.T, epoch, seq, place uint64, mine, other string) {
		c := chat.Cursor{Epoch: epoch, Seq: seq, Place: place}
		s := c.String(chat.UserID(mine))
		if back, err := chat.ParseCursor(s, chat.UserID(mine)); err != nil || back != c {
			t.Errorf("%+v came back as %+v, %v", c, back, err)
		}
		if _, err := chat.ParseCursor(s, chat.UserID(other)); (err == nil) != (mine == other) {
			t.Errorf("the cursor of %q as %q's: %v", mine, other, err)
		}
	})
}

// FuzzText: whatever a check lets through keeps its promise.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "hi", " 김민지 ", "a\u202eb", "\u200d", "👩🏽‍❤️‍💋‍👨🏿", "a\xff", strings.Repeat("한", 9), "\u00ad"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if chat.CheckText("text", s) == nil && (!utf8.ValidString(s) || strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > chat.MaxTextRunes) {
			t.Errorf("the text %q passed", s)
		}
		name, err := chat.CheckName("name", s, 8)
		if err == nil {
			if again, err := chat.CheckName("name", name, 8); err != nil || again != name {
				t.Errorf("the name %q, checked again, is %q, %v", name, again, err)
			}
			if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 8 || strings.ContainsAny(name, "\n\r\t\x00\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u2028") {
				t.Errorf("the name %q passed", name)
			}
		} else if _, err := chat.CheckLine("topic", s, 8); err == nil && strings.TrimSpace(s) != "" {
			t.Errorf("%q is a topic and no name", s)
		}
		if chat.ValidEmoji(s) && (len(s) > chat.MaxEmojiBytes || strings.ContainsAny(s, " \n\u202e\u2066") || chat.CheckText("text", s) != nil) {
			t.Errorf("the emoji %q passed", s)
		}
	})
}

// BenchmarkApply is what the rules cost a message in a room of 2 and of 100.
func BenchmarkApply(b *testing.B) {
	for _, others := range []int{1, 99} {
		b.Run(fmt.Sprint(others+1), func(b *testing.B) {
			r, w := chat.NewRoomState(nil, 0), chat.NewWindow()
			var users []chat.UserID
			for i := range others {
				users = append(users, chat.UserID(fmt.Sprint("p", i)))
			}
			r.Apply(&chat.Command{ID: 1, At: storyBegins, Op: chat.OpCreate, Room: "g", By: "ann", Name: "G", Users: users}, w)
			random := rand.New(rand.NewPCG(1, 2))
			c := chat.Command{Op: chat.OpSend, Room: "g", By: "ann", Text: strings.Repeat("x", 300)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.ID, c.At = chat.MessageID(i+2), storyBegins+chat.Millis(i)
				c.ClientID[0], c.ClientID[1], c.ClientID[2] = byte(random.Uint32()), byte(i>>8), byte(i)
				r.Apply(&c, w)
				if len(r.Tail) >= chat.PageMessages {
					r.TakePages()
				}
			}
		})
	}
}
