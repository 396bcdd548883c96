package auth

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"natter/chat"
)

// MaxMentioned bounds the names of one text that are looked up: more than a
// message can mention, since those of people who aren't in the room count too.
const MaxMentioned = 4 * chat.MaxMentions

// Mentioned are the people whose usernames stand in a text behind an @, in the
// text's order and each once, as far as this node has seen their accounts. Of a
// text with more than MaxMentioned different names the first are looked up.
func (s *Service) Mentioned(text string) []chat.UserID {
	var users []chat.UserID
	for _, name := range mentions(text) {
		if u, ok := s.people.named(name); ok && !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	return users
}

// mentions are the folded usernames behind the @s of a text, in order, each once
// and at most MaxMentioned. An @ counts at the text's beginning and behind what
// can't be in a username, so an address of e-mail is none. A name is folded as
// usernames are and goes on for as long as a username can:
//
//	@Minsu, hi       minsu     @min.su.        min.su      mail@minsu.example   —
//	@ＭＩＮＳＵ         minsu     @minsu…         minsu       @minsu_              minsu
//	@minsu님          minsu님   @minsuПривет    minsu       @@minsu              minsu
//
// What would be longer than a username may be names nobody.
func mentions(text string) []string {
	var names []string
	for at := strings.IndexByte(text, '@'); at >= 0 && len(names) < MaxMentioned; {
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		end := at + 1 + wordLength(text[at+1:])
		if at == 0 || !wordRune(before) {
			if name := leadingName(text[at+1 : end]); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		next := strings.IndexByte(text[end:], '@')
		if next < 0 {
			break
		}
		at = end + next
	}
	return names
}

// wordLength is how many bytes of s, from its beginning, may be of a username
// before it is folded.
func wordLength(s string) int {
	for i, r := range s {
		if !wordRune(r) {
			return i
		}
	}
	return len(s)
}

// wordRune tells whether r, folded, may be of a username: a letter, a digit, a
// mark or a separator. Half syllables are letters: folding joins them.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(separators, r)
	}
	if unicode.IsLetter(r) || unicode.IsNumber(r) {
		return true
	}
	if unicode.IsMark(r) {
		return !unicode.Is(unicode.Variation_Selector, r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
	}
	folded := fold(string(r))
	return len(folded) == 1 && strings.Contains(separators, folded)
}

// leadingName is the longest username that word, which is not folded yet, begins
// with; empty if there is none, or if it is too long for one.
func leadingName(word string) string {
	if most := 16 * chat.MaxUsernameRunes; len(word) > most { // as much as parseUsername looks at
		for word = word[:most]; !utf8.ValidString(word); {
			word = word[:len(word)-1]
		}
	}
	word = fold(word)
	var found scripts
	var before rune
	end := 0
	for i, r := range word {
		one, separator := scripts(0), strings.ContainsRune(separators, r)
		switch {
		case r >= '0' && r <= '9':
		case separator:
			if before == 0 || strings.ContainsRune(separators, before) {
				return ofLength(word[:end])
			}
		default:
			one = scriptOf(r)
			if one == 0 || unicode.IsMark(r) && (before == 0 || !unicode.IsLetter(before) && !unicode.IsMark(before)) || !(found | one).customary() {
				return ofLength(word[:end])
			}
		}
		found |= one
		before = r
		if !separator {
			end = i + utf8.RuneLen(r)
		}
	}
	return ofLength(word[:end])
}

// ofLength is s if it has a username's length, else nothing.
func ofLength(s string) string {
	if n := utf8.RuneCountInString(s); n < chat.MinUsernameRunes || n > chat.MaxUsernameRunes {
		return ""
	}
	return s
}
