package node

import "testing"

// The names under which the admin listener answers.
func TestCalledRightly(t *testing.T) {
	own := []string{"chat.example.org", "ops1.example.org"}
	for host, want := range map[string]bool{
		"": true, "127.0.0.1:8081": true, "127.0.0.1": true, "[::1]:8081": true, "[::1]": true, "10.1.2.3:8081": true, "[fe80::1%25eth0]:8081": true,
		"localhost:8081": true, "natter-a:8081": true, "a.localhost": true, "natter-0.natter.chat.svc.cluster.local:8081": true, "db.corp.internal": true,
		"chat.example.org:8081": true, "CHAT.example.org": true, "chat.example.org.:8081": true,
		"evil.example:8081": false, "127.0.0.1.evil.example": false, "chat.example.org.evil.example": false, "xchat.example.org": false,
		"evil.example:8081:1": false, "localhost.evil.example": false, "evil.internal.example": false,
	} {
		if got := calledRightly(host, own); got != want {
			t.Errorf("%q is answered: %v", host, got)
		}
	}
}
