package memory_test

import (
	"testing"

	"natter/chat"
	"natter/internal/conformance"
	"natter/internal/memory"
)

func TestLeases(t *testing.T) {
	conformance.LeasesSuite(t, func(*testing.T) conformance.Leased {
		l := memory.NewLeases(0)
		return conformance.Leased{Leases: l, Lose: l.Lose}
	})
}

func TestSeen(t *testing.T) {
	conformance.SeenSuite(t, func(*testing.T) chat.Seen { return memory.NewSeen() })
}

func TestRoster(t *testing.T) {
	conformance.RosterSuite(t, func(*testing.T) conformance.Rosters {
		b := memory.NewBoard()
		return conformance.Rosters{A: b.Roster("a"), B: b.Roster("b"),
			Die: func() { b.Live("b", false) }, Revive: func() { b.Live("b", true) }}
	})
}
