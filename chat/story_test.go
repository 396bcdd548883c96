package chat_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"natter/chat"
)

var update = flag.Bool("update", false, "write what the stories come to into testdata")

// TestStories tells each file of testdata: a line is a command, what it comes
// to stands below it, after a |. testdata/README explains the words. A story is
// told twice, and both tellings must come to the same.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := string(data)
			got, again := retell(t, want), retell(t, want)
			if got != again {
				t.Fatalf("told twice, it came to something else:\n%s", again)
			}
			if got == want {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: the story goes otherwise (-update writes it down):\n%s", file, firstDifference(want, got))
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n  was %s\n  is  %s", i+1, a, b)
		}
	}
	return "the ends differ"
}

// retell runs a story's commands and writes it anew with what they come to.
func retell(t *testing.T, story string) string {
	t.Helper()
	w := newWorld()
	var out []string
	for i, line := range strings.Split(strings.TrimSuffix(story, "\n"), "\n") {
		if strings.HasPrefix(line, "|") {
			continue
		}
		out = append(out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		said, err := w.do(line)
		if err != nil {
			t.Fatalf("line %d: %s: %v", i+1, line, err)
		}
		for _, s := range said {
			out = append(out, strings.TrimRight("| "+s, " "))
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// storyBegins is the time of every story's first command.
var storyBegins = chat.MillisOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))

// world is a partition: rooms under the names a story gives them, one window,
// a clock that only the story moves, and ids that count from 1.
type world struct {
	now    chat.Millis
	lastID chat.MessageID
	window *chat.Window
	rooms  map[chat.RoomID]*chat.RoomState
	// read is each member's read mark as it was after the last command.
	read map[string]chat.Seq
	// ids are the ids of all messages, by room and seq.
	ids map[string]chat.MessageID
}

func newWorld() *world {
	return &world{now: storyBegins, window: chat.NewWindow(), rooms: map[chat.RoomID]*chat.RoomState{},
		read: map[string]chat.Seq{}, ids: map[string]chat.MessageID{}}
}

// room is the state of a room, made empty on first touch as a projector does.
func (w *world) room(id chat.RoomID) *chat.RoomState {
	r := w.rooms[id]
	if r == nil {
		r = chat.NewRoomState(nil, 0)
		r.Room.ID = id
		w.rooms[id] = r
	}
	return r
}

// command begins a command as the edge does: with its own id and the time.
func (w *world) command(by chat.UserID, op chat.CommandOp, room chat.RoomID) *chat.Command {
	w.lastID++
	return &chat.Command{ID: w.lastID, At: w.now, Op: op, Room: room, By: by}
}

// apply decides a command and holds the outcome to what is always true.
func (w *world) apply(c *chat.Command) (chat.Outcome, error) {
	r := w.room(c.Room)
	before := keep(r)
	out := r.Apply(c, w.window)
	return out, w.check(c, r, &out, &before)
}

// kept is what a room held before a command.
type kept struct {
	room   chat.Room
	last   chat.Seq
	lastAt chat.Millis
	tail   []chat.Message
}

func keep(r *chat.RoomState) kept {
	return kept{r.Room.Clone(), r.Last, r.LastAt, slices.Clone(r.Tail)}
}

// same tells whether the room is as it was. A changed message has other values
// or another slice of reactions.
func (k *kept) same(r *chat.RoomState) bool {
	members := slices.Equal(k.room.Members, r.Room.Members)
	before, now := k.room, r.Room
	before.Members, now.Members = nil, nil
	return members && k.last == r.Last && k.lastAt == r.LastAt && reflect.DeepEqual(before, now) &&
		slices.EqualFunc(k.tail, r.Tail, func(a, b chat.Message) bool {
			return a.ID == b.ID && a.Seq == b.Seq && a.Text == b.Text && slices.Equal(a.Mentions, b.Mentions) && a.EditedAt == b.EditedAt && a.DeletedAt == b.DeletedAt &&
				len(a.Reactions) == len(b.Reactions) && (len(a.Reactions) == 0 || &a.Reactions[0] == &b.Reactions[0])
		})
}

func (w *world) check(c *chat.Command, r *chat.RoomState, out *chat.Outcome, before *kept) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("after %+v: "+format, append([]any{*c}, args...)...)
	}
	if out.Refusal != nil {
		if !reflect.DeepEqual(*out, chat.Outcome{Refusal: out.Refusal}) {
			return fail("a refusal came with something else: %+v", *out)
		}
		if !before.same(r) {
			return fail("a refusal changed the room")
		}
		return nil
	}
	if out.Result.ID == 0 || out.Result.At == 0 {
		return fail("the result lacks an id or a time: %+v", out.Result)
	}
	if out.Result.Retry && (!before.same(r) || len(out.Events)+len(out.Messages)+len(out.Marks)+len(out.Left) > 0 || out.Changed || out.Draft != nil) {
		return fail("a retry changed something")
	}
	// Room order: new messages take the next seqs, and nothing else does.
	last := before.last
	for _, m := range out.Messages {
		key := fmt.Sprint(c.Room, m.Seq)
		if m.Seq == last+1 {
			last++
			w.ids[key] = m.ID
		} else if m.Seq > last || m.Seq == 0 {
			return fail("message %d comes after %d", m.Seq, last)
		}
		if m.ID != w.ids[key] {
			return fail("message %d has another id: %d, not %d", m.Seq, m.ID, w.ids[key])
		}
		if m.Room != c.Room {
			return fail("message %d is of %q", m.Seq, m.Room)
		}
		if err := checkMentions(r, &m); err != nil {
			return fail("message %d %w", m.Seq, err)
		}
	}
	if r.Last != last {
		return fail("the room's last seq is %d; its messages end at %d", r.Last, last)
	}
	for i, m := range r.Tail {
		if i > 0 && (m.Seq != r.Tail[i-1].Seq+1 || m.CreatedAt < r.Tail[i-1].CreatedAt) {
			return fail("the tail is out of order at %d", m.Seq)
		}
	}
	// Only who is in the room now, or has just left it, is told.
	told := append(before.room.UserIDs(), r.Room.UserIDs()...)
	for _, e := range out.Events {
		if len(e.To) == 0 {
			return fail("an event goes to nobody")
		}
		for i, u := range e.To {
			if !slices.Contains(told, u) {
				return fail("%s is told and not in the room", u)
			}
			if slices.Contains(e.To[:i], u) {
				return fail("%s is told twice", u)
			}
			m := r.Room.Member(u)
			if e.Event.Type != chat.EventRoomLeft && m == nil {
				return fail("%s has left and is told of a %s", u, e.Event.Type)
			}
			if e.Event.Message != nil && e.Event.Message.Seq <= m.Since {
				return fail("%s is told of message %d and may see what is after %d", u, e.Event.Message.Seq, m.Since)
			}
			if e.Event.Type == chat.EventDraft && (u != c.By || len(e.To) > 1) {
				return fail("%s is told of %s's draft", u, c.By)
			}
		}
	}
	return w.checkMembers(c, r, out, fail)
}

