package chat_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"natter/chat"
)

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
