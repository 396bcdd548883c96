package story

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/nats-io/nats.go"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// atRoutes is what strangers try at the port for the other nodes.
func (f *foreigner) atRoutes() []attempt { return f.atNATS("routes", f.route) }

// atClients is what they try at the port of NATS's clients, from this very machine.
func (f *foreigner) atClients() []attempt { return f.atNATS("NATS's clients", f.client) }

func (f *foreigner) atNATS(where, address string) (all []attempt) {
	for _, w := range words {
		all = append(all, attempt{where, "in plain: " + w.protocol, closed, func(t *testing.T) string { return f.knock(t, address, nil, w.says) }},
			attempt{where, "TLS without a certificate: " + w.protocol, "remote error: tls: certificate required", func(t *testing.T) string {
				return f.knock(t, address, f.trusting(nil), w.says)
			}})
	}
	for _, s := range f.strangers() {
		all = append(all, attempt{where, s.what, "remote error: tls: " + s.answer, func(t *testing.T) string { return f.knock(t, address, f.trusting(s.certificate), words[1].says) }})
	}
	old := f.trusting(&f.member.TLS(nil).Certificates[0])
	old.MaxVersion = tls.VersionTLS12
	all = append(all, attempt{where, "TLS 1.2 with a member's certificate", "remote error: tls: protocol version not supported", func(t *testing.T) string { return f.knock(t, address, old, words[1].says) }})
	for what, option := range map[string]nats.Option{
		"no key": nats.Name("stranger"), "a password": nats.UserInfo("SYS", "SYS"), "a token": nats.Token("token"),
		"TLS": nats.Secure(f.trusting(nil)), "TLS first": func(o *nats.Options) error {
			o.Secure, o.TLSHandshakeFirst, o.TLSConfig = true, true, f.trusting(nil)
			return nil
		},
	} {
		all = append(all, attempt{where, "NATS's own client with " + what, "refused", func(t *testing.T) string {
			nc, err := nats.Connect("nats://"+address, option, nats.NoReconnect(), nats.Timeout(4*time.Second))
			if err != nil {
				return "refused"
			}
			defer nc.Close()
			return "let in"
		}})
	}
	return all
}

// monitoring are the addresses NATS has for whoever watches it.
var monitoring = []string{"/varz", "/connz", "/routez", "/gatewayz", "/leafz", "/subsz", "/accountz", "/accstatz", "/jsz", "/healthz?js-enabled-only=true", "/raftz", "/ipqueuesz", "/stacksz", "/expvarz", "/debug/vars"}