// checkMentions: a message that is new or edited names members, each once.
func checkMentions(r *chat.RoomState, m *chat.Message) error {
	if len(m.Mentions) > chat.MaxMentions || len(m.Mentions) > 0 && (m.DeletedAt != 0 || m.Kind != chat.KindText) {
		return fmt.Errorf("mentions %d", len(m.Mentions))
	}
	for i, u := range m.Mentions {
		if u == m.Sender || slices.Contains(m.Mentions[:i], u) {
			return fmt.Errorf("mentions %s", u)
		}
	}
	return nil
}

func (w *world) checkMembers(c *chat.Command, r *chat.RoomState, out *chat.Outcome, fail func(string, ...any) error) error {
	owners := 0
	for i, m := range r.Room.Members {
		for _, other := range r.Room.Members[:i] {
			if m.User == other.User {
				return fail("%s is in the room twice", m.User)
			}
		}
		if m.Role == chat.RoleOwner {
			owners++
		}
		key := string(c.Room) + " " + string(m.User)
		if m.Read < m.ReadFrom() {
			return fail("%s joined after %d and has read %d", m.User, m.ReadFrom(), m.Read)
		}
		if m.Read < w.read[key] || m.Read > r.Last {
			return fail("%s's read mark went from %d to %d, of %d", m.User, w.read[key], m.Read, r.Last)
		}
		if m.Read != w.read[key] && !slices.Contains(out.Marks, m.User) {
			return fail("%s's read mark moved and isn't in Marks", m.User)
		}
		w.read[key] = m.Read
	}
	if n := len(r.Room.Members); n > chat.MaxMembers || n == 0 && r.Exists() {
		return fail("the room has %d members", n)
	}
	if r.Room.Kind == chat.RoomGroup && r.Exists() && owners != 1 {
		return fail("the group has %d owners", owners)
	}
	return nil
}

