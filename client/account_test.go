package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natter/wire"
)

// TestTokenIsRefreshedOnce: many who need a token at once cause one refresh,
// because a refresh token that is used twice ends the session.
func TestTokenIsRefreshedOnce(t *testing.T) {
	var refreshes atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refreshes.Add(1)
		fmt.Fprintf(w, `{"access_token":"new","access_expires_at":%q,"refresh_token":"r2","device_id":"d","user":{"id":"u","username":"ann","name":"Ann"},"nodes":[]}`,
			time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"))
	}))
	t.Cleanup(server.Close)
	a := NewAccount(server.URL, server.Client())
	a.Adopt(wire.Session{AccessToken: "old", RefreshToken: "r1"})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if token, err := a.Token(bounded(t)); err != nil || token != "new" {
				t.Errorf("%q, %v", token, err)
			}
		})
	}
	all.Wait()
	if n := refreshes.Load(); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}
