package chat_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"natter/chat"
)

// said is one act of a story of two: "a" is the lower id.
type said struct {
	by  chat.UserID
	act chat.ContactAct
}

const (
	ask, drop, block, unblock = chat.ActAsk, chat.ActDrop, chat.ActBlock, chat.ActUnblock

	monday = chat.Millis(1_795_000_000_000)
	second = chat.Millis(1000)
	aDay   = chat.Millis(24 * 60 * 60 * 1000)
)

// played plays acts a second apart, from monday on, and returns what they come to.
func played(t *testing.T, acts ...said) chat.Pair {
	t.Helper()
	p := chat.NewPair("b", "a")
	for i, one := range acts {
		if refusal := p.Apply(one.act, one.by, monday+chat.Millis(i)*second, chat.ContactCounts{}, chat.ContactCounts{}); refusal != nil {
			t.Fatalf("act %d of %v: %v", i, acts, refusal)
		}
	}
	return p
}

// TestContactRules: every state, every act of a's, and what both see then.
func TestContactRules(t *testing.T) {
	states := map[string][]said{
		"strangers":                  {},
		"a has asked":                {{"a", ask}},
		"b has asked":                {{"b", ask}},
		"friends":                    {{"a", ask}, {"b", ask}},
		"a has declined":             {{"b", ask}, {"a", drop}},
		"b has declined":             {{"a", ask}, {"b", drop}},
		"a blocks":                   {{"a", block}},
		"a blocks, and b asks":       {{"a", block}, {"b", ask}},
		"b blocks":                   {{"b", block}},
		"a has asked, and b blocks":  {{"a", ask}, {"b", block}},
		"both block":                 {{"a", block}, {"b", block}},
		"a blocked a friend":         {{"a", ask}, {"b", ask}, {"a", block}},
		"a blocked one who declined": {{"a", ask}, {"b", drop}, {"a", block}},
	}
	for _, c := range []struct {
		state   string
		act     chat.ContactAct
		a, b    chat.ContactState // what each sees then
		refusal chat.Kind
	}{
		{"strangers", ask, "outgoing", "incoming", ""},
		{"strangers", drop, "none", "none", ""},
		{"strangers", block, "none", "none", ""},
		{"strangers", unblock, "none", "none", ""},
		{"a has asked", ask, "outgoing", "incoming", ""},
		{"a has asked", drop, "none", "none", ""},
		{"a has asked", block, "none", "none", ""},
		{"a has asked", unblock, "outgoing", "incoming", ""},
		{"b has asked", ask, "friend", "friend", ""},
		{"b has asked", drop, "none", "none", ""},
		{"b has asked", block, "none", "outgoing", ""}, // not told
		{"b has asked", unblock, "incoming", "outgoing", ""},
		{"friends", ask, "friend", "friend", ""},
		{"friends", drop, "none", "none", ""},
		{"friends", block, "none", "none", ""},
		{"friends", unblock, "friend", "friend", ""},
		{"a has declined", ask, "outgoing", "incoming", ""},
		{"a has declined", drop, "none", "none", ""},
		{"b has declined", ask, "none", "none", chat.KindTooMany},
		{"b has declined", block, "none", "none", ""},
		{"a blocks", ask, "none", "none", chat.KindConflict},
		{"a blocks", drop, "none", "none", ""},
		{"a blocks", block, "none", "none", ""},
		{"a blocks", unblock, "none", "none", ""},
		{"a blocks, and b asks", ask, "none", "outgoing", chat.KindConflict},
		{"a blocks, and b asks", drop, "none", "outgoing", ""}, // a can't drop what they don't see
		{"a blocks, and b asks", block, "none", "outgoing", ""},
		{"a blocks, and b asks", unblock, "incoming", "outgoing", ""},
		{"b blocks", ask, "outgoing", "none", ""},
		{"b blocks", drop, "none", "none", ""},
		{"b blocks", block, "none", "none", ""},
		{"b blocks", unblock, "none", "none", ""}, // not theirs to lift
		{"a has asked, and b blocks", ask, "outgoing", "none", ""},
		{"a has asked, and b blocks", drop, "none", "none", ""},
		{"a has asked, and b blocks", block, "none", "none", ""},
		{"both block", ask, "none", "none", chat.KindConflict},
		{"both block", unblock, "none", "none", ""},
		{"a blocked a friend", unblock, "none", "none", ""}, // friends no more
		{"a blocked a friend", ask, "none", "none", chat.KindConflict},
		{"a blocked one who declined", unblock, "none", "none", ""},
	} {
		t.Run(fmt.Sprintf("%s, and %d", c.state, c.act), func(t *testing.T) {
			p := played(t, states[c.state]...)
			before := p
			refusal := p.Apply(c.act, "a", monday+10*second, chat.ContactCounts{}, chat.ContactCounts{})
			if (refusal != nil) != (c.refusal != "") || refusal != nil && refusal.Kind != c.refusal {
				t.Fatalf("refusal %v, want %q", refusal, c.refusal)
			}
			if refusal != nil && p != before {
				t.Errorf("a refusal made\n%+v of\n%+v", p, before)
			}
			if a, b := p.Contact("a").State, p.Contact("b").State; a != c.a || b != c.b {
				t.Errorf("a sees %s, b sees %s; want %s, %s", a, b, c.a, c.b)
			}
			if blocks := p.BlockedBy("a") != 0; c.act == block && !blocks || c.act == unblock && blocks {
				t.Errorf("a blocks: %v", blocks)
			}
			again := p
			if second := p.Apply(c.act, "a", monday+11*second, chat.ContactCounts{}, chat.ContactCounts{}); c.refusal == "" && second == nil && p != again {
				t.Errorf("said twice it made\n%+v of\n%+v", p, again)
			}
		})
	}
}

