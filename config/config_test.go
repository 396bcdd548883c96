package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load reads args, a file's text and an environment.
func load(t *testing.T, args []string, text string, env ...string) (*Config, Origins, error) {
	t.Helper()
	file := ""
	if text != "" {
		file = filepath.Join(t.TempDir(), "natter.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("natter", pflag.ContinueOnError)
	Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(flags, file, append([]string{"HOME=/root"}, env...))
}

func TestDefaultTextIsTheDefaults(t *testing.T) {
	c, _, err := load(t, nil, Default())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Defaults()) {
		t.Errorf("the documented default is %+v, the default %+v", c, Defaults())
	}
	for _, want := range []string{"\nlisten: \"127.0.0.1:8080\"\n", "\npartitions: 4\n", "\nqueue_retention: 720h\n", "\nrate_limits: on\n", "\norigins: []\n"} {
		if !strings.Contains(Default(), want) {
			t.Errorf("the documented default lacks %q", want)
		}
	}
}

// Every field of the struct is a setting: the table sets each one and only it.
func TestEveryFieldIsASetting(t *testing.T) {
	if n := reflect.TypeFor[Config]().NumField(); n != len(fields) {
		t.Errorf("%d settings for %d fields", len(fields), n)
	}
	for i := range fields {
		if f := &fields[i]; strings.TrimSpace(f.why) == "" {
			t.Errorf("%s isn't documented", f.key)
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := "heartbeat: 10s\npartitions: 8\nname: from-file\nrate_limits: off\norigins: [https://a.example, https://b.example]\n"
	c, from, err := load(t, []string{"--heartbeat=30s"}, file, "NATTER_HEARTBEAT=20s", "NATTER_NAME=from-env", "NATTER_ADMIN=", "NATTER_BIN=./natter")
	if err != nil {
		t.Fatal(err)
	}
	if c.Heartbeat != 30*time.Second || c.Name != "from-env" || c.Partitions != 8 || c.RateLimits || c.Admin != "" || len(c.Origins) != 2 || c.Durability != Safe {
		t.Errorf("%+v", c)
	}
	for key, want := range map[string]string{"heartbeat": "--heartbeat", "name": "NATTER_NAME", "admin": "NATTER_ADMIN", "data": "default"} {
		if from[key] != want {
			t.Errorf("%s comes from %q, want %q", key, from[key], want)
		}
	}
	if !strings.HasSuffix(from["partitions"], "natter.yaml") {
		t.Errorf("partitions comes from %q", from["partitions"])
	}
	shown := Effective(c, from)
	for _, want := range []string{"heartbeat: 30s", "# --heartbeat", "# NATTER_NAME", `["https://a.example", "https://b.example"]`} {
		if !strings.Contains(shown, want) {
			t.Errorf("the effective config lacks %q:\n%s", want, shown)
		}
	}
}

func TestFileFromTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte("name: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(nil, "", []string{"NATTER_CONFIG=" + file})
	if err != nil || c.Name != "here" {
		t.Errorf("%+v, %v", c, err)
	}
}

// member is a file for a member of a cluster, without the lines that begin with without.
func member(without string) string {
	text := ""
	for line := range strings.Lines("name: a\ncluster: [a.example:6222, 10.0.0.2:6222, '[fd00::3]:6222']\ncluster_listen: 0.0.0.0:6222\ncluster_certs: certs\n") {
		if without == "" || !strings.HasPrefix(line, without) {
			text += line
		}
	}
	return text
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		args, env   []string
		file, field string
		says        string
	}{
		{file: "lisen: x", field: "lisen", says: "listen was probably meant"},
		{file: "Listen: x", field: "Listen", says: "listen was probably meant"},
		{file: "nats:\n  port: 4222", field: "nats", says: "`natter config` prints"},
		{env: []string{"NATTER_RATELIMITS=off"}, field: "NATTER_RATELIMITS", says: "NATTER_RATE_LIMITS was probably meant"},
		{env: []string{"NATTER_PARTITIONS=many"}, field: "partitions", says: "NATTER_PARTITIONS"},
		{args: []string{"--partitions=65"}, field: "partitions", says: "1 to 64"},
		{args: []string{"--partitions=0"}, field: "partitions", says: "--partitions"},
		{file: "partitions: [1]", field: "partitions", says: "single value"},
		{file: "partitions: 1.5", field: "partitions", says: "single value"},
		{file: "heartbeat: 25", field: "heartbeat", says: "with its unit"},
		{file: "heartbeat: 1ms", field: "heartbeat", says: "1s to 5m"},
		{file: "durability: maybe", field: "durability", says: "safe or fast"},
		{file: "rate_limits: sometimes", field: "rate_limits", says: "on or off"},
		{file: "name: a b", field: "name", says: "1 to 32"},
		{file: "name:", field: "name", says: "no value"},
		{file: "name: x\nname: y", field: "config", says: "already defined"},
		{file: "data: \"\"", field: "data", says: "1 to 4096"},
		{file: "listen: 8080", field: "listen", says: "host:port"},
		{file: "listen: 127.0.0.1:99999", field: "listen", says: "0 to 65535"},
		{file: "listen: example.org:80", field: "listen", says: "IP address"},
		{file: "listen: 0.0.0.0:80", field: "listen", says: "without TLS"},
		{file: "listen: :80", field: "listen", says: "without TLS"},
		{file: "listen: '[::]:80'", field: "listen", says: "without TLS"},
		{file: "admin: 10.0.0.1:80", field: "admin", says: "asks nobody"},
		{file: "admin: 127.0.0.1:8080", field: "admin", says: "another address"},
		{file: "tls_cert: a.pem", field: "tls_cert", says: "both or neither"},
		{file: "tls_cert: a.pem\ntls_key: b.pem\npublic_url: http://a.example", field: "public_url", says: "https"},
		{file: "public_url: https://a.example/chat", field: "public_url", says: "scheme and host"},
		{file: "origins: [\"*\"]", field: "origins", says: "scheme and host"},
		{file: "trusted_proxies: [proxy]", field: "trusted_proxies", says: "prefix"},
		{file: "tls_cert: a.pem\ntls_key: b.pem\nadvertise: http://a.example", field: "advertise", says: "https"},
		{file: "cluster: [a:1, b:2, c]", field: "cluster", says: "host:port"},
		{file: "cluster: [a:1, b:2, c:0]", field: "cluster", says: "1 to 65535"},
		{file: "cluster: [a:1, b:2, c:03]", field: "cluster", says: "1 to 65535"},
		{file: "cluster: [a:1, b:2, 0.0.0.0:3]", field: "cluster", says: "can reach"},
		{file: "cluster: [a:1, b:2, a b:3]", field: "cluster", says: "host name"},
		{file: "cluster: [a:1]", field: "cluster", says: "one node"},
		{file: "cluster: [a:1, b:1]", field: "cluster", says: "two are worse than one"},
		{file: "cluster: [a:1, b:1, c:1, d:1]", field: "cluster", says: "list 3 or 5"},
		{file: "cluster: [a:1, b:1, b:1]", field: "cluster", says: "b:1 twice"},
		{file: "cluster: 1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:1,10:1,11:1", field: "cluster", says: "at most 9"},
		{file: member("cluster_certs:"), field: "cluster_certs", says: "`natter cluster init`"},
		{file: member("cluster_listen:"), field: "cluster_listen", says: "is needed"},
		{file: member("cluster_listen:") + "cluster_listen: :0\n", field: "cluster_listen", says: "fixed port"},
		{file: member("cluster_listen:") + "cluster_listen: 127.0.0.1:8080\n", field: "cluster_listen", says: "another address"},
		{file: member("name:"), field: "name", says: "every member has its own"},
		{file: member("") + "listen: :80\ninsecure: on\n", field: "advertise", says: "every address of the machine"},
		{file: member("") + "cluster_name: a b\n", field: "cluster_name", says: "1 to 32"},
		{file: "cluster_listen: :6222", field: "cluster_listen", says: "goes with cluster"},
		{file: "cluster_certs: certs", field: "cluster_certs", says: "goes with cluster"},
		{file: "- a\n- b", field: "config", says: "cannot unmarshal"},
		{file: "a: [", field: "config", says: "did not find"},
	} {
		_, _, err := load(t, c.args, c.file, c.env...)
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Field != c.field || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v %v %q: %v; want %s: …%s…", c.args, c.env, c.file, err, c.field, c.says)
		}
	}
	if _, _, err := Load(nil, "/nonexistent/natter.yaml", []string{}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that isn't there: %v", err)
	}
	for _, good := range []string{member(""), member("") + "listen: :80\ninsecure: on\nadvertise: http://a.example\n", member("") + "cluster_name: other", "listen: 0.0.0.0:80\ninsecure: on", "listen: :443\ntls_cert: a\ntls_key: b", "listen: localhost:80", "listen: '[::1]:80'", "# nothing"} {
		if _, _, err := load(t, nil, good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestAllRefusalsAtOnce(t *testing.T) {
	_, _, err := load(t, nil, "partitions: 0\nheartbeat: never\nnonsense: 1\n", "NATTER_NOISE=1")
	for _, field := range []string{"partitions", "heartbeat", "nonsense", "NATTER_NOISE"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v doesn't name %s", err, field)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Default())
	f.Add("listen: 0.0.0.0:1\ninsecure: on\norigins: a,b")
	f.Add(member(""))
	f.Add("a: &a [*a]")
	f.Add("partitions: 0x10\nheartbeat: 1e3s")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if values, err := parse([]byte(text), "x.yaml"); err != nil || len(values) == 0 {
			return
		}
		file := filepath.Join(dir, "natter.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, from, err := Load(nil, file, []string{})
		if err != nil {
			return
		}
		// What is taken can be printed and read back.
		if err := os.WriteFile(file, []byte(Effective(c, from)), 0o600); err != nil {
			t.Fatal(err)
		}
		again, _, err := Load(nil, file, []string{})
		if err != nil || !reflect.DeepEqual(again, c) && len(c.Origins)+len(c.TrustedProxies) > 0 {
			t.Errorf("%q is %+v, read back as %+v, %v", text, c, again, err)
		}
	})
}
