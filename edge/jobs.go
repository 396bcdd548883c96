package edge

import (
	"context"
	"runtime/debug"
	"sync"

	"natter/chat"
	"natter/wire"
)

// jobs keeps a socket's requests in the order they came without letting the
// reader wait. Where the log is asynchronous and nothing waits, a command goes
// to it at once; whatever must ask a store first, and everything behind it,
// stands in line for a goroutine that lives as long as the line.
type jobs struct {
	s *session

	mu      sync.Mutex
	line    []func()
	working bool
	sent    int // commands that wait for the log
}

var errBusy = chat.TooMany("too many requests are under way on this socket", maxJobs, 0)

// add puts do in line; do may wait.
func (j *jobs) add(do func()) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.line) >= maxJobs {
		return errBusy
	}
	j.line = append(j.line, do)
	if !j.working {
		j.working = j.s.start(j.work)
	}
	return nil
}

// idle tells whether the line is empty and nobody works.
func (j *jobs) idle() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.working
}

func (j *jobs) work() {
	for {
		j.mu.Lock()
		if len(j.line) == 0 || j.s.life.Err() != nil {
			j.line, j.working = nil, false
			j.mu.Unlock()
			return
		}
		do := j.line[0]
		j.line[0] = nil
		j.line = j.line[1:]
		j.mu.Unlock()
		do()
	}
}

// start runs do as one of the session's goroutines; false when it has ended.
func (s *session) start(do func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.startLocked(do)
	return true
}

func (s *session) startLocked(do func()) {
	s.group.Go(func() {
		defer func() {
			if text := recover(); text != nil {
				s.e.Logger.Error("a session panicked", "panic", text, "stack", string(debug.Stack()))
				s.close(wire.CloseUnavailable, "")
			}
		}()
		do()
	})
}

// commit commits c in the order of the calls and answers its ref: answer makes
// the frame. ask, if there is one, is asked before; its true means that the
// request is answered already.
func (s *session) commit(ref string, c *chat.Command, answer func(chat.Result) []byte, ask func(context.Context) (bool, error)) error {
	done := func(r chat.Result, err error) {
		s.jobs.came()
		if err != nil {
			s.refuse(ref, err)
			return
		}
		s.put(answer(r))
	}
	if err := s.jobs.goes(); err != nil {
		return err
	}
	if ask == nil && s.e.async != nil && s.jobs.idle() {
		err := s.e.async.Submit(c, done)
		if err != nil {
			s.jobs.came()
		}
		return err
	}
	err := s.jobs.add(func() {
		if ask != nil {
			answered, err := ask(s.life)
			if err != nil {
				done(chat.Result{}, err)
				return
			}
			if answered {
				s.jobs.came()
				return
			}
		}
		if s.e.async == nil {
			done(s.e.Log.Append(s.life, c))
			return
		}
		if err := s.e.async.Submit(c, done); err != nil {
			done(chat.Result{}, err)
		}
	})
	if err != nil {
		s.jobs.came()
	}
	return err
}

// goes counts a command on its way to the log, came one that is back.
func (j *jobs) goes() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sent >= maxUnderWay {
		return errBusy
	}
	j.sent++
	return nil
}

func (j *jobs) came() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent--
}
