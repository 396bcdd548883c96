//go:build linux

// Command gauntlet breaks a cluster in every way there is, and says what came of
// it: see internal/gauntlet. `make gauntlet` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"natter/internal/check"
	"natter/internal/gauntlet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "gauntlet:", err)
		}
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	gauntlet.Options
	names, judge string
	targets      bool
}

func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{Options: gauntlet.Options{Out: out}}
	f := flag.NewFlagSet("gauntlet", flag.ContinueOnError)
	f.StringVar(&s.Binary, "binary", "./natter", "the natter program")
	f.StringVar(&s.names, "scenario", "", "comma-separated; empty is all: "+strings.Join(names(), ", "))
	f.Uint64Var(&s.Seed, "seed", 0, "repeats a run's choices, not its timing; 0 is another one each time")
	f.IntVar(&s.Nodes, "nodes", 3, "1 or 3")
	f.BoolVar(&s.Long, "long", false, "more of everything: hours")
	f.StringVar(&s.Dir, "dir", "gauntlet-out", "gets histories, timelines, logs and results")
	f.BoolVar(&s.Keep, "keep", false, "keep the data of what went well, too")
	f.BoolVar(&s.targets, "targets", false, "fail when a figure misses its target")
	f.StringVar(&s.judge, "judge", "", "judge a history.jsonl of an earlier run, and run nothing")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is no flag", f.Arg(0))
	case s.Nodes != 1 && s.Nodes != 3:
		return nil, fmt.Errorf("-nodes %d: must be 1 or 3", s.Nodes)
	}
	for s.Seed == 0 {
		s.Seed = rand.Uint64()
	}
	var err error
	if s.Binary, err = filepath.Abs(s.Binary); err == nil {
		s.Dir, err = filepath.Abs(s.Dir)
	}
	return s, err
}

func names() (all []string) {
	for _, s := range gauntlet.Scenarios {
		all = append(all, s.Name)
	}
	return all
}

// chosen are the scenarios to run.
func (s *settings) chosen() ([]*gauntlet.Scenario, error) {
	var some []*gauntlet.Scenario
	if s.names != "" {
		for name := range strings.SplitSeq(s.names, ",") {
			i := slices.Index(names(), name)
			if i < 0 {
				return nil, fmt.Errorf("-scenario %q: must be of %s", name, strings.Join(names(), ", "))
			}
			if gauntlet.Scenarios[i].Nodes > s.Nodes {
				return nil, fmt.Errorf("-scenario %s needs -nodes %d", name, gauntlet.Scenarios[i].Nodes)
			}
			some = append(some, gauntlet.Scenarios[i])
		}
		return some, nil
	}
	for _, one := range gauntlet.Scenarios {
		if one.Nodes <= s.Nodes {
			some = append(some, one)
		}
	}
	return some, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args, out)
	if err != nil {
		return err
	}
	if s.judge != "" {
		return judge(s.judge, out)
	}
	some, err := s.chosen()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	var results []*gauntlet.Result
	var bad []string
	for _, one := range some {
		if err := one.Needs(); err != nil {
			fmt.Fprintf(out, "%s: SKIPPED: %v\n", one.Name, err)
			bad = append(bad, one.Name+" (skipped)")
			continue
		}
		r := gauntlet.Play(ctx, one, s.Options)
		fmt.Fprint(out, r)
		results = append(results, r)
		if !r.OK() || s.targets && r.Missed() {
			bad = append(bad, one.Name)
		}
		if err := write(s.Dir, results); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
	}
	fmt.Fprintf(out, "the table is in %s\n", filepath.Join(s.Dir, "gauntlet.md"))
	if len(bad) > 0 {
		return fmt.Errorf("not as it should be: %s", strings.Join(bad, ", "))
	}
	return nil
}

// write keeps what is known so far.
func write(dir string, results []*gauntlet.Result) error {
	for name, to := range map[string]func(io.Writer, []*gauntlet.Result) error{"gauntlet.json": gauntlet.WriteJSON, "gauntlet.md": gauntlet.WriteMarkdown} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(to(f, results), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func judge(path string, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	history, err := check.ReadHistory(f)
	if err != nil {
		return err
	}
	report := history.Check()
	fmt.Fprintln(out, report)
	if !report.OK() {
		return errors.New("the promise is broken")
	}
	return nil
}