// do runs one line of a story and tells what it came to.
func (w *world) do(line string) ([]string, error) {
	words, err := split(line)
	if err != nil {
		return nil, err
	}
	if f, ok := asides[words[0]]; ok {
		return f(w, words[1:])
	}
	if len(words) < 2 {
		return nil, fmt.Errorf("who does what?")
	}
	verb, ok := verbs[words[1]]
	if !ok {
		return nil, fmt.Errorf("there is no verb %q", words[1])
	}
	if len(words)-2 < verb.least {
		return nil, fmt.Errorf("%s takes %s", words[1], verb.takes)
	}
	c := w.command(chat.UserID(words[0]), verb.op, chat.RoomID(words[2]))
	if err := verb.fill(w, c, words[3:]); err != nil {
		return nil, err
	}
	var out chat.Outcome
	if c.Op == chat.OpTell {
		out = chat.Tell(c)
	} else if out, err = w.apply(c); err != nil {
		return nil, err
	}
	return tellOutcome(&out), nil
}

// split cuts a line into words; what stands in quotes is one, as Go reads it.
// "x"*3 is "xxx", p1..p3 is p1 p2 p3.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		head, rest := "", line
		if i := strings.IndexAny(line, " \""); i >= 0 && line[i] == '"' {
			head, rest = line[:i], line[i:]
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", rest, err)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			rest = rest[len(quoted):]
			if after, ok := strings.CutPrefix(rest, "*"); ok {
				digits, _, _ := strings.Cut(after, " ")
				n, err := strconv.Atoi(digits)
				if err != nil {
					return nil, err
				}
				text, rest = strings.Repeat(text, n), after[len(digits):]
			}
			words, line = append(words, head+text), rest
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		line = rest
		if from, to, ok := strings.Cut(word, ".."); ok {
			crowd, err := people(from, to)
			if err != nil {
				return nil, err
			}
			words = append(words, crowd...)
			continue
		}
		words = append(words, word)
	}
	return words, nil
}

func people(from, to string) ([]string, error) {
	name := strings.TrimRight(from, "0123456789")
	first, err := strconv.Atoi(from[len(name):])
	if err != nil {
		return nil, err
	}
	last, err := strconv.Atoi(strings.TrimPrefix(to, name))
	if err != nil {
		return nil, err
	}
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, name+strconv.Itoa(i))
	}
	return all, nil
}

// verb is what a person can do in a story.
type verb struct {
	op    chat.CommandOp
	least int
	takes string
	fill  func(*world, *chat.Command, []string) error
}

var verbs = map[string]verb{
	"send":    {chat.OpSend, 2, "a room, a text, id=, reply=, names=", fillSend},
	"read":    {chat.OpRead, 2, "a room and a seq", fillSeq},
	"direct":  {chat.OpDirect, 1, "a room and a person", fillUsers},
	"create":  {chat.OpCreate, 2, "a room, its name, people, history=", fillCreate},
	"change":  {chat.OpChange, 1, "a room, name=, topic=, avatar=, history=", fillChange},
	"add":     {chat.OpAdd, 1, "a room and people", fillUsers},
	"remove":  {chat.OpRemove, 1, "a room and a person", fillUsers},
	"leave":   {chat.OpRemove, 1, "a room", func(_ *world, c *chat.Command, _ []string) error { c.Users = []chat.UserID{c.By}; return nil }},
	"role":    {chat.OpRole, 3, "a room, a person, a role", fillRole},
	"mute":    {chat.OpMute, 1, "a room", func(_ *world, c *chat.Command, _ []string) error { c.Flag = true; return nil }},
	"unmute":  {chat.OpMute, 1, "a room", func(*world, *chat.Command, []string) error { return nil }},
	"close":   {chat.OpClose, 1, "a room", func(*world, *chat.Command, []string) error { return nil }},
	"edit":    {chat.OpEdit, 3, "a room, a seq, a text, names=, within=", fillEdit},
	"delete":  {chat.OpDelete, 2, "a room and a seq", fillSeq},
	"react":   {chat.OpReact, 3, "a room, a seq, an emoji", fillEmoji},
	"unreact": {chat.OpUnreact, 3, "a room, a seq, an emoji", fillEmoji},
	"draft":   {chat.OpDraft, 2, "a room, a text, reply=", fillDraft},
	"tell":    {chat.OpTell, 1, "an event's type and people", fillTell},
	"dance":   {99, 1, "a room", func(*world, *chat.Command, []string) error { return nil }},
}

