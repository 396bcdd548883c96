// Package certs makes and checks the certificates by which the nodes of a cluster
// know each other; it is the only package that makes any.
//
//	natter cluster init DIR          ca.crt, ca.key      the cluster's authority
//	natter cluster cert NAME …       ca.crt, node.crt, node.key      one node's
//
// The authority is the cluster's own and trusted by nothing else. It has a random
// ClusterID, which stands as the organisation in its subject and in that of every
// certificate it makes; a renewed authority keeps it. So a node knows which
// cluster it is about to join before the first byte crosses a route, and two
// clusters never mix, whatever addresses their settings list.
//
// A node's certificate has the node's name as its common name, and among its
// hosts the one that stands for it in the members' list: who connects to a member
// verifies that, and either side verifies that the other's certificate is of the
// authority. TLS 1.3 only. Beside its certificate a node may tell more of itself in
// the handshake (Route).
package certs
