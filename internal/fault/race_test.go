//go:build race

package fault

// slowdown divides the load: with the tests, the nodes have the race detector.
const slowdown = 4
