package node

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// The admin listener asks nobody who they are; it relies on who can reach it. A
// browser on such a machine can, and shows pages of anybody:
//
//	evil.example is 203.0.113.7, and serves a page that asks http://evil.example:8081/metrics
//	evil.example is now 127.0.0.1 (its owner says so): for the browser it's the page's own site
//
// So requests must name the node by an address, or by a name that isn't to be had by
// strangers. And pages of other sites, whom a browser lets ask but not read, may not
// change anything, or keep it busy with profiles.

// private are the endings of names that no public registry gives away.
var private = []string{".localhost", ".local", ".internal", ".home.arpa"}

// adminHosts are the names of this node that the configuration tells.
func (n *Node) adminHosts() []string {
	names := []string{}
	if host, _, err := net.SplitHostPort(n.config.Admin); err == nil {
		names = append(names, host)
	}
	for _, address := range []string{n.config.Advertise, n.config.PublicURL} {
		if u, err := url.Parse(address); err == nil {
			names = append(names, u.Hostname())
		}
	}
	if n.member != nil {
		names = append(names, n.member.certs.Hosts()...)
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// calledRightly tells whether a request's Host may be answered. Without one it isn't
// from a browser.
func calledRightly(host string, own []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") || slices.Contains(own, name) {
		return true
	}
	return slices.ContainsFunc(private, func(end string) bool { return strings.HasSuffix(name, end) })
}

// guard keeps strangers' pages from next.
func guard(own []string, next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch site := r.Header.Get("Sec-Fetch-Site"); {
		case !calledRightly(r.Host, own):
			refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf("the admin listener isn't called %.100q: ask it by its IP address, or by the name in admin, advertise or public_url", r.Host))
		case origins.Check(r) != nil:
			refuse(w, http.StatusForbidden, "the admin listener isn't for the pages of other sites")
		case strings.HasPrefix(r.URL.Path, "/debug/") && (site == "cross-site" || site == "same-site"):
			refuse(w, http.StatusForbidden, "profiles are not for the pages of other sites")
		default:
			next.ServeHTTP(w, r)
		}
	})
}
