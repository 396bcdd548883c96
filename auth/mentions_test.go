package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"natter/chat"
)

func TestMentions(t *testing.T) {
	long := strings.Repeat("a", chat.MaxUsernameRunes)
	for text, want := range map[string]string{
		"":                                     "",
		"nobody here":                          "",
		"@":                                    "",
		"@ minsu":                              "",
		"@m":                                   "", // no username has one letter
		"@minsu":                               "minsu",
		"hi @Minsu, and @MINSU":                "minsu",
		"(@minsu)":                             "minsu",
		"@@minsu":                              "minsu",
		"@ｍｉｎｓｕ":                               "minsu",
		"@민수 @김민지":                             "민수 김민지",
		"@\u1106\u1175\u11ab\u1109\u116e":      "민수", // in half syllables
		"@minsu님":                              "minsu님",
		"@jiwoo.kim":                           "jiwoo.kim",
		"@jiwoo．kim":                           "jiwoo.kim",
		"ask @jiwoo.":                          "jiwoo",
		"@jiwoo... @min_su-":                   "jiwoo min_su",
		"@jiwoo..kim":                          "jiwoo",
		"@.jiwoo":                              "",
		"@_":                                   "",
		"@jiwoo…":                              "jiwoo",
		"@jiwoo's":                             "jiwoo",
		"@jiwoo👍@minsu":                        "jiwoo minsu",
		"❤️@minsu":                             "minsu",
		"@jiwoo\n@minsu":                       "jiwoo minsu",
		"@ann@bob":                             "ann", // as in ann@bob, an address
		"mail@minsu.example":                   "",
		"a.@minsu 1@minsu -@minsu 가@minsu":     "",
		"é@minsu e\u0301@minsu":                "",
		"https://chat.example/@minsu":          "minsu",
		"@minsuПривет":                         "minsu", // no username mixes these
		"@Привет @привет":                      "привет",
		"@Straße":                              "strasse",
		"@" + long:                             long,
		"@" + long + "a":                       "",
		"@" + long + ". @ok":                   long + " ok",
		"@" + strings.Repeat("x", 4000):        "",
		"@" + strings.Repeat("글", 2000) + "@x": "",
		"@a\xffb @minsu":                       "minsu",
		"＠minsu":                               "",
	} {
		if got := strings.Join(mentions(text), " "); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

// A text with more names than are looked up names the first ones.
func TestMentionsEnd(t *testing.T) {
	var text strings.Builder
	for i := range 3 * MaxMentioned {
		fmt.Fprintf(&text, "@user%d ", i/2)
	}
	names := mentions(text.String())
	if len(names) != MaxMentioned || names[0] != "user0" || names[MaxMentioned-1] != fmt.Sprint("user", MaxMentioned-1) {
		t.Errorf("%d names, %v", len(names), names)
	}
}

// Usernames that search takes for one are people of their own.
func TestNamed(t *testing.T) {
	var d directory
	for i, name := range []string{"jose", "josé", "anna", "josè", "zoe"} {
		d.put(User{ID: chat.UserID(fmt.Sprint("u", i)), Username: name}, uint64(i+1))
	}
	d.ready()
	d.remove("u2", 9)
	for name, want := range map[string]chat.UserID{"jose": "u0", "josé": "u1", "josè": "u3", "zoe": "u4", "anna": "", "josê": "", "jos": "", "": "", "zzz": ""} {
		if got, ok := d.named(name); got != want || ok != (want != "") {
			t.Errorf("%q is %q, %v", name, got, ok)
		}
	}
}

func TestMentioned(t *testing.T) {
	story(t, func(h *house) {
		s, other := h.node(), h.node()
		minsu, jiwoo := h.signUp(s, "Minsu"), h.signUp(other, "지우")
		h.settle()
		for _, s := range []*Service{s, other} {
			if got := s.Mentioned("@지우, @nobody, @MINSU and @minsu"); !slices.Equal(got, []chat.UserID{jiwoo.User.ID, minsu.User.ID}) {
				t.Errorf("%v", got)
			}
		}
	})
}

// FuzzMentions: whatever a text says, what it names are usernames in the form in
// which they are kept, each once; and every username can be named.
func FuzzMentions(f *testing.F) {
	for _, s := range []string{"@minsu", "a@b @c", "@민수야 @\u1106\u1175", "@ﬀ", "@@@", "@İx", "@a\u0300\u0301", "@ｘ．ｙ", "@\U000e0041ab", "@Ⅷab", "@ſt", "@ΐσς"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names := mentions(s)
		for i, name := range names {
			parsed, err := parseUsername("username", name)
			if err != nil || parsed.folded != name {
				t.Errorf("%q names %q, which is %q, %v", s, name, parsed.folded, err)
			}
			if slices.Contains(names[:i], name) {
				t.Errorf("%q names %q twice", s, name)
			}
		}
		if len(names) > MaxMentioned || len(names) > strings.Count(s, "@") {
			t.Errorf("%q names %d", s, len(names))
		}
		if name, err := parseUsername("username", s); err == nil && utf8.ValidString(s) {
			if got := mentions("hi @" + name.folded + "!"); len(got) != 1 || got[0] != name.folded {
				t.Errorf("@%s names %q", name.folded, got)
			}
		}
	})
}
