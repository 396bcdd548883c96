package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
)

// maxMembers is the most members a cluster may list. Its streams are kept by
// three of them, whatever their number.
const maxMembers = 9

var hostName = regexp.MustCompile(`^(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)$`)

// checkMember takes host:port, where others can reach it.
func checkMember(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("must be host:port, as a.example.org:6222, not %q", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port != strconv.FormatUint(n, 10) {
		return fmt.Errorf("must have a port from 1 to 65535, not %q", port)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
			return fmt.Errorf("must be an address that the other members can reach, not %q", host)
		}
		return nil
	}
	if len(host) > 253 || !hostName.MatchString(host) {
		return fmt.Errorf("must have a host name or an IP address before the port, not %q", host)
	}
	return nil
}

// validateCluster refuses what makes no cluster.
func (c *Config) validateCluster(refuse func(field, detail string)) {
	if !c.Clustered() {
		for field, is := range map[string]string{"cluster_listen": c.ClusterListen, "cluster_certs": c.ClusterCerts} {
			if is != "" {
				refuse(field, "goes with cluster, which lists the members: set both or neither")
			}
		}
		return
	}
	switch n := len(c.Cluster); {
	case n == 1:
		refuse("cluster", "lists one node: leave it empty for a single node, or list three")
	case n == 2:
		refuse("cluster", "lists two nodes: they stop when either of them does, so two are worse than one; list three")
	case n%2 == 0:
		refuse("cluster", fmt.Sprintf("lists %d nodes: an even number bears no more failures than %d, and stops sooner; list %d or %d", n, n-1, n-1, n+1))
	}
	seen := map[string]bool{}
	for _, member := range c.Cluster {
		if seen[member] {
			refuse("cluster", "lists "+member+" twice")
		}
		seen[member] = true
	}
	if c.ClusterCerts == "" {
		refuse("cluster_certs", "is needed in a cluster: no route is open to who has no certificate; `natter cluster init` and `natter cluster cert` make them")
	}
	if _, port, _ := net.SplitHostPort(c.ClusterListen); c.ClusterListen == "" {
		refuse("cluster_listen", "is needed in a cluster: where this member takes the others' connections, as 0.0.0.0:6222")
	} else if port == "0" {
		refuse("cluster_listen", "must have a fixed port: the other members' cluster lists it")
	} else if c.ClusterListen == c.Listen || c.ClusterListen == c.Admin {
		refuse("cluster_listen", "must be another address than listen and admin")
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && c.Advertise == "" && c.PublicURL == "" {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			refuse("advertise", "is needed in a cluster when listen is every address of the machine: clients are sent from node to node, and must be told where this one is")
		}
	}
}

// named refuses a member that was given no name: each has its own, and the
// default would be everybody's.
func (c *Config) named(from Origins) error {
	if c.Clustered() && from["name"] == "default" {
		return &Error{Field: "name", Detail: "must be set in a cluster: every member has its own"}
	}
	return nil
}
