package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"natter/chat"
)

func TestSearch(t *testing.T) {
	var d directory
	for i, u := range []User{
		{Username: "min", Name: "Min"},
		{Username: "minsu", Name: "김민수"},
		{Username: "minji", Name: "박 민지"},
		{Username: "zoe", Name: "Minna"},
		{Username: "ada", Name: "Anna Minder"},
		{Username: "jasmin", Name: "Jas"},
		{Username: "jose", Name: "José Müller"},
		{Username: "gone", Name: "minimal"},
	} {
		u.ID = chat.UserID(fmt.Sprintf("u%d", i))
		d.put(u, VisibleToFriends, uint64(i+1))
	}
	d.remove("u7", 20)
	d.ready()
	d.put(User{ID: "u8", Username: "minho", Name: "민호"}, VisibleToFriends, 21) // later ones find their place
	for query, want := range map[string]string{
		"min":    "min minho minji minsu zoe ada jasmin",
		" MIN ":  "min minho minji minsu zoe ada jasmin",
		"ｍｉｎｓ":   "minsu",
		"김":      "minsu",
		"기":      "minsu", // on the way to 김
		"ㄱ":      "minsu",
		"김민":     "minsu",
		"민지":     "minji",
		"민":      "minho minji minsu",
		"jose":   "jose",
		"JOSÉ":   "jose",
		"muller": "jose",
		"":       "",
		"  ":     "",
		"nobody": "",
	} {
		var got []string
		for _, u := range d.search(query, 10) {
			got = append(got, u.Username)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q finds %v, want %s", query, got, want)
		}
	}
	for limit := range 8 {
		got, all := d.search("min", limit), d.search("min", 10)
		if !slices.Equal(got, all[:min(limit, len(all))]) {
			t.Errorf("the best %d are %v", limit, got)
		}
	}
}

func TestDirectoryKeepsTheNewest(t *testing.T) {
	var d directory
	d.ready()
	d.put(User{ID: "u1", Username: "kim", Name: "new"}, VisibleToFriends, 7)
	d.put(User{ID: "u1", Username: "kim", Name: "old"}, VisibleToFriends, 5) // the watch, late
	if u, ok := d.user("u1"); !ok || u.Name != "new" {
		t.Errorf("%+v, %v", u, ok)
	}
	d.remove("u1", 8)
	d.put(User{ID: "u1", Username: "kim", Name: "old"}, VisibleToFriends, 6)
	if _, ok := d.user("u1"); ok || len(d.search("kim", 5)) != 0 {
		t.Error("an old record brings back the deleted")
	}
}

func TestProfile(t *testing.T) {
	story(t, func(h *house) {
		s, other := h.node(), h.node()
		me := h.signUp(s, "minsu").User.ID
		p, err := s.Profile(h.Context(), me)
		h.fine(err)
		if p.Visibility != VisibleToEveryone || p.Settings == nil || p.CreatedAt != s.millis() {
			h.Errorf("new profile %+v", p)
		}
		text := func(v string) *string { return &v }
		avatar := chat.AvatarID("a1")
		p, err = s.ChangeProfile(h.Context(), me, ProfileChange{
			Name: text(" 민수 "), About: text("안녕"), Locale: text("ko-kr"), TimeZone: text("Asia/Seoul"), Visibility: text("nobody"),
			Avatar: &avatar, Settings: map[string]*string{"theme": text("dark"), "sound": text("off")},
		})
		h.fine(err)
		if p.Name != "민수" || p.Locale != "ko-KR" || p.TimeZone != "Asia/Seoul" || p.Visibility != "nobody" || p.Avatar != "a1" || p.Settings["theme"] != "dark" {
			h.Errorf("changed profile %+v", p)
		}
		if u, _ := s.User(me); u != p.User {
			h.Errorf("own writes: %+v", u)
		}
		h.settle()
		if u, _ := other.User(me); u != p.User {
			h.Errorf("the other node knows %+v", u)
		}
		p, err = other.ChangeProfile(h.Context(), me, ProfileChange{Settings: map[string]*string{"theme": nil}})
		h.fine(err)
		if len(p.Settings) != 1 || p.Settings["sound"] != "off" {
			h.Errorf("settings %v", p.Settings)
		}
		many := map[string]*string{}
		for i := range 100 {
			many[fmt.Sprint("k", i)] = text("v")
		}
		for _, c := range []struct {
			change ProfileChange
			kind   chat.Kind
			field  string
		}{
			{ProfileChange{Name: text("")}, chat.KindInvalid, "name"},
			{ProfileChange{About: text(strings.Repeat("x", 257))}, chat.KindTooLarge, "about"},
			{ProfileChange{Locale: text("not a locale")}, chat.KindInvalid, "locale"},
			{ProfileChange{TimeZone: text("../etc/passwd")}, chat.KindInvalid, "time_zone"},
			{ProfileChange{Visibility: text("all")}, chat.KindInvalid, "presence_visibility"},
			{ProfileChange{Settings: many}, chat.KindTooLarge, "settings"},
			{ProfileChange{Settings: map[string]*string{"A b": nil}}, chat.KindInvalid, "settings"},
			{ProfileChange{Settings: map[string]*string{"a": text(strings.Repeat("x", 1025))}}, chat.KindTooLarge, "settings"},
		} {
			c.change.Avatar = new(chat.AvatarID) // not even the good part of it
			_, err := s.ChangeProfile(h.Context(), me, c.change)
			h.refused(err, c.kind, c.field)
		}
		if p, _ = s.Profile(h.Context(), me); p.Avatar != "a1" {
			h.Error("a refused change changed something")
		}
		_, err = s.Profile(h.Context(), "nobody")
		h.refused(err, chat.KindNotFound, "")
	})
}
