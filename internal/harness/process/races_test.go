package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	racesHead = "WARNING: DATA RACE\nWrite at 0x00c0 by goroutine 7:\n"
	racesTail = "\nGoroutine 7 (running) created at:\n  natter/node.startServer()\n      /src/node/server.go:90 +0x1\n"
	racesNats = "  github.com/nats-io/nats-server/v2/server.(*stream).apply()\n      /mod/server/stream.go:1 +0x1\n"
	racesOurs = "  natter/jetstream.(*Store).leads()\n      /src/jetstream/leads.go:1 +0x1\n"
)

// TestRaces: a race of natter's is found among others', whoever created the goroutines.
func TestRaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "race")
	const line = "==================\n"
	write := func(pid, text string) {
		if err := os.WriteFile(path+"."+pid, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := Races(path); err != nil || len(found) != 0 {
		t.Errorf("of no file: %q, %v", found, err)
	}
	write("1", line+racesHead+racesNats+"\nPrevious read at 0x00c0 by goroutine 9:\n"+racesNats+racesTail+line)
	if found, err := Races(path); err != nil || len(found) != 0 {
		t.Errorf("of NATS's own: %q, %v", found, err)
	}
	write("2", line+racesHead+racesNats+"\nPrevious read at 0x00c0 by goroutine 9:\n"+racesNats+racesOurs+racesTail+line+
		line+racesHead+racesNats+racesNats+racesTail+line)
	found, err := Races(path)
	if err != nil || len(found) != 1 || !strings.Contains(found[0], "leads.go") {
		t.Errorf("%q, %v", found, err)
	}
}
