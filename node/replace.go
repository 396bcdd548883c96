package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"natter/chat"
	"natter/jetstream"
)

// A member is replaced: the store that comes under its name takes its store's place.
//
//	the newcomer      has an empty data directory and the old one's name, knocks, and is
//	                  turned away: its store isn't the roll's
//	looking           every other member answers, none has a route to the old one, and each
//	                  has all of every stream: then nothing that was acknowledged is
//	                  only on the store that is given up
//	barring           the roll says who comes next: the old store gets no route any more,
//	                  to nobody, when all others have that on their disks
//	looking again     of what can't change by the old store now
//	letting in        the roll has the new store; it knocks once more, and is filled
//
// Without the last look the old one could have come back for a moment in between, and
// acknowledged something together with one of the others. Whatever ends this half-way,
// the next order begins it again.

// Replacement is how far the replacement of a member is. Fields may be added.
type Replacement struct {
	Member string `json:"member"` // who is replaced
	State  string `json:"state"`
	Store  string `json:"store,omitempty"` // the newcomer's, when it is let in
	// Detail is what is waited for, for a person.
	Detail string `json:"detail"`
	// Behind are the streams that the newcomer hasn't all of yet; Refused says why it
	// isn't let in.
	Behind  []string `json:"behind"`
	Refused []string `json:"refused"`
}

// The states of a replacement.
const (
	ReplaceWaiting = "waiting" // for the newcomer to knock
	ReplaceRefused = "refused" // the others aren't fit to lose the old store
	ReplaceFilling = "filling" // it is let in, and hasn't everything yet
	ReplaceDone    = "done"    // the member is there, with the store of the roll, and has everything
)

// replaceLook bounds the time in which the others must have been seen to be fit.
const replaceLook = 12 * time.Second

