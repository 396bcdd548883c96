// Command vet holds the analyzers that go vet doesn't run by itself. The
// Makefile runs it as
//
//	go vet -vettool=bin/vet ./...
//
// What it finds beyond go vet and staticcheck: a nil that is certain to be
// dereferenced, a write that nobody can read, a comparison of reflect.Values or
// of errors by DeepEqual, and a 64-bit atomic that a 32-bit machine misaligns.
// Not taken: shadow (an err of an inner scope is our habit) and fieldalignment
// (fields stand by meaning).
package main

import (
	"golang.org/x/tools/go/analysis/passes/atomicalign"
	"golang.org/x/tools/go/analysis/passes/deepequalerrors"
	"golang.org/x/tools/go/analysis/passes/nilness"
	"golang.org/x/tools/go/analysis/passes/reflectvaluecompare"
	"golang.org/x/tools/go/analysis/passes/unusedwrite"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	unitchecker.Main(
		atomicalign.Analyzer,
		deepequalerrors.Analyzer,
		nilness.Analyzer,
		reflectvaluecompare.Analyzer,
		unusedwrite.Analyzer,
	)
}
