package story

import (
	"strings"
	"sync/atomic"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// TestABotInAGroup: Ann begins to write on her laptop and goes on on her phone; the
// node dies in between. The bot is in the group since a moment, sees what was said
// before it came, and acts when its name is said, whoever says it and however it
// hears of it.
func TestABotInAGroup(t *testing.T) {
	node := harness.StartNode(t)
	ann, bot := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bot")
	laptop := ann.AnotherDevice("laptop")
	ctx := harness.Context(t)
	room := ann.GroupWith("a group")
	if err := ann.ShowHistory(ctx, room, chat.HistoryAll); err != nil {
		t.Fatal(err)
	}
	annPhone, annLaptop := ann.Online("", nil), laptop.Online("", nil)
	said := annPhone.Says(room, "the plan is in the first message")
	if err := ann.AddMember(ctx, room, bot.ID()); err != nil {
		t.Fatal(err)
	}
	page, err := bot.Messages(ctx, room, client.Span{Around: said.Seq, Limit: 3})
	if err != nil || len(page.Messages) != 3 || page.Messages[1].Text != "the plan is in the first message" {
		t.Errorf("the bot reads %+v, %v", page, err)
	}
	unread(t, bot, room, 1) // that it has come

	var called, polled atomic.Int32
	botPhone := bot.Online("", func(o *client.Options) {
		hears := o.Event
		o.Event = func(e *client.Event) {
			if e.Message.Mentions(bot.ID()) && !e.Message.Mentions(ann.ID()) {
				called.Add(1)
			}
			hears(e)
		}
	})
	poller := client.Poll(ctx, bot.Account, client.PollOptions{Event: func(e *client.Event) {
		if e.Message.Mentions(bot.ID()) {
			polled.Add(1)
		}
	}})
	t.Cleanup(poller.Close)
	if err := poller.WaitLive(ctx); err != nil {
		t.Fatal(err)
	}

	name := "@" + strings.ToUpper(bot.Username)
	if err := annLaptop.Draft(ctx, room, name+", please", said.Seq); err != nil {
		t.Fatal(err)
	}
	annPhone.Hears("the draft", func(e *wire.Event) bool {
		return e.Type == chat.EventDraft && e.RoomID == room && e.Draft != nil && e.Draft.Text == name+", please"
	})
	node.Kill()
	node.Start()
	node.WaitReady()
	draft, err := ann.Draft(ctx, room)
	if err != nil || draft == nil || draft.Text != name+", please" || draft.ReplyTo != said.Seq {
		t.Fatalf("after the crash the draft is %+v, %v", draft, err)
	}
	if e := ann.Entry(room); e.Draft == nil || *e.Draft != *draft {
		t.Errorf("in the list it is %+v", e.Draft)
	}
	if e := bot.Entry(room); e.Draft != nil {
		t.Errorf("the bot sees %+v", e.Draft)
	}
	annPhone.Says(room, draft.Text+" answer")
	if err := ann.KeepDraft(ctx, room, "", 0); err != nil {
		t.Fatal(err)
	}
	annLaptop.Hears("that the draft is gone", func(e *wire.Event) bool {
		return e.Type == chat.EventDraft && e.RoomID == room && e.Draft == nil
	})
	botPhone.HearsText(room, draft.Text+" answer")
	harness.WaitFor(t, "the bot is called on both ways", func() bool { return called.Load() == 1 && polled.Load() == 1 })
	if draft, err := ann.Draft(ctx, room); err != nil || draft != nil {
		t.Errorf("the draft is %+v, %v", draft, err)
	}
}
