package auth

import (
	"context"
	"strings"
	"sync"
	"time"

	"natter/chat"
)

// revocations is the set of devices whose access tokens no longer count. A
// device never comes back: signing in again makes a new one.
type revocations struct {
	mu       sync.RWMutex
	devices  map[chat.DeviceID]chat.Millis // since when
	handlers []func(chat.UserID, chat.DeviceID)
}

func (r *revocations) has(d chat.DeviceID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.devices[d]
	return ok
}

// add tells the handlers, on the caller's goroutine, if d is new in the set.
func (r *revocations) add(u chat.UserID, d chat.DeviceID, at chat.Millis) {
	r.mu.Lock()
	if _, known := r.devices[d]; known {
		r.mu.Unlock()
		return
	}
	if r.devices == nil {
		r.devices = map[chat.DeviceID]chat.Millis{}
	}
	r.devices[d] = at
	handlers := r.handlers
	r.mu.Unlock()
	for _, handle := range handlers {
		handle(u, d)
	}
}

func (r *revocations) remove(d chat.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.devices, d)
}

// OnRevoked has handle called for each session that ends before its time: at
// once when this node ended it, within the watch's delay when another did; once
// for each. handle must not block. Sessions that had ended before Open are not
// told. Add handlers before there is traffic.
func (s *Service) OnRevoked(handle func(chat.UserID, chat.DeviceID)) {
	s.revoked.mu.Lock()
	defer s.revoked.mu.Unlock()
	// A copy, because add calls the slice it saw without the lock.
	s.revoked.handlers = append(s.revoked.handlers[:len(s.revoked.handlers):len(s.revoked.handlers)], handle)
}

func (s *Service) sawTombstone(key string, value []byte, _ uint64) {
	device := chat.DeviceID(strings.TrimPrefix(key, revokedPrefix+"."))
	if value == nil {
		s.revoked.remove(device)
		return
	}
	var t tombstone
	if err := decode(key, value, &t); err != nil {
		// Unreadable, but it says that this device is out.
		s.o.Log.Error("a revocation can't be read", "key", key, "err", err)
	}
	s.revoked.add(t.User, device, t.At)
}

// end revokes a session: tombstone first, so that whatever fails afterwards the
// device stays out; prune removes what a crash in between leaves.
func (s *Service) end(ctx context.Context, u chat.UserID, d chat.DeviceID) error {
	now := s.millis()
	stone := tombstone{versioned{recordVersion}, u, now}
	if _, err := s.o.Records.Put(ctx, revokedKey(d), encode(stone), 0); err != nil && chat.KindOf(err) != chat.KindConflict {
		return err
	}
	s.revoked.add(u, d, now)
	return s.forget(ctx, u, d)
}

// forget deletes a session's record, whoever changes it meanwhile.
func (s *Service) forget(ctx context.Context, u chat.UserID, d chat.DeviceID) error {
	for range maxRaces {
		_, revision, err := s.o.Records.Get(ctx, sessionKey(u, d))
		if chat.KindOf(err) == chat.KindNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.o.Records.Delete(ctx, sessionKey(u, d), revision); chat.KindOf(err) != chat.KindConflict {
			return err
		}
	}
	return errRaces
}

func (s *Service) pruneEachHour(ctx context.Context) {
	ticker := time.NewTicker(pruneEach)
	defer ticker.Stop()
	for round := 0; ; round++ {
		err := s.prune(ctx)
		if err == nil && round%24 == 0 { // it reads them all: once a day is enough
			err = s.pruneSessions(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.o.Log.Warn("old sessions could not be removed; the next hour tries again", "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// prune removes tombstones that no access token can outlive. All nodes do it;
// whoever comes second finds nothing.
func (s *Service) prune(ctx context.Context) error {
	now := s.millis()
	stones, err := collect[tombstone](ctx, s.o.Records, revokedPrefix)
	if err != nil {
		return err
	}
	for key, stone := range stones {
		// A node whose clock is behind may still take tokens: twice the time.
		if now-stone.value.At < 2*chat.Millis(s.o.AccessTTL.Milliseconds()) {
			continue
		}
		device := chat.DeviceID(strings.TrimPrefix(key, revokedPrefix+"."))
		if stone.value.User != "" {
			if err := s.forget(ctx, stone.value.User, device); err != nil {
				return err
			}
		}
		if err := ignoreConflict(s.o.Records.Delete(ctx, key, stone.revision)); err != nil {
			return err
		}
		s.revoked.remove(device)
	}
	return nil
}

// pruneSessions removes the records of sessions that have expired.
func (s *Service) pruneSessions(ctx context.Context) error {
	now := s.millis()
	sessions, err := collect[session](ctx, s.o.Records, sessionPrefix)
	if err != nil {
		return err
	}
	for key, one := range sessions {
		if one.value.ended(now) {
			if err := ignoreConflict(s.o.Records.Delete(ctx, key, one.revision)); err != nil {
				return err
			}
		}
	}
	return nil
}

func ignoreConflict(err error) error {
	if chat.KindOf(err) == chat.KindConflict {
		return nil
	}
	return err
}
