package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"natter/chat"
)

// Seams are the seams that belong together: what the log is given comes out of
// the history, the drafts and the queues.
type Seams struct {
	Log     chat.Log
	History chat.History
	Queues  chat.Queues
	News    chat.News
	Drafts  chat.Drafts
}

// people holds seams and makes commands for people.
type people struct {
	t *testing.T
	Seams
	next chat.MessageID
}

// SeamsSuite holds the seams to their contract. open makes empty ones and cleans
// up after itself through t.Cleanup.
func SeamsSuite(t *testing.T, open func(t *testing.T) Seams) {
	for name, story := range map[string]func(*people){
		"what was sent is in history and in both queues": seamsSend,
		"any page of a long room":                        seamsPages,
		"one client_id, one message":                     seamsOnce,
		"cursors move only forward through a queue":      seamsCursor,
		"a hint follows every entry":                     seamsFollow,
		"marks list a person's rooms":                    seamsMarks,
		"drafts are one's own and one a room":            seamsDrafts,
		"a new member sees what the room says":           seamsNewMember,
		"strangers learn nothing":                        seamsStranger,
		"since a message nothing is missing":             seamsSince,
		"news reach who listens":                         seamsNews,
	} {
		t.Run(name, func(t *testing.T) {
			story(&people{t: t, Seams: open(t), next: chat.MessageID(time.Now().UnixMilli()-int64(chat.SnowflakeEpoch)) << 22})
		})
	}
}

