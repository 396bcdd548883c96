package chat

import (
	"fmt"
	"time"
)

// ContactState is how one person stands to another; the texts are the wire's.
type ContactState string

// The states.
const (
	ContactNone     ContactState = "none"
	ContactOutgoing ContactState = "outgoing" // asked, and not answered yet
	ContactIncoming ContactState = "incoming" // the other has asked
	ContactFriend   ContactState = "friend"
)

// Contact is one person's view of another.
type Contact struct {
	State ContactState
	Since Millis // 0 for none
}

// The counts and times of contacts. GET /v1/server publishes them under the names
// in the comments.
const (
	MaxContacts = 1000 // contacts: friends a person has
	MaxOutgoing = 200  // contact_requests: requests of a person that wait for an answer
	MaxIncoming = 1000 // contact_requests_incoming: requests that wait for a person's answer
	MaxBlocks   = 1000 // blocks: people a person has blocked
	// AskAgain (contact_again_seconds) is how long a person who declined isn't asked
	// by the same one again.
	AskAgain = 24 * time.Hour
)

// Pair is two people and what stands between them: one record, so that neither
// ever sees half of a change. Low is the lower id.
//
// A block only hides. What the blocked one asks stands in the record, and the
// blocker sees it when the block is lifted: so nothing that the blocked one is
// answered, now or later, differs from what anybody else is answered.
//
// At most one of the two has asked; friends have neither asked nor blocked.
type Pair struct {
	Low     UserID  `cbor:"1,keyasint"`
	High    UserID  `cbor:"2,keyasint"`
	Friends Millis  `cbor:"3,keyasint,omitempty"` // since when; 0: they aren't
	Sides   [2]Side `cbor:"4,keyasint"`           // Low's, High's
}

// Side is what one of a Pair has done.
type Side struct {
	Asked    Millis `cbor:"1,keyasint,omitempty"` // when, if that waits for an answer
	Blocked  Millis `cbor:"2,keyasint,omitempty"` // since when the other is blocked
	Declined Millis `cbor:"3,keyasint,omitempty"` // when the other's request was last declined
}

// NewPair is two people with nothing between them. It panics if they are one.
func NewPair(a, b UserID) Pair {
	if a == b {
		panic("chat: a pair is two people")
	}
	if a > b {
		a, b = b, a
	}
	return Pair{Low: a, High: b}
}

// side is u's place in Sides. It panics for who isn't of the pair.
func (p *Pair) side(u UserID) int {
	switch u {
	case p.Low:
		return 0
	case p.High:
		return 1
	}
	panic("chat: a third person in a pair")
}

// Other is who stands to u in this pair.
func (p *Pair) Other(u UserID) UserID {
	if u == p.Low {
		return p.High
	}
	return p.Low
}

// Contact is how u sees the other. Who has blocked somebody sees nothing of them.
func (p *Pair) Contact(u UserID) Contact {
	side := p.side(u)
	mine, theirs := p.Sides[side], p.Sides[1-side]
	switch {
	case p.Friends != 0:
		return Contact{ContactFriend, p.Friends}
	case mine.Blocked != 0:
	case mine.Asked != 0:
		return Contact{ContactOutgoing, mine.Asked}
	case theirs.Asked != 0:
		return Contact{ContactIncoming, theirs.Asked}
	}
	return Contact{State: ContactNone}
}

// BlockedBy is since when u has blocked the other, 0 if they haven't.
func (p *Pair) BlockedBy(u UserID) Millis { return p.Sides[p.side(u)].Blocked }

// Barred tells whether either has blocked the other.
func (p *Pair) Barred() bool { return p.Sides[0].Blocked != 0 || p.Sides[1].Blocked != 0 }

// Bar is why u may not reach the other directly; nil if nothing is in the way.
// Who has blocked is told so. Who is blocked gets a refusal that says nothing of
// the other one.
func (p *Pair) Bar(u UserID) *Problem {
	switch {
	case p.BlockedBy(u) != 0:
		return Conflict("", "you have blocked this person; unblock them first")
	case p.Barred():
		return Forbidden("this room takes nothing new")
	}
	return nil
}

// Idle tells whether there is nothing to see between the two.
func (p *Pair) Idle() bool {
	return p.Friends == 0 && p.Sides[0].Asked == 0 && p.Sides[1].Asked == 0 && !p.Barred()
}

