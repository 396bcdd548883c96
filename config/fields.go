package config

import (
	"fmt"
	"strings"
	"time"
)

// field is one setting. The table is the manual: Default, Flags and the
// documentation are made of it, and so is the check of what may stand there.
type field struct {
	key   string
	def   string // as it would be typed
	value value
	why   string // what it is, its unit and bounds, and what they are for
}

// fields are all settings, in the order in which they are printed.
var fields = []field{
	{"listen", "127.0.0.1:8080", address(func(c *Config) *string { return &c.Listen }, false), `
Address of the web app and the API, host:port. Port 0 takes a free one. Any
other address than a loopback one needs tls_cert and tls_key, or insecure.`},
	{"admin", "127.0.0.1:8081", address(func(c *Config) *string { return &c.Admin }, true), `
Address of /metrics, /healthz, /readyz, /cluster, /drain and /debug/pprof, host:port;
empty turns it off. It asks nobody who they are, so it is a loopback address, or insecure.`},
	{"data", "./data", text(func(c *Config) *string { return &c.Data }, 1, 4096), `
Directory of everything that is kept. One node at a time; made if it is missing.`},
	{"name", "n1", identifier(func(c *Config) *string { return &c.Name }, 1), `
This node's name, 1 to 32 of A-Z a-z 0-9 _ -. Written into the data directory
when it is made; the same directory under another name is refused.`},
	{"region", "", identifier(func(c *Config) *string { return &c.Region }, 0), `
Where the node stands, up to 32 of A-Z a-z 0-9 _ -, as "seoul": clients are
offered near nodes first. Empty is a region too.`},
	{"tls_cert", "", text(func(c *Config) *string { return &c.TLSCert }, 0, 4096), `
PEM file with the certificate and its chain; with tls_key the node speaks TLS.`},
	{"tls_key", "", text(func(c *Config) *string { return &c.TLSKey }, 0, 4096), `
PEM file with the certificate's key.`},
	{"insecure", "off", onOff(func(c *Config) *bool { return &c.Insecure }), `
on allows addresses beyond this machine without TLS: passwords then cross the
network readable. For a proxy in front that ends TLS, or a closed network.`},
	{"public_url", "", origin(func(c *Config) *string { return &c.PublicURL }), `
How browsers reach this node, as https://chat.example.org; empty if directly.
With https, cookies are marked Secure.`},
	{"origins", "", list(func(c *Config) *[]string { return &c.Origins }, 64, checkOrigin), `
Further origins whose pages may open a WebSocket here, as https://example.org;
beside the node's own. Comma-separated where it isn't YAML; at most 64.`},
	{"trusted_proxies", "", list(func(c *Config) *[]string { return &c.TrustedProxies }, 64, checkPrefix), `
Addresses or prefixes, as 10.0.0.0/8, whose X-Forwarded-For says who is asking.
Without it everyone behind a proxy shares the proxy's rate limits; at most 64.`},
	{"cluster", "", list(func(c *Config) *[]string { return &c.Cluster }, maxMembers, checkMember), `
The route addresses of all members of the cluster, this one's too, host:port
with commas between: a.example:6222,b.example:6222,c.example:6222. 3, 5, 7 or 9;
the same on every member. Empty is a single node.`},
	{"cluster_listen", "", address(func(c *Config) *string { return &c.ClusterListen }, true), `
Where this member takes the others' connections, host:port, as 0.0.0.0:6222. Only
who has a certificate of cluster_certs' authority gets in.`},
	{"cluster_certs", "", text(func(c *Config) *string { return &c.ClusterCerts }, 0, 4096), `
Directory of ca.crt, node.crt and node.key, made by "natter cluster init" and
"natter cluster cert". The certificate is of this node's name, and names the host
that stands for it in cluster.`},
	{"cluster_name", "natter", identifier(func(c *Config) *string { return &c.ClusterName }, 1), `
The cluster's name, 1 to 32 of A-Z a-z 0-9 _ -; the same on every member. Written
into the data directory when it is made.`},
	{"advertise", "", origin(func(c *Config) *string { return &c.Advertise }), `
How clients and other nodes reach this very node, as https://a.example.org: what
discovery tells of it. Empty is public_url, or else the listen address. Members
of a cluster that share one public_url each need their own.`},
	{"durability", Safe, oneOf(func(c *Config) *string { return &c.Durability }, Safe, Fast), `
safe: a message is acknowledged when it is on the disk (fsync). fast: the disk
follows within a second; a power failure may take that second's messages, the
end of the process alone takes none.`},
	{"partitions", "4", number(func(c *Config) *int { return &c.Partitions }, 1, 64), `
Logs that work side by side, 1 to 64. Fixed when the data directory is made.
Each costs some memory and an fsync of its own; about one for each core.`},
	{"queue_retention", "720h", duration(func(c *Config) *time.Duration { return &c.QueueRetention }, time.Hour, 8760*time.Hour), `
How long a device may be away and still be told exactly what it missed, 1h to
8760h. Beyond, it loads its rooms anew; messages are kept all the same.`},
	{"edit_window", "0s", duration(func(c *Config) *time.Duration { return &c.EditWindow }, 0, 8760*time.Hour), `
How long after it was sent a message may be edited by its author, 0s to 8760h;
0s is for ever. A bound lets people rely on what they have read and answered.
Deleting is not bound by it.`},
	{"rate_limits", "on", onOff(func(c *Config) *bool { return &c.RateLimits }), `
off lifts the limits of sign-ups, sign-ins and requests: for measuring only.`},
	{"max_connections", "20000", number(func(c *Config) *int { return &c.MaxConnections }, 16, 1_000_000), `
Connections at once, 16 to 1000000, each about 8 KB. Further ones wait to be
accepted. The limit of open files (ulimit -n) must be higher.`},
	{"max_sockets_per_user", "20", number(func(c *Config) *int { return &c.MaxSocketsPerUser }, 1, 1000), `
WebSockets of one person at once, 1 to 1000; the next is closed with 4503.`},
	{"heartbeat", "25s", duration(func(c *Config) *time.Duration { return &c.Heartbeat }, time.Second, 5*time.Minute), `
How often a quiet client says that it lives, 1s to 5m. After 2.5 of them without
a word it counts as gone. Shorter than the 30 s after which some networks forget.`},
	{"shutdown_grace", "10s", duration(func(c *Config) *time.Duration { return &c.ShutdownGrace }, 0, 5*time.Minute), `
How long a stop waits for what is under way, 0s to 5m, before it cuts it off.`},
	{"scrub_interval", "24h", duration(func(c *Config) *time.Duration { return &c.ScrubInterval }, 0, 8760*time.Hour), `
How often the members of a cluster compare their copies of everything that is kept,
0s to 8760h; 0s is never. A copy that differs from the others is made anew by its
node, which starts again for it: disks damage what they hold, and say nothing.`},
	{"scrub_rate", "4", number(func(c *Config) *int { return &c.ScrubRate }, 1, 1024), `
How fast the copies are read to be compared, all together, in MiB a second, 1 to
1024. 100 GiB on three nodes take a day at 4; what takes longer than scrub_interval
begins again when it is through.`},
	{"log_level", "info", oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error"), `
The least that is logged: debug, info, warn or error.`},
	{"log_format", "auto", oneOf(func(c *Config) *string { return &c.LogFormat }, "auto", "text", "json"), `
text for people, json for machines; auto is text on a terminal, else json.`},
}

var byKey = func() map[string]*field {
	all := map[string]*field{}
	for i := range fields {
		all[fields[i].key] = &fields[i]
	}
	return all
}()

// flag and env are the key's other spellings.
func (f *field) flag() string { return strings.ReplaceAll(f.key, "_", "-") }
func (f *field) env() string  { return envPrefix + strings.ToUpper(f.key) }

// set parses what a flag, the environment, YAML or the table brought.
func (f *field) set(c *Config, raw any) error { return f.value.set(c, raw) }

// Default is the documented default configuration: valid YAML that changes
// nothing, and the manual of the settings.
func Default() string {
	var b strings.Builder
	b.WriteString("# natter's settings and their defaults. Each may also be given as a flag\n# (--rate-limits) or in the environment (NATTER_RATE_LIMITS); flags come before\n# the environment, and both before this file.\n")
	c := Defaults()
	for i := range fields {
		f := &fields[i]
		b.WriteString("\n")
		for line := range strings.SplitSeq(strings.TrimSpace(f.why), "\n") {
			b.WriteString("# " + line + "\n")
		}
		fmt.Fprintf(&b, "%s: %s\n", f.key, f.value.yaml(c))
	}
	return b.String()
}

// Effective is c as YAML, with each value's origin beside it.
func Effective(c *Config, from Origins) string {
	var b strings.Builder
	for i := range fields {
		f := &fields[i]
		fmt.Fprintf(&b, "%-52s # %s\n", f.key+": "+f.value.yaml(c), from[f.key])
	}
	return b.String()
}
