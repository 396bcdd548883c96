package node

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"natter/auth"
	"natter/config"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's own: one lives as long as the process, the other wakes each
		// 10 s to see that its server has been shut down.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// settings are for a node of its own on free ports.
func settings(t *testing.T, dir string) *config.Config {
	t.Helper()
	c := config.Defaults()
	c.Listen, c.Admin, c.Data, c.Partitions = "127.0.0.1:0", "127.0.0.1:0", dir, 2
	return c
}

func quiet(t testing.TB) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

func start(t *testing.T, c *config.Config) *Node {
	t.Helper()
	n, err := Start(t.Context(), c, quiet(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// browser is a client whose connections end with the test.
func browser(t *testing.T, secure *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: secure}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func TestStartStopStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := start(t, settings(t, dir))
	if n.data.clean != true || !n.data.fresh {
		t.Errorf("a new directory is %+v", n.data)
	}
	c := browser(t, nil)
	for _, url := range []string{n.URL() + "/healthz", n.URL() + "/readyz", n.AdminURL() + "/healthz", n.AdminURL() + "/readyz", n.AdminURL() + "/debug/pprof/"} {
		if code, body := get(t, c, url); code != 200 {
			t.Errorf("%s: %d %s", url, code, body)
		}
	}
	if _, body := get(t, c, n.AdminURL()+"/metrics"); !strings.Contains(body, "natter_build_info") || !strings.Contains(body, "natter_store_bytes") {
		t.Error("/metrics lacks ours")
	}
	if code, _ := get(t, c, n.URL()+"/metrics"); code == 200 {
		t.Error("/metrics is open to everybody")
	}
	who := auth.Credentials{Username: "minsu", Password: "correct horse"}
	made, err := n.accounts.SignUp(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
	stop(t, n)
	if err := n.Wait(); err != nil {
		t.Errorf("Wait after Stop: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, runningFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mark is still there: %v", err)
	}

	n = start(t, settings(t, dir))
	if !n.data.clean || n.data.fresh {
		t.Errorf("after a stop in order the directory is %+v", n.data)
	}
	if _, err := n.accounts.Verify(made.AccessToken); err != nil {
		t.Errorf("a token of before: %v", err)
	}
	again, err := n.accounts.SignIn(t.Context(), who)
	if err != nil || again.User != made.User || again.Device == made.Device {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestUncleanStop(t *testing.T) {
	dir := t.TempDir()
	n := start(t, settings(t, dir))
	stop(t, n)
	// What a crash leaves: the mark.
	if err := os.WriteFile(filepath.Join(dir, runningFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n = start(t, settings(t, dir))
	if n.data.clean {
		t.Error("the start didn't see the crash")
	}
	stop(t, n)
	if n = start(t, settings(t, dir)); !n.data.clean {
		t.Error("the crash is still remembered")
	}
}

// refusal starts a node that must not start, and wants one clear line.
func refusal(t *testing.T, c *config.Config, says string) error {
	t.Helper()
	n, err := Start(t.Context(), c, quiet(t), nil)
	if err == nil {
		stop(t, n)
		t.Fatalf("a node started; want a refusal that says %q", says)
	}
	if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v; want one line that says %q", err, says)
	}
	return err
}

func TestDirectoryRefusals(t *testing.T) {
	dir := t.TempDir()
	n := start(t, settings(t, dir))
	var data *DataError
	if err := refusal(t, settings(t, dir), "is in use by another natter (process "); !errors.As(err, &data) {
		t.Errorf("%T", err)
	}
	stop(t, n)

	other := settings(t, dir)
	other.Partitions = 3
	refusal(t, other, "was made with partitions: 2, which can't change")
	other = settings(t, dir)
	other.Name = "n2"
	refusal(t, other, `belongs to the node "n1"`)

	file := filepath.Join(dir, identityFile)
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		strings.Replace(string(made), `"format": 1`, `"format": 2`, 1):          "is of format 2, this natter reads format 1",
		strings.Replace(string(made), `"cluster": false`, `"cluster": true`, 1): "belongs to the cluster",
		"{": "can't be read",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refusal(t, settings(t, dir), says)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	refusal(t, settings(t, dir), "holds streams but no natter.json")
	if err := os.WriteFile(file, made, 0o600); err != nil {
		t.Fatal(err)
	}
	refusal(t, settings(t, filepath.Join(file, "below")), "can't be made: not a directory")
	start(t, settings(t, dir)) // none of it did any harm
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	for _, field := range []string{"listen", "admin"} {
		c := settings(t, dir)
		if field == "listen" {
			c.Listen = taken.Addr().String()
		} else {
			c.Admin = taken.Addr().String()
		}
		if err := refusal(t, c, field+": the address is in use: "+taken.Addr().String()); !errors.Is(err, ErrAddressInUse) {
			t.Errorf("%v", err)
		}
	}
	n := start(t, settings(t, dir))
	if !n.data.clean {
		t.Error("a start that failed counts as a crash")
	}
}

func TestStartIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Start(ctx, settings(t, dir), quiet(t), nil); err == nil {
		t.Fatal("a node started under an ended context")
	}
	start(t, settings(t, dir))
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	c := settings(t, filepath.Join(dir, "data"))
	c.TLSCert, c.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	var setting *config.Error
	if err := refusal(t, c, "tls_cert"); !errors.As(err, &setting) {
		t.Errorf("%T", err)
	}
	pool := certify(t, c)
	n := start(t, c)
	if code, _ := get(t, browser(t, &tls.Config{RootCAs: pool}), n.URL()+"/healthz"); code != 200 || !strings.HasPrefix(n.URL(), "https://") {
		t.Errorf("%s: %d", n.URL(), code)
	}
}

// certify writes a certificate for 127.0.0.1 and its key.
func certify(t *testing.T, c *config.Config) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(text)
	for file, b := range map[string][]byte{c.TLSCert: text, c.TLSKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

func TestFailureWakesWait(t *testing.T) {
	n := start(t, settings(t, t.TempDir()))
	waiting := make(chan error)
	go func() { waiting <- n.Wait() }()
	broken := errors.New("the disk is on fire")
	n.nats.log.Fatalf("%v", broken)
	if err := <-waiting; err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("Wait: %v", err)
	}
	if code, _ := get(t, browser(t, nil), n.AdminURL()+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz of a failed node: %d", code)
	}
}

// Nobody gets into the server without the key of this start, and nobody from
// outside the process gets to it at all.
func TestServerAsksForItsKey(t *testing.T) {
	n := start(t, settings(t, t.TempDir()))
	pipe, err := n.nats.server.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	lines := bufio.NewReader(pipe)
	if info, err := lines.ReadString('\n'); err != nil || !strings.Contains(info, `"nonce"`) {
		t.Fatalf("%q, %v", info, err)
	}
	if _, err := io.WriteString(pipe, "CONNECT {\"verbose\":true}\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := lines.ReadString('\n'); !strings.Contains(answer, "Authorization Violation") {
		t.Errorf("without a key: %q, %v", answer, err)
	}
	nc, err := n.nats.connect("friend")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if a := n.nats.server.Addr(); a != nil {
		t.Errorf("NATS listens on %v", a)
	}
}

func TestDiscoveryOfOne(t *testing.T) {
	c := settings(t, t.TempDir())
	c.Region, c.PublicURL = "seoul", "https://chat.example.org"
	n := start(t, c)
	if code, body := get(t, browser(t, nil), n.URL()+"/v1/nodes"); code != 200 || !strings.Contains(body, `"url":"https://chat.example.org"`) || !strings.Contains(body, `"region":"seoul"`) {
		t.Errorf("%d %s", code, body)
	}
}

// TestASilentConnectionKeepsNoStop: who has connected and said nothing is no reason
// to wait.
func TestASilentConnectionKeepsNoStop(t *testing.T) {
	n, err := Start(t.Context(), settings(t, t.TempDir()), quiet(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	address := n.listener.Addr().String()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The next one is answered, so the silent one has been accepted.
	res, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("the stop was not in order: %v", err)
	}
}
