package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"natter/config"
	"natter/node"
)

// serveCommand is `natter serve`: run a node until it is told to stop.
func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node (the default)",
		Long: `Run a node until SIGTERM, SIGINT or ` + "`natter drain`" + `, which stop it in order; a second
signal stops it at once. Settings come from flags, then NATTER_… in the environment,
then the file, then the defaults; ` + "`natter config`" + ` documents them.

` + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := config.Load(cmd.Flags(), file, nil)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` of settings")
	config.Flags(cmd.Flags())
	return cmd
}

// serve runs a node until a signal, or until ctx ends, or it can't go on.
func serve(ctx context.Context, c *config.Config, out io.Writer) error {
	log := slog.New(logHandler(c, out))
	slog.SetDefault(log)

	starting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	ended := make(chan struct{})
	defer close(ended)
	told, drained := make(chan struct{}), make(chan struct{})
	signals := make(chan os.Signal, 2)
	// To the end of the process: a signal that comes just then must not be what ends it.
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		if untilTold(ctx, signals, drained, ended, func() { close(told); giveUp() }) {
			fmt.Fprintln(out, "natter stops at once")
			os.Exit(exitRuntime)
		}
	}()

	n, err := node.Start(starting, c, log, sync.OnceFunc(func() { close(drained) }))
	if err != nil {
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case errors.Is(err, node.ErrAgain):
			return startAnew(told)
		}
		return err
	}
	fmt.Fprintf(out, "natter is ready: %s\n", n.URL())
	if !n.AppBuilt() {
		fmt.Fprintln(out, "The web app is not in this binary: `make web` builds it, then start again. The API works without.")
	}
	failed := make(chan error, 1)
	go func() { failed <- n.Wait() }()
	select {
	case <-told:
	case err = <-failed:
	}
	grace := c.ShutdownGrace
	if errors.Is(err, node.ErrAgain) {
		grace = min(grace, againGrace)
	}
	within, done := context.WithTimeout(context.Background(), grace)
	defer done()
	if stopped := n.Stop(within); !errors.Is(err, node.ErrAgain) && !errors.Is(err, node.ErrRefill) {
		return errors.Join(err, stopped)
	}
	return startAnew(told)
}

// untilTold calls stop when a signal, the operator's drain or ctx tells the node to
// stop. It returns when the node has ended, or with true when the next signal says that
// it must at once. The first one after a drain isn't that yet: it is what a supervisor
// sends that knows nothing of the drain.
func untilTold(ctx context.Context, signals <-chan os.Signal, drained, ended <-chan struct{}, stop func()) (atOnce bool) {
	most := 1 // signals that are borne
	select {
	case <-signals:
		most = 0
	case <-drained:
	case <-ctx.Done():
		most = 0
	case <-ended:
		return false
	}
	stop()
	for ; ; most-- {
		select {
		case <-signals:
			if most == 0 {
				return true
			}
		case <-ended:
			return false
		}
	}
}

// startAnew makes this very process the next one: connections, locks and whatever
// hangs on a disk that failed end with its memory. It returns if that fails, or
// the node was told to stop meanwhile.
func startAnew(told <-chan struct{}) error {
	select {
	case <-told:
		return nil
	default:
	}
	path, err := os.Executable()
	if err == nil {
		err = syscall.Exec(path, os.Args, os.Environ())
	}
	return fmt.Errorf("start anew: %w", err)
}

// againGrace is what a node has to stop that starts anew because its disk failed:
// there is nothing that it could still write.
const againGrace = 2 * time.Second

// logHandler is the log's form, on out.
func logHandler(c *config.Config, out io.Writer) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		panic("config let log_level " + c.LogLevel + " pass")
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" || c.LogFormat == "auto" && terminal(out) {
		return slog.NewTextHandler(out, o)
	}
	return slog.NewJSONHandler(out, o)
}

func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
