package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInvariantsHaveTests: every invariant that chat/doc.go lists has a row in
// docs/ARCHITECTURE.md, and every test that a row names is there.
func TestInvariantsHaveTests(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("chat", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Invariants\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{} // by invariant
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			rows[strings.TrimSpace(cells[1])] = cells[2]
		}
	}
	invariants := regexp.MustCompile(`(?m)^//   - ([^:;.\n]+)`).FindAllStringSubmatch(string(doc), -1)
	if len(invariants) < 10 {
		t.Fatalf("chat/doc.go lists %d invariants", len(invariants))
	}
	tests := testNames(t)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	for _, m := range invariants {
		row, ok := rows[m[1]]
		if !ok {
			t.Errorf("docs/ARCHITECTURE.md has no row for %q", m[1])
			continue
		}
		names := named.FindAllStringSubmatch(row, -1)
		if len(names) == 0 {
			t.Errorf("%q has no test", m[1])
		}
		for _, name := range names {
			if !tests[name[1]] {
				t.Errorf("%q: there is no %s", m[1], name[1])
			}
		}
	}
}

// testNames are those of every test and fuzz target of the tree.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || path != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(source), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
