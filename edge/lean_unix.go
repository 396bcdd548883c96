//go:build unix

package edge

import (
	"io"
	"net"
	"syscall"
)

// leanHere: the lean driver is the one to take on this system.
const leanHere = true

// waiter waits for a socket of the system's to have something, without holding
// memory meanwhile: a buffer is taken when there is something to put into it.
type waiter struct {
	raw  syscall.RawConn
	take func(fd uintptr) bool
	in   *input
	err  error
}

// newWaiter is nil for a connection that is no socket, as TLS.
func newWaiter(c net.Conn) *waiter {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	w := &waiter{raw: raw}
	w.take = w.tryRead
	return w
}

// read waits, at most until the connection's deadline, and returns a buffer
// with something in it, or why there will be nothing.
func (w *waiter) read() (*input, error) {
	w.in, w.err = nil, nil
	if err := w.raw.Read(w.take); err != nil {
		return nil, err
	}
	in := w.in
	w.in = nil
	return in, w.err
}

// tryRead reads from a socket that doesn't block; false when nothing is there.
func (w *waiter) tryRead(fd uintptr) bool {
	in := inputs.Get().(*input)
	for {
		n, err := syscall.Read(int(fd), in.buf[:])
		if err == syscall.EINTR { //nolint:errorlint // the system's own, and the stack is small here
			continue
		}
		if err == nil && n > 0 {
			in.n = n
			w.in = in
			return true
		}
		inputs.Put(in)
		switch {
		case err == syscall.EAGAIN: //nolint:errorlint // as above
			return false
		case err != nil:
			w.err = &net.OpError{Op: "read", Net: "tcp", Err: err}
		default:
			w.err = io.EOF
		}
		return true
	}
}
