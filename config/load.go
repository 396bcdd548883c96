package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

const (
	envPrefix = "NATTER_"
	// fileEnv names the file where no flag does.
	fileEnv = envPrefix + "CONFIG"
	// maxFileBytes bounds the file; a larger one is refused unread.
	maxFileBytes = 1 << 20
)

// Flags adds a flag for each setting. Their values are checked by Load, with
// the same words as everywhere.
func Flags(flags *pflag.FlagSet) {
	for i := range fields {
		f := &fields[i]
		why := strings.Join(strings.Fields(f.why), " ")
		if first, _, ok := strings.Cut(why, ". "); ok {
			why = first + "."
		}
		// An on|off flag needs its word too: with an optional one, pflag would
		// take the off of "--rate-limits off" for an argument.
		flags.Var(&flagValue{text: f.def, kind: f.value.kind}, f.flag(), why)
	}
}

// flagValue keeps a flag's text as it was typed.
type flagValue struct{ text, kind string }

func (v *flagValue) String() string     { return v.text }
func (v *flagValue) Set(s string) error { v.text = s; return nil }
func (v *flagValue) Type() string       { return v.kind }

// Load reads the settings: flags (of Flags; nil for none) over env ("K=V", nil
// for the process's own) over the YAML file over the defaults. An empty file
// means NATTER_CONFIG, or none. The error joins an *Error for everything that
// is refused, so that all of it can be mended at once.
func Load(flags *pflag.FlagSet, file string, env []string) (*Config, Origins, error) {
	if env == nil {
		env = os.Environ()
	}
	given, refused := fromEnv(env)
	v := viper.New()
	from := Origins{}
	for i := range fields {
		v.SetDefault(fields[i].key, fields[i].def)
		from[fields[i].key] = "default"
	}

	if file = cmp.Or(file, given[fileEnv]); file != "" {
		values, err := fromFile(file)
		refused = append(refused, err)
		for key := range values {
			from[key] = file
		}
		if err := v.MergeConfigMap(values); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	for i := range fields {
		f := &fields[i]
		if text, ok := given[f.env()]; ok {
			if err := v.MergeConfigMap(map[string]any{f.key: text}); err != nil {
				return nil, nil, err
			}
			from[f.key] = f.env()
		}
		if flags == nil {
			continue
		}
		if flag := flags.Lookup(f.flag()); flag != nil && flag.Changed {
			if err := v.BindPFlag(f.key, flag); err != nil {
				return nil, nil, err
			}
			from[f.key] = "--" + f.flag()
		}
	}

	c := Defaults()
	for i := range fields {
		f := &fields[i]
		if err := f.set(c, v.Get(f.key)); err != nil {
			refused = append(refused, &Error{f.key, from[f.key], err.Error()})
		}
	}
	if err := errors.Join(refused...); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(c.Validate(), c.named(from)); err != nil {
		return nil, nil, err
	}
	return c, from, nil
}

// toolEnv belongs to the tests and tools around natter, which start nodes that
// inherit it. It is no setting, and no mistake.
var toolEnv = []string{envPrefix + "BIN", envPrefix + "URL", envPrefix + "REQUIRE_FUSE"}

// fromEnv picks out what is ours by name. Values are not looked at.
func fromEnv(env []string) (given map[string]string, refused []error) {
	given = map[string]string{}
	names := []string{fileEnv}
	for i := range fields {
		names = append(names, fields[i].env())
	}
	for _, one := range env {
		name, text, _ := strings.Cut(one, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(toolEnv, name) {
			continue
		}
		if !slices.Contains(names, name) {
			refused = append(refused, &Error{name, "environment", "is not a setting" + meant(name, names)})
			continue
		}
		given[name] = text
	}
	return given, refused
}

// fromFile reads a YAML file. Its unknown keys are in the error; the known ones
// are returned all the same.
func fromFile(file string) (map[string]any, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &Error{"config", "file", err.Error()}
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxFileBytes || info.IsDir() {
		return nil, &Error{"config", "file", file + ": must be a file of at most 1 MiB"}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return nil, &Error{"config", "file", err.Error()}
	}
	return parse(b, file)
}

// parse reads the file's text.
func parse(b []byte, file string) (map[string]any, error) {
	var values map[string]any
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, &Error{"config", file, strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	var names []string
	for i := range fields {
		names = append(names, fields[i].key)
	}
	var refused []error
	known := map[string]any{}
	for key, v := range values {
		if byKey[key] == nil {
			refused = append(refused, &Error{key, file, "is not a setting" + meant(key, names)})
			continue
		}
		if v == nil { // viper would take it for the default
			refused = append(refused, &Error{key, file, "has no value; leave the line out, or write \"\""})
			continue
		}
		known[key] = v
	}
	slices.SortFunc(refused, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return known, errors.Join(refused...)
}

// Validate refuses what can't hold together. Load has called it.
func (c *Config) Validate() error {
	var refused []error
	refuse := func(field, detail string) { refused = append(refused, &Error{Field: field, Detail: detail}) }
	if (c.TLSCert == "") != (c.TLSKey == "") {
		refuse("tls_cert", "goes with tls_key: set both or neither")
	}
	tls := c.TLSCert != "" && c.TLSKey != ""
	if !tls && !c.Insecure && !loopback(c.Listen) {
		refuse("listen", "is reachable from other machines without TLS: set tls_cert and tls_key, or insecure: on if a proxy in front ends TLS")
	}
	if c.Admin != "" && !c.Insecure && !loopback(c.Admin) {
		refuse("admin", "is reachable from other machines and asks nobody who they are: take a loopback address, or insecure: on")
	}
	if _, port, _ := net.SplitHostPort(c.Listen); port != "0" && c.Admin == c.Listen {
		refuse("admin", "must be another address than listen")
	}
	if tls && strings.HasPrefix(c.PublicURL, "http:") {
		refuse("public_url", "must be https, as the node speaks TLS")
	}
	if tls && strings.HasPrefix(c.Advertise, "http:") {
		refuse("advertise", "must be https, as the node speaks TLS")
	}
	c.validateCluster(refuse)
	return errors.Join(refused...)
}

// loopback tells whether only this machine reaches an address. No host at all
// is every address of the machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// meant is a hint at the name nearest to a wrong one; empty if none is near.
func meant(wrong string, names []string) string {
	best, least := "", 1+len(wrong)/3
	for _, name := range names {
		if d := distance(strings.ToLower(strings.ReplaceAll(wrong, "-", "_")), strings.ToLower(name)); d < least || best == "" && d == 0 {
			best, least = name, d
		}
	}
	if best == "" {
		return "; `natter config` prints all of them"
	}
	return "; " + best + " was probably meant"
}

// distance is how many letters to add, drop or change (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, cost)
		}
	}
	return row[len(b)]
}
