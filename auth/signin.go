package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"

	"natter/chat"
)

// The refusal that says nothing about what was wrong: it is the same for an
// account that exists and for one that does not.
var errCredentials = chat.Unauthenticated("the username or the password is wrong")

// maxFamiliar is how many addresses an account remembers; the oldest goes.
const maxFamiliar = 16

// addressMark is what is stored of an address: enough to know it again, not
// enough to read it without the cluster's key.
func (s *Service) addressMark(addr string) []byte {
	return s.signer.sign(nil, "address.", []byte(addressKey(addr)))[:8]
}

func (a *account) knows(mark []byte) bool {
	return slices.ContainsFunc(a.Familiar, func(m []byte) bool { return bytes.Equal(m, mark) })
}

func (a *account) remember(mark []byte) {
	if a.knows(mark) {
		return
	}
	if len(a.Familiar) >= maxFamiliar {
		a.Familiar = a.Familiar[len(a.Familiar)-maxFamiliar+1:]
	}
	a.Familiar = append(a.Familiar, mark)
}

// SignIn makes a session for who knows the password. Everything else about the
// refusal, its text and its time too, is the same for a wrong password and for
// an account that doesn't exist.
func (s *Service) SignIn(ctx context.Context, c Credentials) (Session, error) {
	device, err := chat.CheckLine("device_name", c.DeviceName, chat.MaxDeviceRunes)
	if err != nil {
		return Session{}, err
	}
	name, invalid := parseUsername("username", c.Username)
	if invalid != nil {
		name = username{folded: "", skeleton: "\x00"} // nobody's
	}
	secret, possible := foldPassword(c.Password)
	if !possible {
		secret = ""
	}
	now, key := s.o.Now(), nameKey(name.skeleton)
	address := addressKey(c.Addr)
	if err := s.addresses.take(address, now); err != nil {
		return Session{}, err
	}
	if err := s.pairs.take(key+" "+address, now); err != nil {
		return Session{}, err
	}
	a, _, err := s.find(ctx, name)
	if err != nil {
		return Session{}, err
	}
	mark := s.addressMark(c.Addr)
	known := a != nil && a.knows(mark)
	if !known {
		if err := s.strangers.take(key, now); err != nil {
			return Session{}, err
		}
	}
	stored := ""
	if a != nil {
		stored = a.Password
	}
	right, err := s.hasher.verify(ctx, stored, secret)
	if err != nil {
		return Session{}, err
	}
	if !right || !possible {
		return Session{}, errCredentials
	}
	now = s.o.Now()
	s.addresses.giveBack(address, now)
	s.pairs.giveBack(key+" "+address, now)
	if err := s.sessions.take(string(a.User), now); err != nil {
		return Session{}, err
	}
	if !known {
		s.strangers.giveBack(key, now)
		generation := a.Generation
		a, err = s.change(ctx, a.User, func(a *account) error {
			if a.Generation != generation {
				return errCredentials // the password changed under us
			}
			a.remember(mark)
			return nil
		})
		if err != nil {
			return Session{}, err
		}
	}
	return s.begin(ctx, a, device)
}

// ChangePassword replaces the password and ends every other session; the one
// that asks goes on.
func (s *Service) ChangePassword(ctx context.Context, who Identity, old, next string) error {
	a, _, err := s.account(ctx, who.User)
	if err != nil {
		return err
	}
	secret, err := parsePassword("new_password", next, a.Username)
	if err != nil {
		return err
	}
	if err := s.changes.take(string(who.User), s.o.Now()); err != nil {
		return err
	}
	before, possible := foldPassword(old)
	right, err := s.hasher.verify(ctx, a.Password, before)
	if err != nil {
		return err
	}
	if !right || !possible {
		return chat.Invalid("old_password", "is not your password")
	}
	s.changes.giveBack(string(who.User), s.o.Now())
	hash, err := s.hasher.hash(ctx, secret)
	if err != nil {
		return err
	}
	checked := a.Password
	_, err = s.change(ctx, who.User, func(a *account) error {
		if a.Password != checked {
			return chat.Conflict("old_password", "was changed from another device at this moment")
		}
		a.Password = hash
		a.Generation++
		a.Kept = who.Device
		return nil
	})
	if err != nil {
		return err
	}
	// From here on no other session can be continued. Ending them also ends
	// what they have in hand.
	sessions, err := collect[session](ctx, s.o.Records, sessionPrefix+"."+string(who.User))
	if err != nil {
		return err
	}
	var failed error
	for _, one := range sessions {
		if one.value.Device != who.Device {
			failed = errors.Join(failed, s.end(ctx, who.User, one.value.Device))
		}
	}
	return failed
}

// sameHash compares in constant time.
func sameHash(stored []byte, sum [sha256.Size]byte) bool { return hmac.Equal(stored, sum[:]) }