// fillSend: id=a means a client_id made now; id=a@-1m one of a clock a minute
// behind. The same name is the same id for ever.
func fillSend(w *world, c *chat.Command, words []string) error {
	c.Text = words[0]
	c.ClientID = clientID(fmt.Sprint("unnamed", c.ID), c.At)
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "id":
			c.ClientID = clientID(value, storyBegins)
		case "reply":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return err
			}
			c.ReplyTo = chat.Seq(n)
		case "names":
			c.Mentions = names(value)
		default:
			return fmt.Errorf("send knows no %s=", key)
		}
	}
	return nil
}

// names are people in a row: a+b+c.
func names(value string) []chat.UserID {
	var users []chat.UserID
	for u := range strings.SplitSeq(value, "+") {
		if from, to, ok := strings.Cut(u, "-"); ok {
			crowd, err := people(from, to)
			if err != nil {
				panic(err)
			}
			for _, u := range crowd {
				users = append(users, chat.UserID(u))
			}
			continue
		}
		users = append(users, chat.UserID(u))
	}
	return users
}

func clientID(name string, at chat.Millis) chat.ClientID {
	var random [10]byte
	copy(random[:], name)
	return chat.NewClientID(at.Time(), random)
}

func fillSeq(_ *world, c *chat.Command, words []string) error {
	n, err := strconv.ParseUint(words[0], 10, 64)
	c.Seq = chat.Seq(n)
	return err
}

func fillUsers(_ *world, c *chat.Command, words []string) error {
	for _, u := range words {
		c.Users = append(c.Users, chat.UserID(u))
	}
	return nil
}

func fillCreate(w *world, c *chat.Command, words []string) error {
	c.Name, words = words[0], words[1:]
	if n := len(words); n > 0 && strings.HasPrefix(words[n-1], "history=") {
		c.History, words = chat.HistoryVisible(words[n-1][len("history="):]), words[:n-1]
	}
	return fillUsers(w, c, words)
}

func fillChange(_ *world, c *chat.Command, words []string) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "name":
			c.Fields, c.Name = c.Fields|chat.FieldName, value
		case "topic":
			c.Fields, c.Topic = c.Fields|chat.FieldTopic, value
		case "avatar":
			c.Fields, c.Avatar = c.Fields|chat.FieldAvatar, chat.AvatarID(value)
		case "history":
			c.Fields, c.History = c.Fields|chat.FieldHistory, chat.HistoryVisible(value)
		default:
			return fmt.Errorf("change knows no %s=", key)
		}
	}
	return nil
}

func fillRole(_ *world, c *chat.Command, words []string) error {
	c.Users = []chat.UserID{chat.UserID(words[0])}
	role, err := chat.ParseRole("role", words[1])
	c.Role = role
	return err
}

func fillEdit(w *world, c *chat.Command, words []string) error {
	c.Text = words[1]
	for _, word := range words[2:] {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "names":
			c.Mentions = names(value)
		case "within":
			d, err := time.ParseDuration(value)
			if err != nil {
				return err
			}
			c.Within = chat.Millis(d.Milliseconds())
		default:
			return fmt.Errorf("edit knows no %s=", key)
		}
	}
	return fillSeq(w, c, words)
}

func fillDraft(_ *world, c *chat.Command, words []string) error {
	c.Text = words[0]
	if len(words) > 1 {
		n, err := strconv.ParseUint(strings.TrimPrefix(words[1], "reply="), 10, 64)
		if err != nil {
			return err
		}
		c.ReplyTo = chat.Seq(n)
	}
	return nil
}

func fillEmoji(w *world, c *chat.Command, words []string) error {
	c.Emoji = words[1]
	return fillSeq(w, c, words)
}

func fillTell(_ *world, c *chat.Command, words []string) error {
	c.Tell = &chat.Event{Type: chat.EventType(c.Room), User: c.By}
	c.Room = ""
	return fillUsers(nil, c, words)
}

