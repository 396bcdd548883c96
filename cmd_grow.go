package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"natter/config"
	"natter/node"
)

// clusterGrowCommand is `natter cluster grow`.
func clusterGrowCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "grow OLD",
		Short: "Make a cluster of a single node's store",
		Long: `Copy the store that a single node has left in the directory OLD into a new cluster,
with all ids, sequences, cursors, accounts and sessions. It runs in place of
` + "`natter serve`" + ` on one member, with that member's settings; the other members are
started as always, with empty data directories, and wait until it is through. Then
start this one, too.

The old node must have been stopped in order. OLD is only read, and marked at the end:
from then on a start there is refused. Until then nothing is lost by stopping this
command, or by a crash: start it again, or the old node. What it is about stands on
stderr.

` + exitHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := config.Load(cmd.Flags(), file, nil)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			return grow(ctx, c, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` of this member's settings")
	config.Flags(cmd.Flags())
	return cmd
}

func grow(ctx context.Context, c *config.Config, old string, out, progress io.Writer) error {
	log := slog.New(slog.NewTextHandler(progress, &slog.HandlerOptions{Level: slog.LevelWarn}))
	report, err := node.Grow(ctx, c, old, log, func(text string) { fmt.Fprintln(progress, "natter:", text) })
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("the growth was cut short (%w): run it again, or go back to the old node", err)
	}
	if err != nil {
		return err
	}
	what := fmt.Sprintf("The cluster %q is made of %s: %d streams, %.1f MiB.", c.ClusterName, old, report.Streams, float64(report.Bytes)/(1<<20))
	if report.Already {
		what = fmt.Sprintf("The cluster %q was made of %s already.", c.ClusterName, old)
	}
	_, err = fmt.Fprintf(out, "%s\nNow start this member: natter serve, with the same settings. %s stays as it is and can't be started any more.\n", what, old)
	return err
}
