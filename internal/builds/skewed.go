package builds

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The environment of a natter whose clock is wrong: by so many seconds, from so many
// after its start on, for so many; 0 is for ever. The clock that doesn't jump is right.
const (
	skewEnv      = "CLOCK_SKEW_SECONDS"
	skewAfterEnv = "CLOCK_SKEW_AFTER"
	skewForEnv   = "CLOCK_SKEW_FOR"
)

// SkewEnv is the environment of a skewed program.
func SkewEnv(by, after, lasts time.Duration) []string {
	env := func(name string, d time.Duration) string { return fmt.Sprintf("%s=%d", name, int(d.Seconds())) }
	return []string{env(skewEnv, by), env(skewAfterEnv, after), env(skewForEnv, lasts)}
}

// skewSource goes into Go's package time.
const skewSource = `package time

import "syscall"

func skewOf(name string) int64 {
	text, _ := syscall.Getenv(name)
	n, _ := atoi(text)
	return int64(n)
}

var skewBy, skewFrom, skewFor = skewOf("` + skewEnv + `"), skewOf("` + skewAfterEnv + `") * 1e9, skewOf("` + skewForEnv + `") * 1e9

// skew is how wrong the clock is now, in seconds.
func skew(mono int64) int64 {
	since := mono - startNano
	if since < skewFrom || skewFor > 0 && since >= skewFrom+skewFor {
		return 0
	}
	return skewBy
}
`

// Skewed builds this tree into the file out with a clock that SkewEnv sets wrong: Go's own
// time.Now is another one, so everything is compiled anew, which takes minutes.
func Skewed(ctx context.Context, root, out string) error {
	changes, err := skewChanges(ctx)
	if err != nil {
		return err
	}
	return Changed(ctx, root, out, changes)
}

func skewChanges(ctx context.Context) ([]Change, error) {
	said, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	of := func(name string) string { return filepath.Join(strings.TrimSpace(string(said)), "src", "time", name) }
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	return []Change{{of("time.go"), now, now + "\tsec += skew(mono)\n"}, {of("skew.go"), "", skewSource}}, nil
}
