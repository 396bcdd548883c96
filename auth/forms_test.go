package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natter/chat"
)

func TestUsernames(t *testing.T) {
	for _, good := range []string{
		"kim", "Kim.Min_su-2", "김민수", "金敏洙", "민수kim", "金kim민수", "たなか", "田中タロー", "tanaka田中", "дмитрий", "γιώργος",
		"محمد", "שלום", "สมชาย", "राम", "42", "müller", "nguyễn", "əli",
	} {
		if _, err := parseUsername("username", good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a", "가", ".kim", "kim.", "kim..su", "kim.-su", "kim su", "kim@su", "кim", "αlpha", "kimのв", "たなか김", "ㅋㅋ", "a\u0300\u0300b\u0327\u0317",
		"kim\u200bsu", "kim\u202esu", "kim\u3164su", "ki\u034fm", "😀😀", "ᏚᏞ", "٣٤", "𓀀𓀀", "ʟɪᴀ", "\xff\xfe", "ǃkung", "\u0e31ก", strings.Repeat("가", 33),
	} {
		if u, err := parseUsername("username", bad); err == nil {
			t.Errorf("%q is taken as %q", bad, u.folded)
		}
	}
}

func TestLookAlikes(t *testing.T) {
	for _, pair := range [][2]string{
		{"paypal", "раураӏ"}, {"modern", "modem"}, {"google", "g00gle"}, {"lia", "1ia"}, {"scope", "ѕсоре"}, {"wave", "vvave"},
		{"minsu", "ｍｉｎｓｕ"}, {"nino", "ＮＩＮＯ"}, {"muller", "müller"}, {"dang", "đang"}, {"ハナ", "八ナ"}, {"hoa", "hoạ"}, {"сосо", "coco"}, {"strasse", "straße"},
	} {
		a, err1 := parseUsername("", pair[0])
		b, err2 := parseUsername("", pair[1])
		if err1 != nil || err2 != nil || a.skeleton != b.skeleton {
			t.Errorf("%v: %q and %q, %v %v", pair, a.skeleton, b.skeleton, err1, err2)
		}
	}
	for _, pair := range [][2]string{{"minsu", "minji"}, {"민수", "민서"}, {"か", "が"}, {"kim.su", "kimsu"}, {"anna", "ana"}} {
		if skeleton(fold(pair[0])) == skeleton(fold(pair[1])) {
			t.Errorf("%v are taken for one another", pair)
		}
	}
	for _, name := range []string{"admin", "ADMIN", "adm1n", "ad.min", "natter", "na.tt-er", "systern", "r00t", "관리자", "me", "support"} {
		if u, err := parseUsername("", name); err != nil || !reserved(u) {
			t.Errorf("%q can be had (%v)", name, err)
		}
	}
	for _, name := range []string{"ali", "administrata", "minsu", "rooty"} {
		if u, err := parseUsername("", name); err != nil || reserved(u) {
			t.Errorf("%q can't be had (%v)", name, err)
		}
	}
}

// The table must say one thing about each letter, and must not need two looks.
func TestLikes(t *testing.T) {
	seen := map[rune]bool{}
	for like, letters := range likes {
		for _, letter := range letters {
			if seen[letter] {
				t.Errorf("%c stands twice", letter)
			}
			seen[letter] = true
		}
		if skeleton(like) != like {
			t.Errorf("%s becomes %s", like, skeleton(like))
		}
	}
}

var update = flag.Bool("update", false, "write testdata of a new version of the records")

// TestStoredFormat freezes version 1: every later natter reads these bytes, and
// this one writes them.
func TestStoredFormat(t *testing.T) {
	hash := []byte{0: 1, 31: 32}
	for name, one := range map[string]struct {
		written any
		read    interface{ check() error }
	}{
		"account": {account{versioned{1}, "u1", "kim", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2Fs$a2V5a2V5a2V5a2V5a2V5aw", 1767225600000, "김", "about", "a1", "ko-KR", "Asia/Seoul",
			"friends", map[string]string{"theme": "dark", "a": "b"}, 3, "v1", [][]byte{{1, 2, 3, 4, 5, 6, 7, 8}}, true}, &account{}},
		"claim":     {claim{versioned{1}, "u1", 1767225600000}, &claim{}},
		"session":   {session{versioned{1}, "u1", "v1", "phone", 1767225600000, 1767225600001, hash, 1767225600002, hash, 1767225600003, 3}, &session{}},
		"tombstone": {tombstone{versioned{1}, "u1", 1767225600000}, &tombstone{}},
		"secret":    {secret{versioned{1}, hash}, &secret{}},
	} {
		file := filepath.Join("testdata", name+".v1.hex")
		got := hex.EncodeToString(encode(one.written))
		if *update {
			if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		frozen := strings.TrimSpace(string(text))
		if got != frozen {
			t.Errorf("%s is written as\n%s, frozen is\n%s", name, got, frozen)
		}
		raw, err := hex.DecodeString(frozen)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(name, raw, one.read); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again := hex.EncodeToString(encode(one.read)); again != frozen {
			t.Errorf("%s is read as %+v", name, one.read)
		}
	}
	if err := decode("x", encode(claim{versioned{2}, "u1", 1}), &claim{}); err == nil {
		t.Error("a record of the future is read")
	}
}

// The skeleton is part of the stored format: keys are hashes of it.
func TestNameKeysAreFrozen(t *testing.T) {
	for name, want := range map[string]string{
		"kim.minsu": "name.33wb5ba9cmp6vvx36t6ztxdbf188y5467jdeeej5hqs9ecv3wxsg",
		"김민수":       "name.4y3ytj9e0pbts930sd4q94agvt0nqhsw9cvyvqvw4jp3sz5yc83g",
		"дмитрий":   "name.mh0tdth286aaxt039xq2pf36wfq1gxn9zsbr6rdnzv2me5hgfy40",
	} {
		if got := nameKey(skeleton(fold(name))); got != want {
			t.Errorf("%s: %s, frozen is %s", name, got, want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	s := newSigner([]byte("key"))
	f.Add(s.sealAccess("u1", "v1", 5))
	f.Add(s.seal(refreshPrefix, "u1", "v1", make([]byte, randomBytes)))
	f.Add(s.seal(cookiePrefix, "u1", "v1", make([]byte, randomBytes)))
	f.Add("na_..")
	f.Fuzz(func(t *testing.T, token string) {
		if o, expires, ok := s.openAccess(token); ok && s.sealAccess(chat.UserID(o.user), chat.DeviceID(o.device), expires) != token {
			t.Errorf("a second spelling of an access token: %q", token)
		}
		for _, prefix := range []string{refreshPrefix, cookiePrefix} {
			if o, _, ok := s.openRandom(prefix, token); ok && s.seal(prefix, chat.UserID(o.user), chat.DeviceID(o.device), o.body[:o.size]) != token {
				t.Errorf("a second spelling of a token: %q", token)
			}
		}
	})
}

func FuzzUsernames(f *testing.F) {
	for _, s := range []string{"kim", "김민수", "ＡＤＭＩＮ", "a.b-c", "straße", "ǰ", "\u1e9e", "たなか"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseUsername("username", s)
		if err != nil {
			var p *chat.Problem
			if !errors.As(err, &p) || p.Field != "username" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		again, err := parseUsername("username", u.folded)
		if err != nil || again != u {
			t.Errorf("%q folds to %+v, which folds to %+v (%v)", s, u, again, err)
		}
		if _, err := chat.CheckName("name", u.folded, chat.MaxNameRunes); err != nil {
			t.Errorf("%q can't be a name: %v", u.folded, err)
		}
	})
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5")
	f.Add("$argon2id$v=19$m=0,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err == nil && h.String() != s {
			t.Errorf("%q is read as %s", s, h)
		}
		if err == nil && h.memory > 256<<10 {
			t.Errorf("%q may take %d KiB", s, h.memory)
		}
	})
}

func FuzzPasswords(f *testing.F) {
	f.Add("correct horse")
	f.Add("비밀\u00a0번호")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := foldPassword(s); ok {
			if again, ok := foldPassword(string(p)); !ok || again != p {
				t.Errorf("%q folds to %q, which folds to %q", s, p, again)
			}
		}
	})
}

// FuzzRecords: whatever of a stored record can be read can be written again, and is
// then read as the same.
func FuzzRecords(f *testing.F) {
	f.Add(encode(account{versioned: versioned{1}, User: "u1", Username: "kim", Settings: map[string]string{"theme": "dark"}, Familiar: [][]byte{{1, 2}}}))
	f.Add(encode(claim{versioned{1}, "u1", 1767225600000}))
	f.Add(encode(session{versioned: versioned{1}, User: "u1", Device: "v1", Refresh: []byte{1}, RefreshUntil: 2}))
	f.Add(encode(tombstone{versioned{1}, "u1", 1767225600000}))
	f.Add(encode(secret{versioned{1}, []byte("key")}))
	f.Add(encode(claim{versioned{recordVersion + 1}, "u1", 1}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, make := range []func() interface{ check() error }{
			func() interface{ check() error } { return new(account) },
			func() interface{ check() error } { return new(claim) },
			func() interface{ check() error } { return new(session) },
			func() interface{ check() error } { return new(tombstone) },
			func() interface{ check() error } { return new(secret) },
		} {
			v, again := make(), make()
			if decode("x", data, v) != nil {
				continue
			}
			written := encode(v)
			if err := decode("x", written, again); err != nil {
				t.Fatalf("%T was written and can't be read: %v", v, err)
			}
			if !bytes.Equal(encode(again), written) {
				t.Fatalf("%T was read as %+v and then as %+v", v, v, again)
			}
		}
	})
}
