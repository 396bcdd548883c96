//go:build linux

package gauntlet

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

// join makes one cluster of the nodes: a CA, a certificate for each, and the
// settings by which they find each other.
func (c *cluster) join(ctx context.Context, addresses []address) error {
	var routes []string
	for _, a := range addresses {
		routes = append(routes, a.route)
	}
	authority := filepath.Join(c.dir, "certs")
	if err := c.natter(ctx, "cluster", "init", authority); err != nil {
		return err
	}
	for i, n := range c.nodes {
		host, _, err := net.SplitHostPort(addresses[i].route)
		if err != nil {
			return err
		}
		certs := filepath.Join(authority, n.name)
		if err := c.natter(ctx, "cluster", "cert", n.name, "--ca="+authority, "--out="+certs, "--host="+host); err != nil {
			return err
		}
		n.opts.Args = append(n.opts.Args, "--cluster-listen="+addresses[i].route, "--cluster="+strings.Join(routes, ","),
			"--cluster-certs="+certs, "--advertise="+n.url(), "--region=r"+n.name)
	}
	return nil
}

// natter runs a command of the program to its end.
func (c *cluster) natter(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, c.binary, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("natter %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
