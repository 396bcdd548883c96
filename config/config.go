// Package config holds every setting of natter: one struct, one table that says
// of each what it is, its default, its bounds and why, and one Load.
//
//	flag --rate-limits  >  NATTER_RATE_LIMITS  >  rate_limits: in the file  >  default
//
// What nobody knows is refused wherever it stands, with the name that was
// probably meant: a setting that is misspelt must not silently be its default.
package config

import (
	"fmt"
	"time"
)

// Config is what a node is started with. The table in fields.go documents each.
type Config struct {
	Listen  string
	Admin   string // empty: no admin listener
	Data    string
	Name    string
	Region  string
	TLSCert string
	TLSKey  string

	Insecure       bool
	PublicURL      string
	Origins        []string
	TrustedProxies []string

	Cluster       []string // every member's route address; empty: a single node
	ClusterListen string
	ClusterCerts  string
	ClusterName   string
	Advertise     string

	Durability     string // Safe or Fast
	Partitions     int
	QueueRetention time.Duration
	EditWindow     time.Duration // 0: for ever

	RateLimits        bool
	MaxConnections    int
	MaxSocketsPerUser int
	Heartbeat         time.Duration
	ShutdownGrace     time.Duration

	ScrubInterval time.Duration // 0: never
	ScrubRate     int           // MiB a second

	LogLevel  string // debug, info, warn, error
	LogFormat string // auto, text, json
}

// Clustered tells whether the node is a member of a cluster.
func (c *Config) Clustered() bool { return len(c.Cluster) > 0 }

// The values of Durability.
const (
	Safe = "safe"
	Fast = "fast"
)

// Defaults is what holds when nothing is set.
func Defaults() *Config {
	c := &Config{}
	for _, f := range fields {
		if err := f.set(c, f.def); err != nil {
			panic("config: the default of " + f.key + " is refused: " + err.Error())
		}
	}
	return c
}

// Error is a setting that is refused.
type Error struct {
	Field  string // the key, or what stood in its place
	Origin string // where it was set, as in Origins; empty for a combination
	Detail string
}

// Error is one line that names the field.
func (e *Error) Error() string {
	if e.Origin == "" {
		return fmt.Sprintf("%s: %s", e.Field, e.Detail)
	}
	return fmt.Sprintf("%s (%s): %s", e.Field, e.Origin, e.Detail)
}

// Origins says where each key's value came from: "default", "--listen",
// "NATTER_LISTEN" or the file's name.
type Origins map[string]string
