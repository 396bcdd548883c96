package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/certs"
)

func TestClusterCommands(t *testing.T) {
	dir := t.TempDir()
	ca, out := filepath.Join(dir, "ca"), filepath.Join(dir, "a")
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"cluster", "needs to know what to do", exitUsage},
		{"cluster nonsense", "there is no `natter cluster nonsense`", exitUsage},
		{"cluster init", "accepts 1 arg", exitUsage},
		{"cluster init " + ca, "ca.key", exitOK},
		{"cluster init " + ca, "there already", exitRuntime},
		{"cluster cert a", "needs --ca and --out", exitUsage},
		{"cluster cert a --ca " + ca + " --out " + out + " --host a.example,10.0.0.1", "node.key", exitOK},
		{"cluster cert a --ca " + ca + " --out " + out, "there already", exitRuntime},
		{"cluster init --like " + filepath.Join(ca, certs.AuthorityFile) + " " + filepath.Join(dir, "next"), "ca.key", exitOK},
	} {
		said, err := run(t, strings.Fields(c.args)...)
		if err != nil {
			said += err.Error()
		}
		if exitCode(err) != c.code || !strings.Contains(said, c.says) {
			t.Errorf("natter %s: %d, %q; want %d, %q", c.args, exitCode(err), said, c.code, c.says)
		}
	}
	n, err := certs.Load(out, "a", time.Now())
	if err != nil || !n.Names("a.example") || !n.Names("10.0.0.1") {
		t.Errorf("%+v, %v", n, err)
	}
}
