//go:build !race

package gauntlet

const slow = 1