// TestContactTimes: since is when it began, on both sides, and blocking again
// doesn't begin it anew.
func TestContactTimes(t *testing.T) {
	p := played(t, said{"a", ask}, said{"a", ask}, said{"b", ask}, said{"b", ask})
	if a, b := p.Contact("a"), p.Contact("b"); a.Since != monday+2*second || a != b {
		t.Errorf("friends since %v and %v", a.Since, b.Since)
	}
	p = played(t, said{"b", ask}, said{"a", block}, said{"a", block})
	if p.BlockedBy("a") != monday+second || p.Contact("b").Since != monday || p.Contact("a") != (chat.Contact{State: chat.ContactNone}) {
		t.Errorf("%+v", p)
	}
}

// TestADeclinedRequestRests: a day for who was declined; never for who declined.
func TestADeclinedRequestRests(t *testing.T) {
	p := played(t, said{"a", ask}, said{"b", drop}) // declined at monday+1s
	none := chat.ContactCounts{}
	refusal := p.Apply(ask, "a", monday+2*second, none, none)
	if refusal == nil || refusal.Kind != chat.KindTooMany || refusal.RetryAfter != 24*time.Hour-time.Second {
		t.Fatalf("asked again at once: %+v", refusal)
	}
	if !p.Idle() {
		t.Errorf("%+v is not idle", p)
	}
	other := p
	if refusal := other.Apply(ask, "b", monday+2*second, none, none); refusal != nil {
		t.Errorf("who declined may not ask: %v", refusal)
	}
	if refusal := p.Apply(ask, "a", monday+second+aDay, none, none); refusal != nil {
		t.Errorf("asked again after a day: %v", refusal)
	}
}

// TestContactLimits: at the bound the one who would pass it is refused, and what
// is there already stays.
func TestContactLimits(t *testing.T) {
	full := chat.ContactCounts{Friends: chat.MaxContacts, Outgoing: chat.MaxOutgoing, Incoming: chat.MaxIncoming, Blocks: chat.MaxBlocks}
	one := func(change func(*chat.ContactCounts)) chat.ContactCounts {
		c := chat.ContactCounts{Friends: chat.MaxContacts - 1, Outgoing: chat.MaxOutgoing - 1, Incoming: chat.MaxIncoming - 1, Blocks: chat.MaxBlocks - 1}
		change(&c)
		return c
	}
	below := one(func(*chat.ContactCounts) {})
	for what, c := range map[string]struct {
		before       []said
		act          chat.ContactAct
		mine, theirs chat.ContactCounts
		limit        int64 // 0: passes
	}{
		"all just below":                {nil, ask, below, below, 0},
		"asking with all friends":       {nil, ask, one(func(c *chat.ContactCounts) { c.Friends++ }), below, chat.MaxContacts},
		"asking with all requests":      {nil, ask, one(func(c *chat.ContactCounts) { c.Outgoing++ }), below, chat.MaxOutgoing},
		"asking a person asked by many": {nil, ask, below, one(func(c *chat.ContactCounts) { c.Incoming++ }), chat.MaxIncoming},
		"accepting just below":          {[]said{{"b", ask}}, ask, below, below, 0},
		"accepting with all requests":   {[]said{{"b", ask}}, ask, one(func(c *chat.ContactCounts) { c.Outgoing++; c.Incoming++ }), below, 0},
		"accepting with all friends":    {[]said{{"b", ask}}, ask, one(func(c *chat.ContactCounts) { c.Friends++ }), below, chat.MaxContacts},
		"accepting one with all":        {[]said{{"b", ask}}, ask, below, one(func(c *chat.ContactCounts) { c.Friends++ }), chat.MaxContacts},
		"asking again":                  {[]said{{"a", ask}}, ask, full, full, 0},
		"dropping":                      {[]said{{"a", ask}}, drop, full, full, 0},
		"blocking just below":           {nil, block, below, full, 0},
		"blocking with all blocks":      {nil, block, full, below, chat.MaxBlocks},
		"blocking again":                {[]said{{"a", block}}, block, full, full, 0},
		"unblocking":                    {[]said{{"a", block}}, unblock, full, full, 0},
	} {
		t.Run(what, func(t *testing.T) {
			p := played(t, c.before...)
			before := p
			refusal := p.Apply(c.act, "a", monday+10*second, c.mine, c.theirs)
			switch {
			case c.limit == 0 && refusal != nil:
				t.Errorf("refused: %v", refusal)
			case c.limit != 0 && (refusal == nil || refusal.Kind != chat.KindTooMany || refusal.Limit != c.limit || p != before):
				t.Errorf("refusal %+v, want too_many of %d", refusal, c.limit)
			}
		})
	}
}