// operators are natter's own for its operator.
var operators = []string{"/metrics", "/cluster", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"}

// atListener is what they try where people come in.
func (f *foreigner) atListener() (all []attempt) {
	const where = "the public listener"
	address := strings.TrimPrefix(f.node.URL(), "http://")
	for _, path := range append(operators, monitoring...) {
		answer := "404"
		if strings.HasPrefix(path, "/healthz") {
			answer = `200 {"status":"ok"}` // natter's
		}
		all = append(all, attempt{where, "GET " + path, answer, func(t *testing.T) string { return f.get(t, f.node.URL()+path, nil) }})
	}
	for _, path := range []string{"/", "/leafnode", "/mqtt", "/v1/ws?token=x"} {
		all = append(all, attempt{where, "a WebSocket of NATS at " + path, "refused", func(t *testing.T) string {
			ws, res, err := (&websocket.Dialer{HandshakeTimeout: 5 * time.Second}).Dial("ws://"+address+path, nil)
			if err == nil {
				_ = ws.Close()
				return "upgraded"
			}
			if res == nil {
				return err.Error()
			}
			return "refused"
		}})
	}
	all = append(all, attempt{where, "a client of NATS over natter's WebSocket", "closed 4502", f.natsOverSocket})
	all = append(all, f.atHTTP(where, address)...)
	return all
}

// atAdmin is what they try where the operator asks: a page in a browser on the
// operator's machine among them.
func (f *foreigner) atAdmin() (all []attempt) {
	const where = "the admin listener"
	address := strings.TrimPrefix(f.node.AdminURL(), "http://")
	for _, path := range monitoring {
		answer := "404"
		if strings.HasPrefix(path, "/healthz") {
			answer = "200 ok"
		}
		all = append(all, attempt{where, "GET " + path, answer, func(t *testing.T) string { return f.get(t, f.node.AdminURL()+path, nil) }})
	}
	for _, path := range append(operators, "/readyz") {
		all = append(all, attempt{where, "GET " + path + " of a name that was rebound to it", "421", func(t *testing.T) string {
			return f.get(t, f.node.AdminURL()+path, func(r *http.Request) { r.Host = "evil.example:8081" })
		}})
	}
	for _, host := range []string{"localhost:8081", "127.0.0.1", "[::1]:8081", "natter-a:8081"} {
		all = append(all, attempt{where, "GET /cluster of " + host, `200 {"node":"a"`, func(t *testing.T) string {
			return f.get(t, f.node.AdminURL()+"/cluster", func(r *http.Request) { r.Host = host })
		}})
	}
	all = append(all, attempt{where, "a profile for another site's page", "403", func(t *testing.T) string {
		return f.get(t, f.node.AdminURL()+"/debug/pprof/profile?seconds=60", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	}})
	return append(all, f.atHTTP(where, address)...)
}

// atHTTP is what they say to a server of HTTP that isn't HTTP, or asks it to be a proxy.
func (f *foreigner) atHTTP(where, address string) (all []attempt) {
	for _, w := range words[1:] {
		answer := "HTTP/1.1 400"
		switch w.protocol {
		case "HTTP", "WebSocket":
			answer = "HTTP/1.1 404"
		case "MQTT":
			continue // it is no line yet: the server waits for the rest, and for nobody else
		}
		all = append(all, attempt{where, w.protocol, answer, func(t *testing.T) string { return f.knock(t, address, nil, w.says) }})
	}
	all = append(all, attempt{where, "TLS", "tls: first record does not look like a TLS handshake", func(t *testing.T) string {
		return f.knock(t, address, f.trusting(nil), "")
	}})
	for _, inner := range []string{f.client, f.route} {
		for _, line := range []string{"CONNECT " + inner, "GET http://" + inner + "/varz"} {
			all = append(all, attempt{where, "as a proxy to " + line, "HTTP/1.1 4", func(t *testing.T) string {
				return f.knock(t, address, nil, line+" HTTP/1.1\r\nHost: "+inner+"\r\n\r\n")
			}})
		}
	}
	return all
}

// get asks for a URL, changed, and returns status and content.
func (f *foreigner) get(t *testing.T, address string, change func(*http.Request)) string {
	t.Helper()
	r, err := http.NewRequestWithContext(harness.Context(t), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	res, err := harness.HTTP(t).Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", res.StatusCode, b)
}

// natsOverSocket speaks NATS's protocol over natter's WebSocket.
func (f *foreigner) natsOverSocket(t *testing.T) string {
	dialer := websocket.Dialer{Subprotocols: []string{client.Subprotocol}, HandshakeTimeout: 5 * time.Second}
	ws, res, err := dialer.Dial("ws"+strings.TrimPrefix(f.node.URL(), "http")+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = res.Body.Close()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(words[1].says)); err != nil {
		return err.Error()
	}
	_ = ws.SetReadDeadline(time.Now().Add(harness.Patience))
	for {
		_, data, err := ws.ReadMessage()
		var end *websocket.CloseError
		if errors.As(err, &end) {
			return fmt.Sprintf("closed %d", end.Code)
		}
		if err != nil || strings.Contains(string(data), "INFO") {
			return fmt.Sprintf("%s %v", data, err)
		}
	}
}

// subjects: nothing that is said to the API by somebody who is signed in becomes a
// subject of NATS.
func (f *foreigner) subjects(t *testing.T) {
	ann := harness.SignUp(t, f.node, "Ann")
	for _, name := range []string{"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$SYS.REQ.SERVER.PING", ">", "*", "live.>", "log.0", "$KV.RECORDS.>", "a\r\nPUB x 0", "a b"} {
		for _, call := range roomCalls(chat.UserID(name)) {
			path := "/v1/rooms/" + url.PathEscape(name) + strings.ReplaceAll(call.path, name, url.PathEscape(name))
			if got := ask(t, ann, call.method, path, call.body); got.Status != http.StatusNotFound && got.Status != http.StatusBadRequest && got.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s %s: %+v", call.method, path, got)
			}
		}
		for _, path := range []string{"/v1/users/" + url.PathEscape(name), "/v1/sync?cursor=" + url.QueryEscape(name), "/v1/nodes?region=" + url.QueryEscape(name)} {
			if got := ask(t, ann, "GET", path, nil); got.Status >= 500 {
				t.Errorf("GET %s: %+v", path, got)
			}
		}
		stranger := &harness.Person{Account: client.NewAccount(f.node.URL(), harness.HTTP(t))}
		if got := ask(t, stranger, "POST", "/v1/auth/signup", wire.SignUp{Username: name, Password: harness.Password, Name: "x", DeviceName: "x"}); got.Status >= 500 {
			t.Errorf("%q signs up: %+v", name, got)
		}
	}
}

// members: who has a member's certificate is greeted, or the refusals above would prove
// nothing; but even they are no client of NATS without the key of the node's start.
func (f *foreigner) members(t *testing.T) {
	store, err := os.ReadFile(filepath.Join(f.c.Nodes[1].Data(), "jetstream", "store"))
	if err != nil {
		t.Fatal(err)
	}
	pair := f.member.TLS(nil).Certificates[0]
	pair.SignedCertificateTimestamps = [][]byte{fmt.Appendf(nil, `{"store":%q}`, strings.TrimSpace(string(store)))}
	own := f.trusting(&pair)
	for _, address := range []string{f.route, f.client} {
		if got := f.knock(t, address, own, ""); !strings.HasPrefix(got, "INFO {") {
			t.Errorf("%s greets a member with %.200q", address, got)
		}
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", f.client, own)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, words[1].says); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(conn) // however it ends
	if _, answer, _ := strings.Cut(string(rest), "\r\n"); answer != "-ERR 'Authorization Violation'\r\n" {
		t.Errorf("a member's certificate without a key gets %.300q", answer)
	}
	first := func(o *nats.Options) error {
		o.Secure, o.TLSHandshakeFirst, o.TLSConfig = true, true, own
		return nil
	}
	if nc, err := nats.Connect("nats://"+f.client, first, nats.NoReconnect(), nats.Timeout(5*time.Second)); !errors.Is(err, nats.ErrAuthorization) {
		if nc != nil {
			nc.Close()
		}
		t.Errorf("a member's certificate without a key: %v", err)
	}
}