// rest is how long the one who declined isn't to be asked yet.
func (s *Side) rest(now Millis) time.Duration {
	if s.Declined == 0 {
		return 0
	}
	return AskAgain - time.Duration(now-s.Declined)*time.Millisecond
}

// ContactAct is what one person does about another.
type ContactAct uint8

// The acts.
const (
	ActAsk     ContactAct = iota // ask, or accept when the other has asked
	ActDrop                      // end the friendship, take back one's request, or decline theirs
	ActBlock                     // block, which ends the friendship and takes back one's request
	ActUnblock                   // lift the block
)

// ContactCounts is how much a person has already.
type ContactCounts struct {
	Friends, Outgoing, Incoming, Blocks int
}

// contactRules is the dispatch table: mine is the side that acts, counts are by
// side too.
var contactRules = [...]func(p *Pair, mine int, now Millis, counts *[2]ContactCounts) *Problem{
	ActAsk:     (*Pair).ask,
	ActDrop:    (*Pair).drop,
	ActBlock:   (*Pair).block,
	ActUnblock: (*Pair).unblock,
}

// Apply decides by's act. An act that changes nothing is no refusal: acts may be
// said twice. mine and theirs are by's counts and the other's. A refused act
// changes nothing.
func (p *Pair) Apply(act ContactAct, by UserID, now Millis, mine, theirs ContactCounts) *Problem {
	side := p.side(by)
	counts := &[2]ContactCounts{mine, theirs}
	if side == 1 {
		counts = &[2]ContactCounts{theirs, mine}
	}
	return contactRules[act](p, side, now, counts)
}

const contactField = "user_id"

func (p *Pair) ask(mine int, now Millis, counts *[2]ContactCounts) *Problem {
	me, they := &p.Sides[mine], &p.Sides[1-mine]
	switch {
	case me.Blocked != 0:
		return Conflict(contactField, "you have blocked this person; unblock them first")
	case p.Friends != 0, me.Asked != 0:
		return nil
	case counts[mine].Friends >= MaxContacts:
		return TooMany(fmt.Sprintf("a person has at most %d contacts", MaxContacts), MaxContacts, 0)
	case they.Asked != 0:
		return p.accept(mine, now, counts)
	case they.rest(now) > 0:
		return TooMany("they have declined; ask again later", 0, they.rest(now))
	case counts[mine].Outgoing >= MaxOutgoing:
		return TooMany(fmt.Sprintf("at most %d requests wait for an answer; take one back first", MaxOutgoing), MaxOutgoing, 0)
	case counts[1-mine].Incoming >= MaxIncoming:
		return TooMany(fmt.Sprintf("at most %d requests wait for a person's answer; they have to answer some first", MaxIncoming), MaxIncoming, 0)
	}
	me.Asked, me.Declined = now, 0
	return nil
}

func (p *Pair) accept(mine int, now Millis, counts *[2]ContactCounts) *Problem {
	if counts[1-mine].Friends >= MaxContacts {
		return TooMany(fmt.Sprintf("they have %d contacts already, which is all a person may have", MaxContacts), MaxContacts, 0)
	}
	p.Friends, p.Sides = now, [2]Side{}
	return nil
}

func (p *Pair) drop(mine int, now Millis, _ *[2]ContactCounts) *Problem {
	me, they := &p.Sides[mine], &p.Sides[1-mine]
	switch {
	case p.Friends != 0:
		p.Friends = 0
	case me.Blocked != 0: // there is nothing to see, and so nothing to drop
	case me.Asked != 0:
		me.Asked = 0
	case they.Asked != 0:
		they.Asked, me.Declined = 0, now
	}
	return nil
}

func (p *Pair) block(mine int, now Millis, counts *[2]ContactCounts) *Problem {
	me := &p.Sides[mine]
	switch {
	case me.Blocked != 0:
		return nil
	case counts[mine].Blocks >= MaxBlocks:
		return TooMany(fmt.Sprintf("a person blocks at most %d people", MaxBlocks), MaxBlocks, 0)
	}
	p.Friends, me.Asked, me.Blocked = 0, 0, now
	return nil
}

func (p *Pair) unblock(mine int, _ Millis, _ *[2]ContactCounts) *Problem {
	p.Sides[mine].Blocked = 0
	return nil
}
