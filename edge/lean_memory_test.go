//go:build unix

package edge

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"natter/wire"
)

// TestSocketsAtRestAreSmall: a thousand that are signed in and silent. The
// clients are bare files, which take nothing of the memory that is counted.
func TestSocketsAtRestAreSmall(t *testing.T) {
	const n, most = 1000, 10 << 10
	h := open(t, func(o *Options) { o.MaxSocketsPerUser = n })
	mina := h.person("mina")
	var port int
	if _, err := fmt.Sscanf(h.addr, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	hello := append([]byte("GET /v1/ws HTTP/1.1\r\nHost: "+h.addr+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
		masked(0x81, string(wire.Encode(&wire.Hello{Token: mina.AccessToken})))...)
	files := make([]int, 0, n)
	t.Cleanup(func() {
		for _, f := range files {
			_ = syscall.Close(f)
		}
	})
	answer := make([]byte, 4096)
	before := inUse()
	for range n {
		f, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		h.must(err)
		files = append(files, f)
		h.must(syscall.SetsockoptTimeval(f, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 10}))
		h.must(syscall.Connect(f, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}))
		_, err = syscall.Write(f, hello)
		h.must(err)
		for got := ""; !strings.Contains(got, `"op":"synced"`); {
			n, err := syscall.Read(f, answer)
			h.must(err)
			if n == 0 {
				t.Fatalf("closed after %q", got)
			}
			got += string(answer[:n])
		}
	}
	var each int64
	h.eventually("they are at rest", func() bool {
		each = (inUse() - before) / n
		return each <= most
	})
	t.Logf("%d bytes a socket", each)
}

// inUse is what the heap and the stacks hold after a collection.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
