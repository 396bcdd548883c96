package builds

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is one with a history of its own, and a way to ask git about it.
func repository(t *testing.T) (dir string, git func(args ...string) string) {
	t.Helper()
	dir = t.TempDir()
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	return dir, git
}

// The natter before this one: main's last, or on main the one before.
func TestPrevious(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED: there is no git; nothing is known about the version before")
	}
	t.Setenv(PreviousEnv, "")
	dir, git := repository(t)
	commit := func(text string) string {
		if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", "a.go")
		git("commit", "-q", "-m", text)
		return git("rev-parse", "HEAD")
	}
	is := func(what, want string) {
		t.Helper()
		if got, err := Previous(t.Context(), dir); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	first := commit("package a\n")
	if got, err := Previous(t.Context(), dir); err == nil {
		t.Errorf("the first commit has one before: %s", got)
	}
	second := commit("package a // more\n")
	is("on main", first)
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a // changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is("on main, with a change", second)
	git("checkout", "-q", "-b", "work")
	commit("package a // work\n")
	is("on a branch", second)
	commit("package a // more work\n")
	is("on a branch, later", second)
	t.Setenv(PreviousEnv, "HEAD~1")
	is("asked for", git("rev-parse", "HEAD~1"))
	t.Setenv(PreviousEnv, "nothing")
	if got, err := Previous(t.Context(), dir); err == nil {
		t.Errorf("there is %s", got)
	}
}

// What is changed fits this tree, and this Go: or the tests that need it would be the ones
// to find out, minutes later.
func TestChangesFit(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	skewed, err := skewChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string][]Change{"stand-in": standIn, "skewed": skewed} {
		list, err := overlay(root, t.TempDir(), changes)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, err := os.ReadFile(list); err != nil || strings.Count(string(b), ".go\":") != len(changes) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
	for _, c := range []Change{{"go.mod", "there is no such line", ""}, {"internal/builds/builds.go", "return", ""}, {"no.go", "x", ""}} {
		if _, err := overlay(root, t.TempDir(), []Change{c}); err == nil {
			t.Errorf("%+v fits", c)
		}
	}
}

// An archive can't write elsewhere.
func TestUnpack(t *testing.T) {
	archive := func(name string) *bytes.Buffer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 2}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("hi"))
		_ = w.Close()
		return &b
	}
	dir := t.TempDir()
	if err := unpack(archive("a/b.go"), dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a", "b.go")); err != nil || string(b) != "hi" {
		t.Errorf("%q, %v", b, err)
	}
	for _, name := range []string{"../out", "/tmp/out", "a/../../out"} {
		if err := unpack(archive(name), filepath.Join(dir, "a")); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}
