package auth

import (
	"cmp"
	"context"
	"time"

	"natter/chat"
)

// claimGrace is how long a name is held for a sign-up that has not made its
// account yet. After it the sign-up counts as cut short by a crash.
const claimGrace = time.Minute

// maxRaces is how often a change is tried again when another came first. With
// one person's few devices behind a record, more than a few means a fault.
const maxRaces = 20

var errRaces = chat.Unavailable("too many changes at once", time.Second)

var errTaken = chat.Conflict("username", "is taken, or looks like one that is")

// SignUp makes an account and signs in to it. Of people who want a name, or
// look-alikes of one, at once, one gets it; the others get conflict.
func (s *Service) SignUp(ctx context.Context, c Credentials) (Session, error) {
	name, err := parseUsername("username", c.Username)
	if err != nil {
		return Session{}, err
	}
	secret, err := parsePassword("password", c.Password, name.folded)
	if err != nil {
		return Session{}, err
	}
	shown, err := chat.CheckName("name", cmp.Or(c.Name, name.folded), chat.MaxNameRunes)
	if err != nil {
		return Session{}, err
	}
	device, err := chat.CheckLine("device_name", c.DeviceName, chat.MaxDeviceRunes)
	if err != nil {
		return Session{}, err
	}
	if reserved(name) {
		return Session{}, errTaken
	}
	if err := s.signUps.take(addressKey(c.Addr), s.o.Now()); err != nil {
		return Session{}, err
	}
	// A look before the costly sum; the claim below decides.
	if _, _, err := s.vacancy(ctx, name); err != nil {
		return Session{}, err
	}
	hash, err := s.hasher.hash(ctx, secret)
	if err != nil {
		return Session{}, err
	}
	id, err := s.newID()
	if err != nil {
		return Session{}, err
	}
	made := account{
		versioned: versioned{recordVersion}, User: chat.NewUserID(id), Username: name.folded, Password: hash,
		CreatedAt: s.millis(), Name: shown, Visibility: VisibleToEveryone, Familiar: [][]byte{s.addressMark(c.Addr)},
	}
	if err := s.claimName(ctx, name, made.User); err != nil {
		return Session{}, err
	}
	revision, err := s.o.Records.Put(ctx, accountKey(made.User), encode(made), 0)
	if chat.KindOf(err) == chat.KindConflict {
		return Session{}, errTaken // we took longer than claimGrace, and lost it
	}
	if err != nil {
		return Session{}, err
	}
	s.know(&made, revision)
	s.o.Log.Info("an account was made", "user", made.User)
	return s.begin(ctx, &made, device)
}

// vacancy tells whether a name can be had: the revision at which to take it,
// and the user of the sign-up that was cut short, if there was one; conflict.
//
// A claim without its account is either seconds old, its owner about to make
// the account, or what a crash left. See claimName.
func (s *Service) vacancy(ctx context.Context, name username) (revision uint64, cutShort chat.UserID, err error) {
	var held claim
	revision, err = get(ctx, s.o.Records, nameKey(name.skeleton), &held)
	if chat.KindOf(err) == chat.KindNotFound {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	var owner account
	_, err = get(ctx, s.o.Records, accountKey(held.User), &owner)
	switch {
	case err == nil && owner.Void:
		return revision, held.User, nil
	case chat.KindOf(err) == chat.KindNotFound && s.o.Now().Sub(held.At.Time()) > claimGrace:
		return revision, held.User, nil
	case err == nil, chat.KindOf(err) == chat.KindNotFound:
		return 0, "", errTaken
	}
	return 0, "", err
}

// claimName takes a name for user. Taking one from a sign-up that was cut short
// first writes a void account in its place: had its owner been slow rather than
// dead, its own write (of revision 0) would fail from then on, so that there is
// never an account without its name.
func (s *Service) claimName(ctx context.Context, name username, user chat.UserID) error {
	revision, cutShort, err := s.vacancy(ctx, name)
	if err != nil {
		return err
	}
	if cutShort != "" {
		void := account{versioned: versioned{recordVersion}, User: cutShort, CreatedAt: s.millis(), Void: true}
		if _, err := s.o.Records.Put(ctx, accountKey(cutShort), encode(void), 0); chat.KindOf(err) == chat.KindConflict {
			// It exists by now: made by its owner, or voided by another taker.
			if revision, _, err = s.vacancy(ctx, name); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	mine := claim{versioned{recordVersion}, user, s.millis()}
	_, err = s.o.Records.Put(ctx, nameKey(name.skeleton), encode(mine), revision)
	if chat.KindOf(err) == chat.KindConflict {
		return errTaken
	}
	return err
}

// find reads the account of a username. Nil without an error if there is none:
// a look-alike of someone's name is nobody's either.
func (s *Service) find(ctx context.Context, name username) (*account, uint64, error) {
	var held claim
	_, err := get(ctx, s.o.Records, nameKey(name.skeleton), &held)
	if chat.KindOf(err) == chat.KindNotFound {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	a, revision, err := s.account(ctx, held.User)
	if chat.KindOf(err) == chat.KindNotFound || err == nil && a.Username != name.folded {
		return nil, 0, nil
	}
	return a, revision, err
}

// account reads a person's record; KindNotFound for a void one too.
func (s *Service) account(ctx context.Context, u chat.UserID) (*account, uint64, error) {
	var a account
	revision, err := get(ctx, s.o.Records, accountKey(u), &a)
	if err != nil {
		return nil, 0, err
	}
	if a.Void {
		return nil, 0, chat.NotFound("user")
	}
	return &a, revision, nil
}

// change applies f to a person's account and stores it, again if somebody else
// changed it meanwhile. f may refuse, which changes nothing.
func (s *Service) change(ctx context.Context, u chat.UserID, f func(*account) error) (*account, error) {
	for range maxRaces {
		a, revision, err := s.account(ctx, u)
		if err != nil {
			return nil, err
		}
		if err := f(a); err != nil {
			return nil, err
		}
		revision, err = s.o.Records.Put(ctx, accountKey(u), encode(a), revision)
		if chat.KindOf(err) == chat.KindConflict {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.know(a, revision)
		return a, nil
	}
	return nil, errRaces
}

// newID makes a Snowflake; a node that may not make any now is unavailable.
func (s *Service) newID() (chat.MessageID, error) {
	id, err := s.o.NewID()
	if err != nil {
		s.o.Log.Error("no id can be made", "err", err)
		return 0, chat.Unavailable("this node can't do that at the moment", time.Second)
	}
	return id, nil
}
