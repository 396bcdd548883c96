package chat_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the stories come to into testdata")

// TestStories tells each file of testdata: a line is a command, what it comes
// to stands below it, after a |. testdata/README explains the words. A story is
// told twice, and both tellings must come to the same.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := string(data)
			got, again := retell(t, want), retell(t, want)
			if got != again {
				t.Fatalf("told twice, it came to something else:\n%s", again)
			}
			if got == want {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: the story goes otherwise (-update writes it down):\n%s", file, firstDifference(want, got))
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n  was %s\n  is  %s", i+1, a, b)
		}
	}
	return "the ends differ"
}

// retell runs a story's commands and writes it anew with what they come to.
func retell(t *testing.T, story string) string {
	t.Helper()
	w := newWorld()
	var out []string
	for i, line := range strings.Split(strings.TrimSuffix(story, "\n"), "\n") {
		if strings.HasPrefix(line, "|") {
			continue
		}
		out = append(out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		said, err := w.do(line)
		if err != nil {
			t.Fatalf("line %d: %s: %v", i+1, line, err)
		}
		for _, s := range said {
			out = append(out, strings.TrimRight("| "+s, " "))
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// TestStoriesUseEveryWord keeps a verb nobody uses from standing here.
func TestStoriesUseEveryWord(t *testing.T) {
	used := map[string]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			for i, word := range strings.Fields(line) {
				if i < 2 && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "#") {
					used[word] = true
				}
			}
		}
	}
	for _, word := range slices.Sorted(maps.Keys(verbs)) {
		if !used[word] {
			t.Errorf("no story uses %q", word)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(asides)) {
		if !used[word] {
			t.Errorf("no story uses %q", word)
		}
	}
}
