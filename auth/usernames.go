package auth

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"natter/chat"
)

// username is a valid one, folded, with the skeleton that its look-alikes share.
type username struct {
	folded   string
	skeleton string
}

// fold is NFKC and full case folding until nothing changes any more: the form
// in which usernames are kept and compared. Full-width and mathematical letters
// become plain ones, Hangul becomes syllables.
func fold(s string) string {
	for range 4 { // two rounds are enough for every text known; the bound is for the unknown
		next := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
		if next == s {
			break
		}
		s = next
	}
	return s
}

// parseUsername checks and folds a name someone wants to sign up with, or in.
// Reserved names are not looked at here (see reserved).
func parseUsername(field, s string) (username, error) {
	if !utf8.ValidString(s) {
		return username{}, chat.Invalid(field, "must be valid UTF-8")
	}
	if len(s) > 16*chat.MaxUsernameRunes {
		return username{}, usernameTooLong(field)
	}
	s = fold(s)
	switch n := utf8.RuneCountInString(s); {
	case n < chat.MinUsernameRunes:
		return username{}, &chat.Problem{Kind: chat.KindInvalid, Field: field, Limit: chat.MinUsernameRunes,
			Detail: fmt.Sprintf("must be at least %d characters", chat.MinUsernameRunes)}
	case n > chat.MaxUsernameRunes:
		return username{}, usernameTooLong(field)
	}
	if err := checkLetters(field, s); err != nil {
		return username{}, err
	}
	return username{folded: s, skeleton: skeleton(s)}, nil
}

func usernameTooLong(field string) error {
	return chat.TooLarge(field, fmt.Sprintf("must be at most %d characters", chat.MaxUsernameRunes), chat.MaxUsernameRunes)
}

const separators = "._-"

// checkLetters holds a folded name to letters, ASCII digits and single inner
// separators, and its letters to one script or a customary mixture: the "highly
// restrictive" level of UTS 39 section 5.2, over the scripts of UAX 31 table 5.
func checkLetters(field, s string) error {
	if strings.ContainsAny(s[:1], separators) || strings.ContainsAny(s[len(s)-1:], separators) {
		return chat.Invalid(field, "must begin and end with a letter or a digit")
	}
	var found scripts
	var before rune
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
		case strings.ContainsRune(separators, r):
			if strings.ContainsRune(separators, before) {
				return chat.Invalid(field, "must not hold two of . _ - side by side")
			}
		default:
			one := scriptOf(r)
			if one == 0 || unicode.IsMark(r) && (before == 0 || !unicode.IsLetter(before) && !unicode.IsMark(before)) {
				return chat.Invalid(field, fmt.Sprintf("must be letters, digits and . _ -, not U+%04X", r))
			}
			found |= one
		}
		before = r
	}
	if !found.customary() {
		return chat.Invalid(field, "must not mix letters of different scripts")
	}
	return nil
}

// scripts is a set of scripts, a bit each.
type scripts uint32

const (
	latin scripts = 1 << iota
	hangul
	han
	hiragana
	katakana
	bopomofo
	firstOther // and one bit for each of otherScripts
)

var otherScripts = []*unicode.RangeTable{
	unicode.Arabic, unicode.Armenian, unicode.Bengali, unicode.Cyrillic, unicode.Devanagari, unicode.Ethiopic,
	unicode.Georgian, unicode.Greek, unicode.Gujarati, unicode.Gurmukhi, unicode.Hebrew, unicode.Kannada,
	unicode.Khmer, unicode.Lao, unicode.Malayalam, unicode.Myanmar, unicode.Oriya, unicode.Sinhala,
	unicode.Tamil, unicode.Telugu, unicode.Thaana, unicode.Thai, unicode.Tibetan,
}

func (s scripts) customary() bool {
	return s&(s-1) == 0 || // one, or none at all
		s&^(latin|hangul|han) == 0 ||
		s&^(latin|han|hiragana|katakana) == 0 ||
		s&^(latin|han|bopomofo) == 0
}

// scriptOf is the script of a letter, or of a mark that belongs to one script;
// 0 for everything that has no place in a username.
func scriptOf(r rune) scripts {
	if !unicode.IsLetter(r) && !unicode.IsMark(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r) {
		return 0
	}
	switch {
	case r >= 'a' && r <= 'z':
		return latin
	case unicode.Is(unicode.Latin, r):
		return commonLatin(r)
	case r >= 0xac00 && r <= 0xd7a3:
		return hangul
	case unicode.Is(unicode.Hangul, r):
		return 0 // half syllables, and fillers that show nothing
	case unicode.Is(unicode.Han, r):
		return han
	case unicode.Is(unicode.Hiragana, r):
		return hiragana
	case unicode.Is(unicode.Katakana, r), r == 'ー':
		return katakana
	case unicode.Is(unicode.Bopomofo, r):
		return bopomofo
	}
	for i, table := range otherScripts {
		if unicode.Is(table, r) {
			return firstOther << i
		}
	}
	return 0
}

// commonLatin leaves out the phonetic, archaic and click letters: most of them
// imitate another letter and nobody's name needs them.
func commonLatin(r rune) scripts {
	switch {
	case r >= 0x00df && r <= 0x017f, r >= 0x0180 && r <= 0x024f && unicode.IsLower(r), r >= 0x1e00 && r <= 0x1eff, r == 0x0259:
		return latin
	}
	return 0
}

// reserved tells whether a name would pass for one of the house.
func reserved(u username) bool {
	if reservedWords[u.folded] {
		return true
	}
	bare := skeleton(strings.NewReplacer(".", "", "_", "", "-", "").Replace(u.folded))
	return reservedLikes[bare]
}

// reservedLikes are refused with all their look-alikes, reservedWords only as
// they are: "all" must not cost "ali" his name.
var (
	reservedLikes = skeletons("admin", "admins", "administrator", "system", "natter", "natterteam", "nattersupport",
		"root", "support", "helpdesk", "security", "moderator", "moderators", "staff", "official", "superuser", "sysadmin",
		"operator", "postmaster", "webmaster", "hostmaster", "abuse", "noreply", "anonymous", "deleted", "nobody",
		"관리자", "운영자", "시스템", "고객센터", "管理员", "管理者", "администратор", "поддержка")
	reservedWords = map[string]bool{"me": true, "all": true, "here": true, "everyone": true, "channel": true, "room": true,
		"api": true, "null": true, "undefined": true, "help": true, "info": true, "mod": true, "bot": true, "v1": true}
)

func skeletons(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[skeleton(fold(name))] = true
	}
	return all
}
