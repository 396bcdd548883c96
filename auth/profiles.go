package auth

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"

	"natter/chat"
)

// The limits of what an app may keep in its owner's settings.
const (
	maxSettings     = 64       // settings a person
	maxSettingBytes = 1 << 10  // a setting's value
	maxSettingsSize = 16 << 10 // all of them
)

// Profile reads a person's own view of themselves; KindNotFound.
func (s *Service) Profile(ctx context.Context, u chat.UserID) (Profile, error) {
	a, _, err := s.account(ctx, u)
	if err != nil {
		return Profile{}, err
	}
	return a.profile(), nil
}

func (a *account) profile() Profile {
	p := Profile{User: a.user(), Locale: a.Locale, TimeZone: a.TimeZone, Visibility: a.Visibility, Settings: maps.Clone(a.Settings), CreatedAt: a.CreatedAt}
	if p.Settings == nil {
		p.Settings = map[string]string{}
	}
	return p
}

// ChangeProfile changes the fields that are given, all or none.
func (s *Service) ChangeProfile(ctx context.Context, u chat.UserID, c ProfileChange) (Profile, error) {
	c, err := c.checked()
	if err != nil {
		return Profile{}, err
	}
	a, err := s.change(ctx, u, c.apply)
	if err != nil {
		return Profile{}, err
	}
	return a.profile(), nil
}

// checked is c in the form that is stored.
func (c ProfileChange) checked() (ProfileChange, error) {
	for _, one := range []struct {
		field **string
		check func(string) (string, error)
	}{
		{&c.Name, func(v string) (string, error) { return chat.CheckName("name", v, chat.MaxNameRunes) }},
		{&c.About, func(v string) (string, error) { return chat.CheckLine("about", v, chat.MaxAboutRunes) }},
		{&c.Locale, checkLocale},
		{&c.TimeZone, checkTimeZone},
		{&c.Visibility, checkVisibility},
	} {
		if *one.field == nil {
			continue
		}
		v, err := one.check(**one.field)
		if err != nil {
			return c, err
		}
		*one.field = &v
	}
	if c.Avatar != nil && *c.Avatar != "" && !chat.ValidID(string(*c.Avatar)) {
		return c, chat.Invalid("avatar_id", "must be the id of a picture, or empty")
	}
	for key, value := range c.Settings {
		if err := checkSetting(key, value); err != nil {
			return c, err
		}
	}
	return c, nil
}

func checkLocale(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	tag, err := language.Parse(v)
	if err != nil || len(v) > 35 {
		return "", chat.Invalid("locale", "must be a BCP 47 language tag, as ko-KR")
	}
	return tag.String(), nil
}

// checkTimeZone checks the form only: the server computes nothing with it, and
// its list of zones may be older than a phone's.
func checkTimeZone(v string) (string, error) {
	bad := chat.Invalid("time_zone", "must be the name of a time zone, as Asia/Seoul")
	if v == "" {
		return "", nil
	}
	if len(v) > 64 {
		return "", bad
	}
	for part := range strings.SplitSeq(v, "/") {
		if part == "" || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-") != "" {
			return "", bad
		}
	}
	return v, nil
}

func checkVisibility(v string) (string, error) {
	switch v {
	case VisibleToEveryone, VisibleToFriends, VisibleToNobody:
		return v, nil
	}
	return "", chat.Invalid("presence_visibility", "must be everyone, friends or nobody")
}

func checkSetting(key string, value *string) error {
	if key == "" || len(key) > 64 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
		return chat.Invalid("settings", "names must be 1 to 64 of a-z 0-9 _ . -")
	}
	if value == nil {
		return nil
	}
	if len(*value) > maxSettingBytes {
		return chat.TooLarge("settings", fmt.Sprintf("a value must be at most %d bytes", maxSettingBytes), maxSettingBytes)
	}
	if !utf8.ValidString(*value) {
		return chat.Invalid("settings", "values must be valid UTF-8")
	}
	return nil
}

// apply is a function of the account alone, so that it can be done again.
func (c ProfileChange) apply(a *account) error {
	for _, one := range []struct {
		to   *string
		from *string
	}{{&a.Name, c.Name}, {&a.About, c.About}, {&a.Locale, c.Locale}, {&a.TimeZone, c.TimeZone}, {&a.Visibility, c.Visibility}} {
		if one.from != nil {
			*one.to = *one.from
		}
	}
	if c.Avatar != nil {
		a.Avatar = *c.Avatar
	}
	if len(c.Settings) == 0 {
		return nil
	}
	settings, size := map[string]string{}, 0
	maps.Copy(settings, a.Settings)
	for key, value := range c.Settings {
		if value == nil {
			delete(settings, key)
		} else {
			settings[key] = *value
		}
	}
	if len(settings) > maxSettings {
		return chat.TooLarge("settings", fmt.Sprintf("must be at most %d", maxSettings), maxSettings)
	}
	for key, value := range settings {
		size += len(key) + len(value)
	}
	if size > maxSettingsSize {
		return chat.TooLarge("settings", fmt.Sprintf("must be at most %d bytes together", maxSettingsSize), maxSettingsSize)
	}
	a.Settings = settings
	return nil
}
