package auth

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"natter/chat"
)

// directory is every person in memory, about 400 bytes each. The zero value is
// empty and loading; ready ends the loading.
type directory struct {
	mu     sync.RWMutex
	people map[chat.UserID]*person
	sorted []*person // by username, then id; in order only after ready
	loaded bool
}

// person is never changed once it is in the directory, only replaced.
type person struct {
	User
	revision uint64 // of the account's record
	username string // as searched
	name     string // as searched
	gone     bool   // deleted; stays, so that an older put doesn't bring it back
}

// put takes a person as of revision; an older one than is known is dropped, so
// a node's own change isn't undone by the watch that comes after it.
func (d *directory) put(u User, revision uint64) {
	d.replace(&person{User: u, revision: revision, username: searchForm(u.Username), name: searchForm(u.Name)})
}

func (d *directory) remove(id chat.UserID, revision uint64) {
	d.replace(&person{User: User{ID: id}, revision: revision, gone: true})
}

func (d *directory) replace(p *person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.people == nil {
		d.people = map[chat.UserID]*person{}
	}
	old := d.people[p.ID]
	if old != nil && old.revision >= p.revision {
		return
	}
	d.people[p.ID] = p
	if !d.loaded {
		return // ready makes the order
	}
	if old != nil && !old.gone {
		if i, ok := slices.BinarySearchFunc(d.sorted, old, byUsername); ok {
			d.sorted = slices.Delete(d.sorted, i, i+1)
		}
	}
	if !p.gone {
		i, _ := slices.BinarySearchFunc(d.sorted, p, byUsername)
		d.sorted = slices.Insert(d.sorted, i, p)
	}
}

func (d *directory) ready() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loaded = true
	for _, p := range d.people {
		if !p.gone {
			d.sorted = append(d.sorted, p)
		}
	}
	slices.SortFunc(d.sorted, byUsername)
}

func byUsername(a, b *person) int {
	return cmp.Or(strings.Compare(a.username, b.username), strings.Compare(string(a.ID), string(b.ID)))
}

func (d *directory) user(id chat.UserID) (User, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := d.people[id]
	if p == nil || p.gone {
		return User{}, false
	}
	return p.User, true
}

// named finds a person by their folded username. Those whose usernames differ by
// what search doesn't look at stand side by side.
func (d *directory) named(folded string) (chat.UserID, bool) {
	q := searchForm(folded)
	d.mu.RLock()
	defer d.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(d.sorted, q, func(p *person, q string) int { return strings.Compare(p.username, q) })
	for ; i < len(d.sorted) && d.sorted[i].username == q; i++ {
		if d.sorted[i].Username == folded {
			return d.sorted[i].ID, true
		}
	}
	return "", false
}

// The ways to match, best first.
const (
	matchUsername = iota
	matchUsernamePrefix
	matchNamePrefix
	matchWordPrefix
	matchInside
	noMatch
)

func (d *directory) search(query string, limit int) []User {
	q := searchForm(strings.TrimSpace(query))
	if q == "" || limit <= 0 {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var found [noMatch][]*person
	// Usernames that begin with q stand side by side. If they fill the answer,
	// nobody else needs to be looked at.
	first, _ := slices.BinarySearchFunc(d.sorted, q, func(p *person, q string) int { return strings.Compare(p.username, q) })
	next := first
	for ; next < len(d.sorted) && strings.HasPrefix(d.sorted[next].username, q) && next-first < limit; next++ {
		way := match(d.sorted[next], q)
		found[way] = append(found[way], d.sorted[next])
	}
	if next-first < limit {
		for i, p := range d.sorted {
			if i >= first && i < next {
				continue
			}
			if way := match(p, q); way != noMatch && len(found[way]) < limit {
				found[way] = append(found[way], p)
			}
		}
	}
	var users []User
	for _, p := range slices.Concat(found[:]...) {
		if len(users) == limit {
			break
		}
		users = append(users, p.User)
	}
	return users
}

func match(p *person, q string) int {
	switch {
	case p.username == q:
		return matchUsername
	case strings.HasPrefix(p.username, q):
		return matchUsernamePrefix
	case strings.HasPrefix(p.name, q):
		return matchNamePrefix
	case strings.Contains(p.name, " "+q):
		return matchWordPrefix
	case strings.Contains(p.name, q), strings.Contains(p.username, q):
		return matchInside
	}
	return noMatch
}

// searchForm is what search compares: compatibility-decomposed, case folded,
// without the accents of Latin, Greek and Cyrillic. Decomposed Hangul makes 기
// the beginning of 김 and ㄱ that of both.
func searchForm(s string) string {
	plain := func(s string) string {
		for i := 0; i < len(s); i++ {
			if s[i] >= 0x80 || s[i] >= 'A' && s[i] <= 'Z' {
				return ""
			}
		}
		return s
	}(s)
	if plain != "" {
		return plain
	}
	s = norm.NFKD.String(cases.Fold().String(norm.NFKD.String(s)))
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x300 && r <= 0x36f:
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
}
