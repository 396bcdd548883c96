package edge

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTheHandshake: what is one, and what isn't.
func TestTheHandshake(t *testing.T) {
	h := open(t)
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	for name, c := range map[string]struct {
		change func(http.Header)
		status int
	}{
		"as it should be":         {func(http.Header) {}, 101},
		"other cases":             {func(h http.Header) { h.Set("Connection", "keep-alive, UPGRADE"); h.Set("Upgrade", "WebSocket") }, 101},
		"no Upgrade":              {func(h http.Header) { h.Del("Upgrade") }, 426},
		"Upgrade to another":      {func(h http.Header) { h.Set("Upgrade", "h2c") }, 426},
		"no Connection":           {func(h http.Header) { h.Del("Connection") }, 426},
		"Connection of another":   {func(h http.Header) { h.Set("Connection", "keep-alive") }, 426},
		"version 8":               {func(h http.Header) { h.Set("Sec-Websocket-Version", "8") }, 400},
		"no version":              {func(h http.Header) { h.Del("Sec-Websocket-Version") }, 400},
		"no key":                  {func(h http.Header) { h.Del("Sec-Websocket-Key") }, 400},
		"a key of 15 bytes":       {func(h http.Header) { h.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25j") }, 400},
		"a key that is no base64": {func(h http.Header) { h.Set("Sec-Websocket-Key", strings.Repeat("!", 24)) }, 400},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", h.addr)
			h.must(err)
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.addr+"/v1/ws", nil)
			h.must(err)
			for name, value := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": key,
			} {
				req.Header.Set(name, value)
			}
			c.change(req.Header)
			h.must(req.Write(conn))
			res, err := http.ReadResponse(bufio.NewReader(conn), req)
			if err != nil || res.StatusCode != c.status {
				t.Fatalf("%v, %v; want %d", res, err, c.status)
			}
			defer func() { _ = res.Body.Close() }()
			if accept := res.Header.Get("Sec-Websocket-Accept"); c.status == 101 && accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Errorf("Sec-WebSocket-Accept %q", accept)
			}
		})
	}
}