// TestBars: both are barred by either's block; only who blocked is told why, and
// who is blocked twice over learns nothing of the other's.
func TestBars(t *testing.T) {
	for what, c := range map[string]struct {
		acts []said
		a, b chat.Kind
	}{
		"friends":    {[]said{{"a", ask}, {"b", ask}}, "", ""},
		"a blocks":   {[]said{{"a", block}}, chat.KindConflict, chat.KindForbidden},
		"both block": {[]said{{"a", block}, {"b", block}}, chat.KindConflict, chat.KindConflict},
		"lifted":     {[]said{{"a", block}, {"a", unblock}}, "", ""},
	} {
		p := played(t, c.acts...)
		for u, want := range map[chat.UserID]chat.Kind{"a": c.a, "b": c.b} {
			got := chat.Kind("")
			if bar := p.Bar(u); bar != nil {
				got = bar.Kind
			}
			if got != want {
				t.Errorf("%s: %s is answered %q, want %q", what, u, got, want)
			}
		}
	}
}

// FuzzContacts: whatever the two do, the record keeps its promises, an act said
// twice is one, and b, who is blocked by a, is answered and sees the same as if a
// had not done it.
func FuzzContacts(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		acts := make([]byte, 60)
		for i := range acts {
			acts[i] = byte(r.Uint32())
		}
		f.Add(acts)
	}
	f.Fuzz(func(t *testing.T, acts []byte) {
		acts = acts[:min(len(acts), 100)]
		p, now := chat.NewPair("a", "b"), monday
		counts := chat.ContactCounts{}
		for i, b := range acts {
			now += chat.Millis(b>>3) * 1_800_000 // up to half a day
			act, by := chat.ContactAct(b&3), []chat.UserID{"a", "b"}[b>>2&1]
			before := p
			refusal := p.Apply(act, by, now, counts, counts)
			if refusal != nil && p != before {
				t.Fatalf("act %d, refused, changed\n%+v to\n%+v", i, before, p)
			}
			twice := p
			if twice.Apply(act, by, now, counts, counts) == nil && twice != p && refusal == nil {
				t.Fatalf("act %d said twice made\n%+v of\n%+v", i, twice, p)
			}
			sound(t, p)
			if act == block && refusal == nil && before.Friends == 0 && before.Contact(by).State != chat.ContactOutgoing && before.BlockedBy(by) == 0 {
				unseen(t, before, p, by, now, acts[i+1:])
			}
		}
	})
}

// sound holds a pair to its invariants.
func sound(t *testing.T, p chat.Pair) {
	t.Helper()
	if p.Sides[0].Asked != 0 && p.Sides[1].Asked != 0 {
		t.Fatalf("both have asked: %+v", p)
	}
	if p.Friends != 0 && (p.Barred() || p.Sides[0].Asked != 0 || p.Sides[1].Asked != 0) {
		t.Fatalf("friends with something between them: %+v", p)
	}
	for _, u := range []chat.UserID{p.Low, p.High} {
		mine, theirs := p.Contact(u), p.Contact(p.Other(u))
		if (mine.State == chat.ContactNone) != (mine.Since == 0) || (mine.State == chat.ContactFriend) != (theirs.State == chat.ContactFriend) {
			t.Fatalf("%s sees %+v, the other %+v", u, mine, theirs)
		}
		if p.BlockedBy(u) != 0 && mine.State != chat.ContactNone {
			t.Fatalf("%s blocks and sees %+v", u, mine)
		}
	}
}

// unseen plays the blocked one's next acts with the block and without it.
func unseen(t *testing.T, without, with chat.Pair, blocker chat.UserID, now chat.Millis, acts []byte) {
	t.Helper()
	u := with.Other(blocker)
	counts := chat.ContactCounts{}
	for i := 0; ; i++ {
		if without.Contact(u) != with.Contact(u) {
			t.Fatalf("the blocked one sees %+v, without the block %+v", with.Contact(u), without.Contact(u))
		}
		if i == len(acts) || without.Contact(u).State == chat.ContactFriend || acts[i]>>2&1 == 0 ||
			without.Contact(u).State == chat.ContactIncoming {
			return
		}
		now += chat.Millis(acts[i])
		act := chat.ContactAct(acts[i] & 3)
		one, two := without.Apply(act, u, now, counts, counts), with.Apply(act, u, now, counts, counts)
		if fmt.Sprint(one) != fmt.Sprint(two) {
			t.Fatalf("the blocked one is answered %v, without the block %v", two, one)
		}
	}
}
