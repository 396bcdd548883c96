package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"natter/config"
)

// run runs natter with arguments and returns what it printed.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestConfigCommand(t *testing.T) {
	out, err := run(t, "config")
	if err != nil || out != config.Default() {
		t.Errorf("natter config: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "natter.yaml")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATTER_NAME", "n7")
	out, err = run(t, "config", "--effective", "--config", file, "--heartbeat=30s", "--insecure", "on")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`name: "n7"`, "# NATTER_NAME", "heartbeat: 30s", "# --heartbeat", "insecure: on", "# " + file} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	if out, err := run(t, "version"); err != nil || !strings.HasPrefix(out, "natter ") {
		t.Errorf("%q, %v", out, err)
	}
	out, err := run(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Exit codes", "serve", "config", "bench", "--listen", "--rate-limits"} {
		if !strings.Contains(out, want) {
			t.Errorf("--help doesn't mention %s", want)
		}
	}
}

// screen is what natter prints; ready is closed when it says so.
type screen struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if strings.Contains(s.text.String(), "natter is ready: http://127.0.0.1:") {
		s.once.Do(func() { close(s.ready) })
	}
	return len(b), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestServeUntilTerminated(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	for name, end := range map[string]func(context.CancelFunc){
		"SIGTERM":     func(context.CancelFunc) { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) },
		"its context": func(cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := &screen{ready: make(chan struct{})}
			data := filepath.Join(t.TempDir(), "data")
			root := rootCommand()
			root.SetOut(out)
			root.SetErr(out)
			root.SetArgs([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", data, "--partitions", "1"})
			served := make(chan error, 1)
			go func() { served <- root.ExecuteContext(ctx) }()
			select {
			case <-out.ready:
			case err := <-served:
				t.Fatalf("it ended: %v\n%s", err, out)
			}
			end(cancel)
			if err := <-served; err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(data, "running")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the stop was not in order: %v\n%s", err, out)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notADirectory := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notADirectory, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
	}{
		{"config", exitOK},
		{"serve --nonsense", exitUsage},
		{"nonsense", exitUsage},
		{"config more", exitUsage},
		{"serve --partitions=many", exitConfig},
		{"serve --listen=0.0.0.0:80", exitConfig},
		{"serve --config=/nonexistent.yaml", exitConfig},
		{"serve --tls-cert=/nonexistent --tls-key=/nonexistent --data=" + t.TempDir(), exitConfig},
		{"serve --admin= --listen=" + taken.Addr().String() + " --data=" + t.TempDir(), exitAddress},
		{"--admin= --listen=" + taken.Addr().String() + " --data=" + t.TempDir(), exitAddress},
		{"serve --listen=127.0.0.1:0 --admin= --data=" + notADirectory, exitData},
	} {
		_, err := run(t, strings.Fields(c.args)...)
		if exitCode(err) != c.code {
			t.Errorf("natter %s: %d (%v), want %d", c.args, exitCode(err), err, c.code)
		}
	}
	if exitCode(fmt.Errorf("x: %w", errors.New("y"))) != exitRuntime {
		t.Error("any other error isn't 1")
	}
}
