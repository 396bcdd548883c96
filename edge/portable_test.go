package edge

import "testing"

// TestPortableSockets tells the stories of sockets again, over the portable
// driver: open looks at the test's name.
func TestPortableSockets(t *testing.T) {
	for name, story := range map[string]func(*testing.T){
		"RawFrames":              TestRawFrames,
		"APingFlood":             TestAPingFlood,
		"EarlyBytes":             TestEarlyBytes,
		"FramesBeforeHello":      TestFramesBeforeHello,
		"HelloInTime":            TestHelloInTime,
		"AHeartbeatIsLost":       TestAHeartbeatIsLost,
		"FramesThatEndASocket":   TestFramesThatEndASocket,
		"TheSubprotocol":         TestTheSubprotocolIsNegotiated,
		"ARevokedDeviceIsOut":    TestARevokedDeviceIsOut,
		"TooManySockets":         TestTooManySockets,
		"ATokenExpires":          TestATokenExpiresDuringASocket,
		"OrderOnASocket":         TestOrderOnASocket,
		"Draining":               TestDraining,
		"NobodyReadsAnothers":    TestNobodyReadsAnothersSocket,
		"APanicStaysInside":      TestAPanicStaysInside,
		"TwoPeopleTalk":          TestTwoPeopleTalk,
		"TheHandshakeIsAnswered": TestTheHandshake,
	} {
		t.Run(name, story)
	}
}
