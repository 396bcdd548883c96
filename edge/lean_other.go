//go:build !unix

package edge

import "net"

// leanHere: the portable driver is the one to take on this system.
const leanHere = false

// waiter is for systems whose sockets can be waited for without a buffer.
type waiter struct{}

func newWaiter(net.Conn) *waiter { return nil }

func (w *waiter) read() (*input, error) { panic("edge: no waiter on this system") }
