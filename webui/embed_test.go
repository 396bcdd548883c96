package webui

import (
	"io/fs"
	"strings"
	"testing"
)

// Whatever was built, a visitor gets a page.
func TestThereIsAlwaysAPage(t *testing.T) {
	root, built := Files()
	page, err := fs.ReadFile(root, "index.html")
	if err != nil {
		t.Fatalf("no index.html (built: %v): %v", built, err)
	}
	if !strings.Contains(string(page), "<title>natter</title>") {
		t.Errorf("index.html (built: %v) does not look like natter's", built)
	}
}

func TestTheFallbackSaysHowToGetTheApp(t *testing.T) {
	page, err := fs.ReadFile(sub("fallback"), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"make web", "make run", "lang=\"ko\""} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the fallback page does not say %q", want)
		}
	}
}