// asides are the lines that nobody in the story does.
var asides = map[string]func(*world, []string) ([]string, error){
	"wait": wait,
	"room": showRoom,
	"window": func(w *world, _ []string) ([]string, error) {
		return []string{fmt.Sprintf("%d client_ids", w.window.Len())}, nil
	},
	"seal":  seal,
	"name":  func(_ *world, words []string) ([]string, error) { return checked(chat.CheckName("name", words[0], 8)) },
	"topic": func(_ *world, words []string) ([]string, error) { return checked(chat.CheckLine("topic", words[0], 8)) },
	"text": func(_ *world, words []string) ([]string, error) {
		return checked(words[0], chat.CheckText("text", words[0]))
	},
	"emoji": func(_ *world, words []string) ([]string, error) {
		return []string{fmt.Sprint(chat.ValidEmoji(words[0]))}, nil
	},
}

// page does lines itself, which the table of the lines can't begin with.
func init() { asides["page"] = page }

func checked(s string, err error) ([]string, error) {
	if err != nil {
		return tellRefusal(chat.ProblemOf(err)), nil
	}
	return []string{shown(s)}, nil
}

func wait(w *world, words []string) ([]string, error) {
	d, err := time.ParseDuration(words[0])
	w.now += chat.Millis(d.Milliseconds())
	return nil, err
}

func showRoom(w *world, words []string) ([]string, error) {
	r := w.room(chat.RoomID(words[0]))
	if !r.Exists() {
		return []string{"there is no such room"}, nil
	}
	said := []string{fmt.Sprintf("%s, last %d", tellRoom(&r.Room), r.Last)}
	for _, m := range r.Room.Members {
		if len(r.Room.Members) > 10 && m.Role == chat.RoleMember && m.Read == 0 && !m.Muted {
			continue // of a crowd, who has done nothing yet
		}
		line := fmt.Sprintf("  %s %s read=%d", m.User, m.Role, m.Read)
		if m.Since > 0 {
			line += fmt.Sprintf(" since=%d", m.Since)
		}
		if m.Joined > 0 {
			line += fmt.Sprintf(" joined=%d", m.Joined)
		}
		if m.Draft != (chat.DraftSum{}) {
			line += " draft"
		}
		if m.Muted {
			line += " muted"
		}
		said = append(said, line)
	}
	return said, nil
}

func seal(w *world, words []string) ([]string, error) {
	r := w.room(chat.RoomID(words[0]))
	var said []string
	for _, p := range r.TakePages() {
		said = append(said, fmt.Sprintf("page of %d to %d", p[0].Seq, p[len(p)-1].Seq))
	}
	return append(said, fmt.Sprintf("%d sealed, %d in the tail", r.Sealed(), len(r.Tail))), nil
}

// page says n messages at once, so that a page fills.
func page(w *world, words []string) ([]string, error) {
	n, err := strconv.Atoi(words[2])
	if err != nil {
		return nil, err
	}
	for i := range n {
		if _, err := w.do(fmt.Sprintf("%s send %s \"%d\"", words[0], words[1], i+1)); err != nil {
			return nil, err
		}
	}
	return []string{fmt.Sprintf("last %d", w.room(chat.RoomID(words[1])).Last)}, nil
}

func tellOutcome(out *chat.Outcome) []string {
	if out.Refusal != nil {
		return tellRefusal(out.Refusal)
	}
	first := fmt.Sprintf("id=%d", out.Result.ID)
	if out.Result.Seq > 0 {
		first += fmt.Sprintf(" seq=%d", out.Result.Seq)
	}
	first += " at " + out.Result.At.Time().Format("15:04:05")
	if out.Result.Retry {
		first += " again"
	}
	said := []string{first}
	for _, e := range out.Events {
		said = append(said, fmt.Sprintf("  %s: %s", crowd(e.To), tellEvent(&e.Event)))
	}
	var kept []string
	if out.Changed {
		kept = append(kept, "room")
	}
	for _, m := range out.Messages {
		kept = append(kept, fmt.Sprintf("message %d", m.Seq))
	}
	if len(out.Marks) > 0 {
		kept = append(kept, "marks of "+crowd(out.Marks))
	}
	if len(out.Left) > 0 {
		kept = append(kept, crowd(out.Left)+" out")
	}
	if out.Draft != nil {
		kept = append(kept, "draft")
	}
	if len(kept) > 0 {
		said = append(said, "  kept: "+strings.Join(kept, ", "))
	}
	return said
}

