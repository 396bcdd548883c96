package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is how one kind of setting is read and printed. set takes what YAML
// gives (string, int, bool, list) and the text of a flag.
type value struct {
	kind string // as --help names it
	set  func(c *Config, raw any) error
	yaml func(c *Config) string
}

// scalar reads one word of any YAML type as it would be typed.
func scalar(raw any) (string, error) {
	switch v := raw.(type) {
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case nil:
		return "", errors.New("has no value; leave the line out, or write \"\"")
	}
	return "", fmt.Errorf("must be a single value, not %T", raw)
}

func ofText(kind string, at func(*Config) *string, check func(string) error) value {
	return value{
		kind: kind,
		set: func(c *Config, raw any) error {
			s, err := scalar(raw)
			if err != nil {
				return err
			}
			if err := check(s); err != nil {
				return err
			}
			*at(c) = s
			return nil
		},
		yaml: func(c *Config) string { return strconv.Quote(*at(c)) },
	}
}

func text(at func(*Config) *string, least, most int) value {
	return ofText("path", at, func(s string) error {
		if len(s) < least || len(s) > most || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("must be %d to %d characters without controls", least, most)
		}
		return nil
	})
}

func identifier(at func(*Config) *string, least int) value {
	return ofText("name", at, func(s string) error {
		if len(s) < least || len(s) > 32 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return fmt.Errorf("must be %d to 32 of A-Z a-z 0-9 _ -", least)
		}
		return nil
	})
}

func oneOf(at func(*Config) *string, words ...string) value {
	return ofText(strings.Join(words, "|"), at, func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("must be %s, not %q", strings.Join(words, " or "), s)
		}
		return nil
	})
}

func address(at func(*Config) *string, mayBeEmpty bool) value {
	return ofText("host:port", at, func(s string) error {
		if s == "" && mayBeEmpty {
			return nil
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return fmt.Errorf("must be host:port, as 127.0.0.1:8080, not %q", s)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
			return fmt.Errorf("must have a port from 0 to 65535, not %q", port)
		}
		if host == "" || host == "localhost" {
			return nil
		}
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("must have an IP address, localhost or nothing before the port, not %q", host)
		}
		return nil
	})
}

func origin(at func(*Config) *string) value {
	return ofText("url", at, func(s string) error {
		if s == "" {
			return nil
		}
		return checkOrigin(s)
	})
}

func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Scheme+"://"+u.Host != s {
		return fmt.Errorf("must be scheme and host, as https://chat.example.org, not %q", s)
	}
	return nil
}

func checkPrefix(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if _, err := netip.ParsePrefix(s); err != nil {
		return fmt.Errorf("must be an address or a prefix, as 10.0.0.0/8, not %q", s)
	}
	return nil
}

// list reads a YAML list, or words with commas between them.
func list(at func(*Config) *[]string, most int, check func(string) error) value {
	return value{
		kind: "list",
		set: func(c *Config, raw any) error {
			var words []string
			if many, ok := raw.([]any); ok {
				for _, one := range many {
					s, err := scalar(one)
					if err != nil {
						return err
					}
					words = append(words, s)
				}
			} else {
				s, err := scalar(raw)
				if err != nil {
					return err
				}
				for word := range strings.SplitSeq(s, ",") {
					if word = strings.TrimSpace(word); word != "" {
						words = append(words, word)
					}
				}
			}
			if len(words) > most {
				return fmt.Errorf("must be at most %d", most)
			}
			for _, word := range words {
				if err := check(word); err != nil {
					return err
				}
			}
			*at(c) = words
			return nil
		},
		yaml: func(c *Config) string {
			var quoted []string
			for _, word := range *at(c) {
				quoted = append(quoted, strconv.Quote(word))
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
	}
}

func onOff(at func(*Config) *bool) value {
	return value{
		kind: "on|off",
		set: func(c *Config, raw any) error {
			s, err := scalar(raw)
			if err != nil {
				return err
			}
			switch s {
			case "on", "true":
				*at(c) = true
			case "off", "false":
				*at(c) = false
			default:
				return fmt.Errorf("must be on or off, not %q", s)
			}
			return nil
		},
		yaml: func(c *Config) string {
			if *at(c) {
				return "on"
			}
			return "off"
		},
	}
}

func number(at func(*Config) *int, least, most int) value {
	return value{
		kind: "number",
		set: func(c *Config, raw any) error {
			s, err := scalar(raw)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(s)
			if err != nil || n < least || n > most {
				return fmt.Errorf("must be a number from %d to %d, not %q", least, most, s)
			}
			*at(c) = n
			return nil
		},
		yaml: func(c *Config) string { return strconv.Itoa(*at(c)) },
	}
}

func duration(at func(*Config) *time.Duration, least, most time.Duration) value {
	return value{
		kind: "duration",
		set: func(c *Config, raw any) error {
			s, err := scalar(raw)
			if err != nil {
				return err
			}
			d, err := time.ParseDuration(s)
			if err != nil || d < least || d > most {
				return fmt.Errorf("must be a time from %s to %s with its unit, as %s, not %q", short(least), short(most), short(max(least, time.Second)), s)
			}
			*at(c) = d
			return nil
		},
		yaml: func(c *Config) string { return short(*at(c)) },
	}
}

// short is d without the zeros of Duration.String: 720h, not 720h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
