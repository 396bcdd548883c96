package chat_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"natter/chat"
)

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
