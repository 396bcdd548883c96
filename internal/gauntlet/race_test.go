//go:build race

package gauntlet

// slow divides the load: with the tests, the nodes have the race detector.
const slow = 4
