//go:build !linux

// Command gauntlet needs Linux: see internal/gauntlet.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "gauntlet: needs Linux")
	os.Exit(1)
}
