package edge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"
	"github.com/gobwas/ws"

	"natter/chat"
	"natter/wire"
)

// certificate is one for this machine, that signs itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestSocketsOverTLS: a socket that is no socket of the system's, with texts of
// all sizes, fragments and an end in order.
func TestSocketsOverTLS(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	served := make(chan error, 1)
	go func() {
		served <- h.edge.Serve(tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	}()
	d := websocket.Dialer{Subprotocols: []string{subprotocol}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the certificate is the test's own
	dial := func() *socket {
		client, res, err := d.DialContext(t.Context(), "wss://"+inner.Addr().String()+"/v1/ws", http.Header{})
		if err != nil {
			t.Fatalf("%v, %v", err, res)
		}
		s := &socket{t: t, ws: client}
		s.send(&wire.Hello{Token: mina.AccessToken})
		next[*wire.Welcome](s)
		next[*wire.Synced](s)
		return s
	}
	for _, c := range rawCases() {
		dial().hears(t, c)
	}
	s := dial()
	time.AfterFunc(0, func() { _ = h.edge.Shutdown(context.WithoutCancel(t.Context())) })
	s.closed(wire.CloseDraining)
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// ends are a lean driver and the client's end of its connection.
func ends(t *testing.T, pong func([]byte) error) (*lean, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	d := newLean(server, nil, pong)
	t.Cleanup(func() {
		_ = client.Close()
		d.Release()
	})
	return d, client.(*net.TCPConn)
}

// TestAtRest: a reader that has worked is told that nothing comes, and goes on
// elsewhere; half a frame is no rest, and an interruption reaches it there.
func TestAtRest(t *testing.T) {
	d, client := ends(t, nil)
	frame := masked(0x81, "hello")
	write := func(p []byte) {
		if _, err := client.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	write(frame)
	if text, err := d.ReadFrame(time.Now().Add(patience)); err != nil || string(text) != "hello" {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err := d.ReadFrame(time.Now().Add(patience)); !errors.Is(err, errAtRest) {
		t.Fatalf("%v; want rest", err)
	}
	if d.in != nil || d.message != nil || d.rest != nil {
		t.Error("a socket at rest holds a buffer")
	}
	rested := make(chan struct{})
	go func() {
		d.await()
		close(rested)
	}()
	write(frame[:3])
	<-rested
	time.AfterFunc(restAfter*3/2, func() { write(frame[3:]) })
	if text, err := d.ReadFrame(time.Now().Add(patience)); err != nil || string(text) != "hello" {
		t.Fatalf("half a frame, and then the rest: %q, %v", text, err)
	}
	if _, err := d.ReadFrame(time.Now().Add(patience)); !errors.Is(err, errAtRest) {
		t.Fatalf("%v; want rest", err)
	}
	time.AfterFunc(0, d.Interrupt)
	d.await()
	if _, err := d.ReadFrame(time.Now().Add(patience)); !errors.Is(err, errInterrupted) {
		t.Errorf("%v; want to be interrupted", err)
	}
}

// TestADeadlineEndsRest: what the session gave it, not longer.
func TestADeadlineEndsRest(t *testing.T) {
	d, client := ends(t, nil)
	if _, err := client.Write(masked(0x81, "hello")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(restAfter + restAfter/2)
	var err error
	for err == nil || errors.Is(err, errAtRest) {
		_, err = d.ReadFrame(deadline)
		if errors.Is(err, errAtRest) {
			d.await()
		}
	}
	var network net.Error
	if !errors.As(err, &network) || !network.Timeout() || time.Now().Before(deadline) {
		t.Errorf("%v, %v before its time", err, time.Until(deadline))
	}
}

// TestPieces: a frame may come in many, but not in any number.
func TestPieces(t *testing.T) {
	for n, want := range map[int]error{maxPieces: nil, maxPieces + 1: errTooMany} {
		d, client := ends(t, nil)
		frames := [][]byte{masked(0x01, "x")}
		for range n - 2 {
			frames = append(frames, masked(0x00, ""))
		}
		if _, err := client.Write(slices.Concat(append(frames, masked(0x80, "y"))...)); err != nil {
			t.Fatal(err)
		}
		text, err := d.ReadFrame(time.Now().Add(patience))
		if !errors.Is(err, want) || err == nil && string(text) != "xy" {
			t.Errorf("%d pieces: %q, %v", n, text, err)
		}
	}
}

// TestWhatIsAnnouncedTakesNoMemory: 64 KiB are said to come, and don't.
func TestWhatIsAnnouncedTakesNoMemory(t *testing.T) {
	d, client := ends(t, nil)
	if _, err := client.Write(make([]byte, 86)); err != nil {
		t.Fatal(err)
	}
	d.message, d.deadline = new(bytes.Buffer), time.Now().Add(50*time.Millisecond)
	if err := d.collect(ws.Header{Length: chat.MaxFrameBytes}); err == nil {
		t.Fatal("they came")
	}
	if size := d.message.Cap(); size > 4096 {
		t.Errorf("%d bytes for 86", size)
	}
}

// FuzzReadFrame: whatever comes, in whatever pieces, either is texts within the
// limits or ends the connection by an error this package knows.
func FuzzReadFrame(f *testing.F) {
	for _, c := range rawCases() {
		f.Add(slices.Concat(c.frames...), uint16(c.chop))
	}
	f.Fuzz(func(t *testing.T, data []byte, chop uint16) {
		d := newLean(&chopped{data: data, chop: max(1, int(chop)%5000)}, nil, func(payload []byte) error {
			if len(payload) > 125 {
				t.Fatalf("a ping of %d bytes", len(payload))
			}
			return nil
		})
		defer d.Release()
		for {
			text, err := d.ReadFrame(time.Time{})
			if len(text) > chat.MaxFrameBytes {
				t.Fatalf("%d bytes", len(text))
			}
			if err == nil {
				_ = utf8.Valid(text)
				continue
			}
			for _, one := range []error{errBinary, errTooLarge, errTooMany, errProtocol, errClosed, io.EOF, io.ErrUnexpectedEOF} {
				if errors.Is(err, one) {
					return
				}
			}
			t.Fatalf("%v", err)
		}
	})
}

// chopped is a connection that brings data, so many bytes at a time.
type chopped struct {
	net.Conn
	data []byte
	chop int
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.chop)], c.data)
	c.data = c.data[n:]
	return n, nil
}

func (c *chopped) SetReadDeadline(time.Time) error { return nil }
func (c *chopped) Close() error                    { return nil }
