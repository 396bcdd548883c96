// Package bench puts a bounded load on one node and says what came of it:
// `natter bench`.
//
//	Run ─▶ target    the node: started here, or joined; or a cluster's three, started here
//	    ─▶ world     people, rooms and devices, all in this process
//	    ─▶ workload  one of a table; each in a file of its name
//	         talk      pairs, groups: windows or a fixed rate, for a time
//	         idle · catch-up · storm · history · mixed
//	    ─▶ check     every message once, in order, at everybody
//	    ─▶ raw       what JetStream alone does here: the measure of the rate
//	    ─▶ Result ─▶ table, JSON, or a page with plots
//
// The devices are client.Device, as a bot would use it. They share the machine
// with the node, so what they cost is told beside the node's cost. A message's
// text begins with the moment it was sent (in rate mode: was to be sent, so that
// a node that falls behind can't hide it), which is how the receivers know how
// long it took. In a cluster the i-th person is of node i mod 3, so that who shares
// a room is on different ones. Who owns what: a player's lane and its device's
// callbacks belong to that device's reading goroutine; everything that is shared is
// atomic.
package bench