func tellRefusal(p *chat.Problem) []string {
	line := "refused: " + p.Error()
	if p.Limit > 0 {
		line += fmt.Sprintf(" (limit %d)", p.Limit)
	}
	return []string{line}
}

// crowd lists people, a long list by its ends.
func crowd(users []chat.UserID) string {
	if len(users) > 6 {
		return fmt.Sprintf("%s … %s (%d)", users[0], users[len(users)-1], len(users))
	}
	var names []string
	for _, u := range users {
		names = append(names, string(u))
	}
	return strings.Join(names, " ")
}

func tellEvent(e *chat.Event) string {
	switch e.Type {
	case chat.EventRead:
		return fmt.Sprintf("read %s to %d", e.User, e.Seq)
	case chat.EventRoom:
		return "room " + tellRoom(e.Snapshot)
	case chat.EventMember:
		return strings.TrimRight(fmt.Sprintf("member %s %s %s of %d", e.User, e.Change, e.Role, e.Count), " ")
	case chat.EventRoomLeft:
		return "room_left"
	case chat.EventDraft:
		if e.Draft == nil {
			return "draft gone"
		}
		line := "draft " + shown(e.Draft.Text)
		if e.Draft.ReplyTo > 0 {
			line += fmt.Sprintf(" reply=%d", e.Draft.ReplyTo)
		}
		return line
	}
	if e.Message == nil {
		return string(e.Type)
	}
	return string(e.Type) + " " + tellMessage(e.Message)
}

func tellRoom(r *chat.Room) string {
	parts := []string{string(r.Kind)}
	if r.Name != "" {
		parts = append(parts, shown(r.Name))
	}
	if r.Topic != "" {
		parts = append(parts, "topic="+shown(r.Topic))
	}
	if r.Avatar != "" {
		parts = append(parts, "avatar="+string(r.Avatar))
	}
	if r.History != "" {
		parts = append(parts, "history="+string(r.History))
	}
	return fmt.Sprintf("%s of %d", strings.Join(parts, " "), len(r.Members))
}

func tellMessage(m *chat.Message) string {
	parts := []string{fmt.Sprintf("%d %s", m.Seq, m.Sender)}
	if s := m.System; s != nil {
		parts = append(parts, string(s.Action))
		if len(s.Users) > 0 {
			parts = append(parts, crowd(s.Users))
		}
		if s.Name != "" {
			parts = append(parts, shown(s.Name))
		}
		if s.Role != "" {
			parts = append(parts, string(s.Role))
		}
	} else {
		parts = append(parts, shown(m.Text))
	}
	if m.ReplyTo > 0 {
		parts = append(parts, fmt.Sprintf("reply=%d", m.ReplyTo))
	}
	if len(m.Mentions) > 0 {
		parts = append(parts, "names="+strings.ReplaceAll(crowd(m.Mentions), " ", "+"))
	}
	if m.EditedAt > 0 {
		parts = append(parts, "edited")
	}
	if m.DeletedAt > 0 {
		parts = append(parts, "deleted")
	}
	for _, r := range m.Reactions {
		parts = append(parts, r.Emoji+"="+strings.ReplaceAll(crowd(r.Users), " ", "+"))
	}
	return strings.Join(parts, " ")
}

// shown quotes a text so that everything in it can be seen, a long one by its
// beginning and length.
func shown(s string) string {
	if n := len([]rune(s)); n > 80 {
		return fmt.Sprintf("%s… (%d characters)", strconv.QuoteToGraphic(string([]rune(s)[:10])), n)
	}
	return strconv.QuoteToGraphic(s)
}

// TestStoriesUseEveryWord keeps a verb nobody uses from standing here.
func TestStoriesUseEveryWord(t *testing.T) {
	used := map[string]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			for i, word := range strings.Fields(line) {
				if i < 2 && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "#") {
					used[word] = true
				}
			}
		}
	}
	for _, word := range slices.Sorted(maps.Keys(verbs)) {
		if !used[word] {
			t.Errorf("no story uses %q", word)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(asides)) {
		if !used[word] {
			t.Errorf("no story uses %q", word)
		}
	}
}