// noReplacing says why an order makes no sense, whatever happens.
func noReplacing(kind chat.Kind, format string, args ...any) error {
	return &chat.Problem{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// replace replaces a member, or says what it waits for. It is called again until the
// state is done; store is then the newcomer's of before, so that no other one is let
// in by the way.
func (n *Node) replace(ctx context.Context, member, store string) (*Replacement, error) {
	if n.member == nil {
		return nil, noReplacing(chat.KindConflict, "this node is alone: there is no member to replace")
	}
	if !n.started.Load() {
		return nil, chat.Unavailable("this node is starting: "+n.stage.String(), time.Second)
	}
	n.replacing.Lock()
	defer n.replacing.Unlock()
	own := n.member.roll
	record, unread := own.readPatiently(ctx)
	if unread != nil {
		unread = chat.Unavailable(fmt.Sprintf("the roll of members can't be read now: %v", unread), time.Second)
		if record = own.current(); store != "" || len(record.Members) < own.size {
			return nil, unread
		}
	}
	m, known := record.Members[member]
	switch {
	case !known:
		return nil, noReplacing(chat.KindNotFound, "%s is no member of this cluster, its members are %s; a replacement takes the name of the one it replaces, and a certificate of that name", member, record.names())
	case member == n.config.Name:
		return nil, noReplacing(chat.KindConflict, "this is %s; another node must be told to replace it", member)
	case len(record.Members) < own.size:
		return nil, noReplacing(chat.KindConflict, "the roll has %s of %d members: each must have started once with a version that has it", record.names(), own.size)
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(record.Members)), func(name string) bool { return name == member })
	words, err := n.assents.ask(ctx, question{Member: member}, others)
	if err != nil {
		return nil, err
	}
	if unread != nil { // the others are why
		q := question{Member: member}
		return refuseReplace(member, append(whyNot(q, others, words, n.store.Leaders(ctx)), chat.ProblemOf(unread).Detail)), nil
	}
	next := newcomer(words)
	// A store that the roll has by now was turned away before it had.
	letIn := next == m.Store && m.Next == "" || store != "" && store == m.Store
	if letIn || linked(words, member) {
		if linked(words, member) {
			words, err = n.assents.ask(ctx, question{Member: member}, append(others, member))
		}
		if err != nil {
			return nil, err
		}
		return n.filling(ctx, member, m, words), nil
	}
	if next == "" {
		return &Replacement{Member: member, State: ReplaceWaiting, Detail: "waiting for a node of the name " + member + " with an empty data directory to start", Behind: []string{}, Refused: []string{}}, nil
	}
	return n.letReplace(ctx, record, member, next, others)
}

// linked tells whether anybody has a route to a member.
func linked(words map[string]assent, member string) bool {
	for _, w := range words {
		if w.Node == member || slices.Contains(w.Linked, member) {
			return true
		}
	}
	return false
}

// newcomer is the store that was turned away; empty if none was.
func newcomer(words map[string]assent) string {
	for _, name := range slices.Sorted(maps.Keys(words)) {
		if words[name].Newcomer != "" {
			return words[name].Newcomer
		}
	}
	return ""
}

// filling is how far a member is that has its place in the roll.
func (n *Node) filling(ctx context.Context, member string, m rollMember, words map[string]assent) *Replacement {
	r := &Replacement{Member: member, State: ReplaceFilling, Store: m.Store, Behind: []string{}, Refused: []string{}}
	w, answers := words[member]
	switch {
	case m.Next != "":
		r.State, r.Detail = ReplaceRefused, ""
		r.Refused = append(r.Refused, fmt.Sprintf("%s is connected with a store that is being replaced", member))
	case !linked(words, member):
		r.Detail = "it is let in, and connects"
	case !answers:
		r.Detail = "it is connected, and starts"
	default:
		r.Behind = append(r.Behind, w.Behind...)
		for _, l := range n.store.Leaders(ctx) {
			lacks := slices.ContainsFunc(l.Replicas, func(c jetstream.Replica) bool { return c.Node == member && (c.Offline || !c.Current) })
			if (lacks || l.Leader == "") && !slices.Contains(r.Behind, l.Stream) {
				r.Behind = append(r.Behind, l.Stream)
			}
		}
		if r.Detail = "it has everything"; len(r.Behind) == 0 {
			r.State = ReplaceDone
		} else {
			r.Detail = "it is filled; not everything yet of " + some(r.Behind)
		}
	}
	return r
}

func refuseReplace(member string, why []string) *Replacement {
	return &Replacement{Member: member, State: ReplaceRefused, Detail: "it is not let in", Behind: []string{}, Refused: why}
}

// letReplace lets the store next in, in place of member's, if the others are fit.
func (n *Node) letReplace(ctx context.Context, record rollRecord, member, next string, others []string) (*Replacement, error) {
	own := n.member.roll
	if why := n.unfit(ctx, question{Member: member}, others); len(why) > 0 {
		return refuseReplace(member, why), nil
	}
	m := record.Members[member]
	barred := m
	barred.Next = next
	record, err := own.write(ctx, record.with(member, barred))
	if err != nil {
		return nil, rollChange(err)
	}
	n.log.Warn("the operator has a member replaced; its store gets no route any more", "member", member, "store", m.Store, "next", next)
	if why := n.unfit(ctx, question{Member: member, Revision: record.Revision}, others); len(why) > 0 {
		m.Next = ""
		if _, err := own.write(context.WithoutCancel(ctx), record.with(member, m)); err != nil {
			why = append(why, fmt.Sprintf("the old store stays shut out, until the order is given again: %v", err))
		}
		return refuseReplace(member, why), nil
	}
	record, err = own.write(ctx, record.with(member, rollMember{Store: next, Since: chat.MillisOf(time.Now())}))
	if err != nil {
		return nil, rollChange(err)
	}
	n.log.Warn("a member is replaced: its new store is let in", "member", member, "store", next)
	// The others would read it with the newcomer's next try in any case.
	if _, err := n.assents.ask(ctx, question{Member: member, Revision: record.Revision}, others); err != nil {
		n.log.Debug("the others aren't told of the new roll", "err", err)
	}
	return &Replacement{Member: member, State: ReplaceFilling, Store: next, Detail: "it is let in, and connects", Behind: []string{}, Refused: []string{}}, nil
}

// rollChange is the error of a roll that couldn't be written.
func rollChange(err error) error {
	if chat.KindOf(err) == chat.KindConflict {
		return chat.Unavailable("another node changed the roll of members at the same moment; ask again", time.Second)
	}
	return chat.Unavailable(fmt.Sprintf("the roll of members can't be written now: %v", err), time.Second)
}

// unfit says why the others can't do without the member asked about, looking again for
// replaceLook; none: they can.
func (n *Node) unfit(ctx context.Context, q question, others []string) (why []string) {
	ctx, cancel := context.WithTimeout(ctx, replaceLook)
	defer cancel()
	for {
		words, err := n.assents.ask(ctx, q, others)
		if err != nil {
			why = []string{err.Error()}
		} else {
			why = whyNot(q, others, words, n.store.Leaders(ctx))
		}
		if len(why) == 0 || wait(ctx, 10*joinLook) != nil {
			return why
		}
	}
}

// whyNot holds what the others said, and the streams' leaders, against what a
// replacement needs.
func whyNot(q question, others []string, words map[string]assent, streams []jetstream.Leadership) (why []string) {
	say := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	for _, name := range others {
		w, answered := words[name]
		switch {
		case !answered:
			say("%s doesn't answer: it may be all that has what %s had", name, q.Member)
			continue
		case w.Problem != "":
			say("%s: %s", name, w.Problem)
		case w.Revision < q.Revision:
			say("%s has an older roll", name)
		}
		if slices.Contains(w.Linked, q.Member) {
			say("%s is connected to %s: stop it first", q.Member, name)
		}
		for _, other := range others {
			if other != name && !slices.Contains(w.Linked, other) {
				say("%s has no route to %s", name, other)
			}
		}
		if len(w.Behind) > 0 {
			say("%s hasn't all of %s yet", name, some(w.Behind))
		}
	}
	var headless, behind []string
	for _, l := range streams {
		if !slices.Contains(others, l.Leader) {
			headless = append(headless, l.Stream)
		}
		gone := 0
		for _, r := range l.Replicas {
			switch {
			case !slices.Contains(others, r.Node): // the member's; who started after it was gone doesn't know its name
				gone++
			case r.Offline || !r.Current:
				behind = append(behind, l.Stream+" on "+r.Node)
			}
		}
		if gone > 1 {
			behind = append(behind, fmt.Sprintf("%s on %d nodes", l.Stream, gone-1))
		}
	}
	if len(streams) == 0 || len(headless) > 0 {
		say("no leader answers for %s", some(headless))
	}
	if len(behind) > 0 {
		say("not all there: %s", some(behind))
	}
	return why
}
