package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// raw sends bytes on a connection of their own and reads the first answer.
func (h *house) raw(t *testing.T, text string) (*http.Response, string, error) {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	h.must(err)
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, "", err
	}
	body, _ := io.ReadAll(res.Body)
	rest, _ := io.ReadAll(r) // until the server closes, or the deadline
	return res, string(body) + string(rest), nil
}

// TestFraming: what proxies and servers may read in two ways is refused, and
// the connection with it: nothing behind it is taken for a request.
func TestFraming(t *testing.T) {
	h := open(t)
	const smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, head := range map[string]string{
		"both lengths":         "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"both, the other way":  "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
		"two lengths":          "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"plus length":          "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n{}   ",
		"negative length":      "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"xchunked":             "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"space before colon":   "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n",
		"two hosts":            "GET /v1/server HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"no host":              "GET /v1/server HTTP/1.1\r\nX: x\r\n\r\n",
		"NUL in a header":      "GET /v1/server HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
		"newline in extension": "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n",
		"no HTTP":              "hello\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			res, rest, err := h.raw(t, head+smuggled)
			if err != nil {
				return // closed without a word
			}
			if res.StatusCode < 400 || res.StatusCode > 499 {
				t.Errorf("%d %s", res.StatusCode, rest)
			}
			if strings.Contains(rest, `"status":"ok"`) {
				t.Errorf("the smuggled request was answered: %s", rest)
			}
		})
	}
	res, body, err := h.raw(t, fmt.Sprintf("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", chat.MaxBodyBytes+1))
	if err != nil || res.StatusCode != 413 || !strings.Contains(body, `"code":"too_large"`) {
		t.Errorf("a body over the limit, not sent yet: %v %s %v", res, body, err)
	}
	h.call("GET", "/healthz", nil).status(200)
}

// TestAPingFlood ends: answering is work too.
func TestAPingFlood(t *testing.T) {
	h := open(t, func(o *Options) { o.RateLimits = true })
	s := h.person("mina").connect()
	for range 200 {
		if _, err := s.ws.NetConn().Write(masked(0x89, "x")); err != nil {
			break
		}
	}
	s.closed(wire.CloseProtocolError)
}

// TestEarlyBytes: frames that come with the handshake in one packet are read.
func TestEarlyBytes(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	c, err := net.Dial("tcp", h.addr)
	h.must(err)
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	hello := wire.Encode(&wire.Hello{Ref: "early", Token: mina.AccessToken})
	request := "GET /v1/ws HTTP/1.1\r\nHost: " + h.addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	_, err = c.Write(append([]byte(request), masked(0x81, string(hello))...))
	h.must(err)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%v, %v", res, err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil || head[0] != 0x81 || head[1] != 126 {
		t.Fatalf("first frame %x, %v", head, err)
	}
	text := make([]byte, int(head[2])<<8|int(head[3]))
	if _, err := io.ReadFull(r, text); err != nil || !strings.Contains(string(text), `"op":"welcome","ref":"early"`) {
		t.Fatalf("%s, %v", text, err)
	}
}

// TestABodyThatIsTooLargeIsAnswered: whoever has sent all of it reads why it was refused.
func TestABodyThatIsTooLargeIsAnswered(t *testing.T) {
	h := open(t)
	for range 20 {
		c, err := net.Dial("tcp", h.addr)
		h.must(err)
		h.must(c.SetDeadline(time.Now().Add(patience)))
		body := strings.Repeat("x", chat.MaxBodyBytes+128<<10)
		_, err = fmt.Fprintf(c, "POST /v1/me HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", h.addr, len(body), body)
		h.must(err)
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 413 ") {
			t.Fatalf("%v: %q", err, answer)
		}
		h.must(c.Close())
	}
}
