package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"natter/wire"
)

func TestEarly(t *testing.T) {
	for _, c := range []struct {
		method, path, accept string
		status               int
		kind                 string
	}{
		{"GET", "/healthz", "", 200, "application/json"},
		{"GET", "/readyz", "", 503, problemType},
		{"POST", "/v1/session", "application/json", 503, problemType},
		{"GET", "/v1/ws", "", 503, problemType},
		{"GET", "/", "text/html,*/*", 503, "text/html; charset=utf-8"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		Early().ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s %s: %d %q", c.method, c.path, w.Code, w.Header().Get("Content-Type"))
		}
		if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After is %q", c.path, w.Header().Get("Retry-After"))
		}
		if c.kind == problemType {
			if want := `"code":"unavailable"`; !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: no %s in %s", c.path, want, w.Body)
			}
			var p wire.Problem
			if err := wire.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != 503 || p.RetryAfterMS != againSoon.Milliseconds() {
				t.Errorf("%s: %+v, %v", c.path, p, err)
			}
		}
	}
}