func (p *people) try(c chat.Command) (chat.Result, error) {
	p.next++
	c.ID, c.At = p.next, chat.MillisOf(time.Now())
	if c.Op == chat.OpSend && c.ClientID.IsZero() {
		c.ClientID = chat.NewClientID(time.Now(), [10]byte{9: byte(p.next), 8: byte(p.next >> 8)})
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	return p.Log.Append(ctx, &c)
}

func (p *people) do(c chat.Command) chat.Result {
	p.t.Helper()
	res, err := p.try(c)
	if err != nil {
		p.t.Fatalf("command %d: %v", c.Op, err)
	}
	return res
}

func (p *people) direct(a, b chat.UserID) chat.RoomID {
	p.t.Helper()
	room := chat.DirectRoomID(a, b)
	p.do(chat.Command{Op: chat.OpDirect, Room: room, By: a, Users: []chat.UserID{b}})
	return room
}

func (p *people) say(room chat.RoomID, by chat.UserID, n int) (last chat.Result) {
	p.t.Helper()
	for i := range n {
		last = p.do(chat.Command{Op: chat.OpSend, Room: room, By: by, Text: fmt.Sprint(i + 1)})
	}
	return last
}

func (p *people) head(u chat.UserID) chat.Cursor {
	p.t.Helper()
	c, err := p.Queues.Head(p.t.Context(), u)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// rest reads a queue to its end, limit entries at a time.
func (p *people) rest(u chat.UserID, c chat.Cursor, limit int) (texts []string, end chat.Cursor) {
	p.t.Helper()
	for {
		batch, err := p.Queues.Read(p.t.Context(), u, c, limit)
		if err != nil {
			p.t.Fatal(err)
		}
		if batch.Reset {
			p.t.Fatalf("%+v of %s was reset", c, u)
		}
		if c = batch.At; len(batch.Entries) > limit {
			p.t.Fatalf("asked for %d entries, got %d", limit, len(batch.Entries))
		}
		for i := range batch.Entries {
			e := &batch.Entries[i]
			for j, event := range e.Events {
				if !c.Before(e.Place(j)) {
					if i > 0 || c.Seq != e.Cursor.Seq {
						p.t.Fatalf("place %+v is not after %+v", e.Place(j), c)
					}
					continue // the entry in whose middle c lies
				}
				c = e.Place(j)
				if event.Type == chat.EventMessage {
					texts = append(texts, event.Message.Text)
				}
			}
		}
		if !batch.More {
			return texts, c
		}
	}
}

func seamsSend(p *people) {
	room := p.direct("minsu", "jiwoo")
	minsu, jiwoo := p.head("minsu"), p.head("jiwoo")
	res := p.say(room, "minsu", 3)
	if res.Seq != 3 || res.At == 0 || res.ID == 0 || res.Retry {
		p.t.Errorf("the third message came to %+v", res)
	}
	full, newest, err := p.History.Room(p.t.Context(), room)
	if err != nil || newest == nil || newest.Seq != 3 || newest.Room != room || newest.ID != res.ID || len(full.Members) != 2 {
		p.t.Fatalf("the room is %+v, its newest %+v, %v", full, newest, err)
	}
	if full.Member("minsu").Read != 3 || full.Member("jiwoo").Read != 0 {
		p.t.Errorf("the marks are %+v", full.Members)
	}
	for u, c := range map[chat.UserID]chat.Cursor{"minsu": minsu, "jiwoo": jiwoo} {
		if texts, _ := p.rest(u, c, 100); fmt.Sprint(texts) != "[1 2 3]" {
			p.t.Errorf("%s has %v", u, texts)
		}
	}
}

func seamsPages(p *people) {
	room := p.direct("minsu", "jiwoo")
	p.say(room, "jiwoo", 200)
	for _, span := range [][2]chat.Seq{{1, 1}, {1, 100}, {63, 66}, {64, 64}, {65, 128}, {190, 200}, {150, 400}, {201, 210}, {0, 5}} {
		messages, err := p.History.Page(p.t.Context(), room, span[0], span[1])
		if err != nil {
			p.t.Fatal(err)
		}
		from, to := max(span[0], 1), min(span[1], 200)
		if want := max(int(to)-int(from)+1, 0); len(messages) != want {
			p.t.Errorf("%v holds %d messages, not %d", span, len(messages), want)
		}
		for i, m := range messages {
			if m.Seq != from+chat.Seq(i) || m.Text != fmt.Sprint(m.Seq) || m.Room != room {
				p.t.Errorf("%v: message %d is %+v", span, i, m)
			}
		}
	}
}

func seamsOnce(p *people) {
	room := p.direct("minsu", "jiwoo")
	id := chat.NewClientID(time.Now(), [10]byte{7})
	first := p.do(chat.Command{Op: chat.OpSend, Room: room, By: "minsu", Text: "once", ClientID: id})
	again := p.do(chat.Command{Op: chat.OpSend, Room: room, By: "minsu", Text: "twice", ClientID: id})
	other := p.do(chat.Command{Op: chat.OpSend, Room: room, By: "jiwoo", Text: "mine", ClientID: id})
	if again.ID != first.ID || again.Seq != first.Seq || !again.Retry || other.Retry || other.Seq != 2 {
		p.t.Errorf("first %+v, again %+v, of another %+v", first, again, other)
	}
	found, err := p.History.Find(p.t.Context(), room, "minsu", id, id.Time()-1000)
	if err != nil || found == nil || found.ID != first.ID || found.Text != "once" {
		p.t.Errorf("found %+v, %v", found, err)
	}
	if found, err = p.History.Find(p.t.Context(), room, "minsu", chat.NewClientID(time.Now(), [10]byte{8}), id.Time()); err != nil || found != nil {
		p.t.Errorf("found %+v, %v", found, err)
	}
}

func seamsCursor(p *people) {
	room := p.direct("minsu", "jiwoo")
	start := p.head("jiwoo")
	p.say(room, "minsu", 10)
	texts, end := p.rest("jiwoo", start, 3)
	if len(texts) != 10 {
		p.t.Fatalf("jiwoo has %v", texts)
	}
	if texts, same := p.rest("jiwoo", end, 3); len(texts) != 0 || same != end {
		p.t.Errorf("after the end: %v, %+v instead of %+v", texts, same, end)
	}
	ahead := end
	ahead.Seq += 1000
	if batch, err := p.Queues.Read(p.t.Context(), "jiwoo", ahead, 10); err != nil || !batch.Reset {
		p.t.Errorf("a place beyond the end is answered %+v, %v", batch, err)
	}
	ahead = end
	ahead.Epoch += 7
	if batch, err := p.Queues.Read(p.t.Context(), "jiwoo", ahead, 10); err != nil || !batch.Reset || batch.At.Seq < end.Seq {
		p.t.Errorf("an epoch to come is answered %+v, %v", batch, err)
	}
}

func seamsFollow(p *people) {
	room := p.direct("minsu", "jiwoo")
	place := p.head("jiwoo")
	told := make(chan *chat.Entry, 100)
	stop, err := p.Queues.Follow("jiwoo", func(e *chat.Entry) { told <- e })
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range 5 {
		p.say(room, "minsu", 1)
		deadline := time.After(patience)
		for had := false; !had; {
			select {
			case e := <-told:
				if e != nil && e.Cursor.Seq <= place.Seq {
					continue
				}
				if e != nil && e.Prev <= place.Seq {
					place, had = e.Cursor, true
					continue
				}
				var texts []string
				texts, place = p.rest("jiwoo", place, 100)
				had = len(texts) > 0
			case <-deadline:
				p.t.Fatalf("message %d was not told", i+1)
			}
		}
	}
	stop()
}

func seamsMarks(p *people) {
	one, two := p.direct("minsu", "jiwoo"), p.direct("minsu", "hana")
	p.say(one, "jiwoo", 3)
	p.do(chat.Command{Op: chat.OpRead, Room: one, By: "minsu", Seq: 2})
	p.do(chat.Command{Op: chat.OpRead, Room: one, By: "minsu", Seq: 1})
	p.do(chat.Command{Op: chat.OpMute, Room: two, By: "minsu", Flag: true})
	marks, err := p.History.Mine(p.t.Context(), "minsu")
	if err != nil {
		p.t.Fatal(err)
	}
	held := map[chat.RoomID]chat.Mark{}
	for _, m := range marks {
		held[m.Room] = m
	}
	if len(marks) != 2 || held[one].Read != 2 || held[one].Muted || !held[two].Muted {
		p.t.Errorf("the marks are %+v", marks)
	}
}

func (p *people) draft(u chat.UserID, rooms ...chat.RoomID) map[chat.RoomID]chat.Draft {
	p.t.Helper()
	held, err := p.Drafts.Of(p.t.Context(), u, rooms...)
	if err != nil {
		p.t.Fatal(err)
	}
	return held
}

func seamsDrafts(p *people) {
	const group = chat.RoomID("gdrafts")
	p.do(chat.Command{Op: chat.OpCreate, Room: group, By: "minsu", Name: "us", Users: []chat.UserID{"jiwoo"}})
	pair := p.direct("minsu", "jiwoo")
	if held := p.draft("minsu", group, pair); len(held) != 0 {
		p.t.Fatalf("before anything: %+v", held)
	}
	minsu, jiwoo := p.head("minsu"), p.head("jiwoo")
	p.do(chat.Command{Op: chat.OpDraft, Room: group, By: "minsu", Text: "안"})
	p.do(chat.Command{Op: chat.OpDraft, Room: group, By: "minsu", Text: "안녕", ReplyTo: 1})
	if res := p.do(chat.Command{Op: chat.OpDraft, Room: group, By: "minsu", Text: "안녕", ReplyTo: 1}); !res.Retry {
		p.t.Errorf("the same draft again came to %+v", res)
	}
	p.do(chat.Command{Op: chat.OpDraft, Room: pair, By: "minsu", Text: "for two"})
	held := p.draft("minsu", group, pair, "gnone")
	if len(held) != 2 || held[group].Text != "안녕" || held[group].ReplyTo != 1 || held[group].At == 0 || held[pair].Text != "for two" {
		p.t.Errorf("minsu's drafts are %+v", held)
	}
	if held := p.draft("jiwoo", group, pair); len(held) != 0 {
		p.t.Errorf("jiwoo has minsu's drafts: %+v", held)
	}
	p.do(chat.Command{Op: chat.OpDraft, Room: pair, By: "minsu"})
	if held := p.draft("minsu", group, pair); len(held) != 1 || held[group].Text == "" {
		p.t.Errorf("after one is gone: %+v", held)
	}
	p.do(chat.Command{Op: chat.OpDraft, Room: group, By: "jiwoo", Text: "mine"})
	p.do(chat.Command{Op: chat.OpRemove, Room: group, By: "jiwoo", Users: []chat.UserID{"jiwoo"}})
	p.do(chat.Command{Op: chat.OpAdd, Room: group, By: "minsu", Users: []chat.UserID{"jiwoo"}})
	if held := p.draft("jiwoo", group); len(held) != 0 {
		p.t.Errorf("jiwoo left and is back with %+v", held)
	}
	if res := p.do(chat.Command{Op: chat.OpDraft, Room: group, By: "jiwoo"}); !res.Retry {
		p.t.Errorf("no draft, deleted, came to %+v", res)
	}
	var told []string
	for _, e := range p.events("minsu", minsu) {
		switch {
		case e.Type != chat.EventDraft:
		case e.Draft == nil:
			told = append(told, string(e.Room[:1])+" gone")
		default:
			told = append(told, string(e.Room[:1])+" "+e.Draft.Text)
		}
	}
	if want := "[g 안 g 안녕 d for two d gone]"; fmt.Sprint(told) != want {
		p.t.Errorf("minsu was told %v, want %s", told, want)
	}
	for _, e := range p.events("jiwoo", jiwoo) {
		if e.Type == chat.EventDraft && e.Draft != nil && e.Draft.Text != "mine" {
			p.t.Errorf("jiwoo was told of %+v", e.Draft)
		}
	}
}

// events are all events of a queue after c.
func (p *people) events(u chat.UserID, c chat.Cursor) (events []*chat.Event) {
	p.t.Helper()
	for {
		batch, err := p.Queues.Read(p.t.Context(), u, c, 100)
		if err != nil || batch.Reset {
			p.t.Fatal(err, batch.Reset)
		}
		c = batch.At
		for _, e := range batch.Entries {
			events = append(events, e.Events...)
			c = e.Cursor
		}
		if !batch.More {
			return events
		}
	}
}

func seamsNewMember(p *people) {
	const group = chat.RoomID("gopen")
	p.do(chat.Command{Op: chat.OpCreate, Room: group, By: "minsu", Name: "us", History: chat.HistoryAll})
	p.say(group, "minsu", 100)
	p.do(chat.Command{Op: chat.OpAdd, Room: group, By: "minsu", Users: []chat.UserID{"jiwoo"}})
	p.do(chat.Command{Op: chat.OpChange, Room: group, By: "minsu", Fields: chat.FieldHistory, History: chat.HistoryJoined})
	p.do(chat.Command{Op: chat.OpAdd, Room: group, By: "minsu", Users: []chat.UserID{"hana"}})
	room, _, err := p.History.Room(p.t.Context(), group)
	if err != nil {
		p.t.Fatal(err)
	}
	jiwoo, hana := room.Member("jiwoo"), room.Member("hana")
	if jiwoo.Since != 0 || jiwoo.Read != 101 || hana.Since != 103 || hana.Read != 103 || room.Shows() != chat.HistoryJoined {
		p.t.Errorf("jiwoo %+v, hana %+v, in %+v", jiwoo, hana, room)
	}
	start := p.head("hana")
	p.do(chat.Command{Op: chat.OpReact, Room: group, By: "jiwoo", Seq: 50, Emoji: "👍"})
	if _, err := p.try(chat.Command{Op: chat.OpReact, Room: group, By: "hana", Seq: 50, Emoji: "👍"}); chat.KindOf(err) != chat.KindNotFound {
		p.t.Errorf("hana reacts to what was before her: %v", err)
	}
	if told := p.events("hana", start); len(told) != 0 {
		p.t.Errorf("hana was told of what was before her: %+v", told[0])
	}
}

func seamsStranger(p *people) {
	room := p.direct("minsu", "jiwoo")
	start := p.head("hana")
	p.say(room, "minsu", 1)
	for _, id := range []chat.RoomID{room, "gnone"} {
		if _, err := p.try(chat.Command{Op: chat.OpSend, Room: id, By: "hana", Text: "hi"}); chat.KindOf(err) != chat.KindNotFound {
			p.t.Errorf("%s: a stranger is told %v", id, err)
		}
	}
	if texts, _ := p.rest("hana", start, 10); len(texts) != 0 {
		p.t.Errorf("a stranger has %v", texts)
	}
	if _, _, err := p.History.Room(p.t.Context(), "gnone"); chat.KindOf(err) != chat.KindNotFound {
		p.t.Errorf("a room that isn't there: %v", err)
	}
}

func seamsSince(p *people) {
	room := p.direct("minsu", "jiwoo")
	first := p.say(room, "minsu", 1)
	p.say(room, "minsu", 4)
	c, err := p.Queues.Since(p.t.Context(), "jiwoo", first.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	if texts, _ := p.rest("jiwoo", c, 100); len(texts) < 4 {
		p.t.Errorf("since the first message: %v", texts)
	}
}

func seamsNews(p *people) {
	heard := make(chan string, 10)
	stop, err := p.News.Listen("jiwoo", func(b []byte) { heard <- string(b) })
	if err != nil {
		p.t.Fatal(err)
	}
	defer stop()
	if err := p.News.Publish([]chat.UserID{"hana", "jiwoo"}, []byte("typing")); err != nil {
		p.t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got != "typing" {
			p.t.Errorf("heard %q", got)
		}
	case <-time.After(patience):
		p.t.Error("nothing was heard")
	}
}
