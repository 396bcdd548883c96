package chat

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckText checks a message's text: valid UTF-8, at most MaxTextRunes, and
// something to see in it.
func CheckText(field, s string) error {
	if err := checkUTF8(field, s, MaxTextRunes); err != nil {
		return err
	}
	for _, r := range s {
		if visible(r) {
			return nil
		}
	}
	return Invalid(field, "must not be empty")
}

// CheckDraft checks what a person has begun to write: it may be anything a message
// may become, spaces too.
func CheckDraft(field, s string) error { return checkUTF8(field, s, MaxTextRunes) }

// CheckName checks a person's, room's or device's name and returns it trimmed.
// Control characters, line breaks, bidirectional overrides and invisible
// characters are refused: a name stands beside other people's names and must
// not rearrange or imitate them.
func CheckName(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", Invalid(field, "must not be empty")
	}
	return checkLine(field, s, limit)
}

// CheckLine is CheckName for what may be empty: a topic, an about line.
func CheckLine(field, s string, limit int) (string, error) {
	return checkLine(field, strings.TrimSpace(s), limit)
}

func checkLine(field, s string, limit int) (string, error) {
	if err := checkUTF8(field, s, limit); err != nil {
		return "", err
	}
	seen := s == ""
	for _, r := range s {
		if forbiddenInName(r) {
			return "", Invalid(field, fmt.Sprintf("must not hold the character U+%04X", r))
		}
		seen = seen || visible(r)
	}
	if !seen {
		return "", Invalid(field, "must hold something to see")
	}
	return s, nil
}

func checkUTF8(field, s string, limit int) error {
	if !utf8.ValidString(s) {
		return Invalid(field, "must be valid UTF-8")
	}
	if len(s) > limit && utf8.RuneCountInString(s) > limit {
		return TooLarge(field, fmt.Sprintf("must be at most %d characters", limit), int64(limit))
	}
	return nil
}

// visible tells whether r shows anything by itself.
func visible(r rune) bool {
	switch {
	case unicode.IsSpace(r), unicode.IsControl(r), unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r), unicode.Is(unicode.Cf, r):
		return false
	case r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0', r == '\u2800': // fillers that show nothing
		return false
	}
	return true
}

// forbiddenInName: controls, line and paragraph separators, bidirectional
// controls, tags, private use, non-characters. ZWJ and ZWNJ stay (emoji,
// Persian); the emoji tag sequences do not, they can hide text.
func forbiddenInName(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	case r == '\u061c', r == '\u200b', r == '\u200e', r == '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2060' && r <= '\u206f', r == '\ufeff':
		return true
	case r >= 0xe0000 && r <= 0xe0fff:
		return true
	case unicode.Is(unicode.Co, r), r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return true
	case r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0', r == '\u2800':
		return true
	// Soft hyphen, grapheme joiner, and what else draws nothing inside a word.
	case r == '\u00ad', r == '\u034f', r == '\u17b4', r == '\u17b5', r == '\u180e', r >= '\ufff9' && r <= '\ufffb', r >= 0x1d173 && r <= 0x1d17a:
		return true
	case r == utf8.RuneError:
		return true
	}
	return false
}

// MaxEmojiBytes bounds a reaction; the longest emoji that Unicode recommends for
// interchange (two people of two skin tones) has 35.
const MaxEmojiBytes = 40

// ValidEmoji tells whether s can be a reaction: 1 to MaxEmojiBytes of valid UTF-8
// with something to see, and neither letters nor spaces nor what a name may not
// hold, but for the tags, which three flags are made of.
func ValidEmoji(s string) bool {
	if len(s) == 0 || len(s) > MaxEmojiBytes || !utf8.ValidString(s) {
		return false
	}
	seen := false
	for _, r := range s {
		tag := r >= 0xe0020 && r <= 0xe007f
		if unicode.IsLetter(r) || unicode.IsSpace(r) || forbiddenInName(r) && !tag {
			return false
		}
		seen = seen || visible(r)
	}
	return seen
}
