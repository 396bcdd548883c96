package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"natter/internal/builds"
)

// The programs are built once a test process, from the tree the tests are of.
var (
	program        = sync.OnceValues(func() (string, error) { return build(raceDetector, "") })
	failingProgram = sync.OnceValues(func() (string, error) { return build(false, "failpoints") })
)

func build(race bool, tags string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "natter-test-*")
	if err != nil {
		return "", err
	}
	programDirs = append(programDirs, dir)
	path := filepath.Join(dir, "natter")
	args := []string{"build", "-o", path, "-tags", tags}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

var programDirs []string // written by build, read after the tests

// FailingBinary is the path of one that kills itself at a failpoint; see
// jetstream.Failpoints. It is built without the race detector, which the other
// faults run under: dozens of starts are what its test is made of.
func FailingBinary(t testing.TB) string {
	t.Helper()
	path, err := failingProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Binary is the path of a natter built from this tree, with the race detector
// when the tests have it.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Root is the module's directory.
func Root() (string, error) { return builds.Root() }

// Cleanup removes what Binary built. Call it from TestMain, after the tests.
func Cleanup() {
	for _, dir := range programDirs {
		_ = os.RemoveAll(dir)
	}
}
