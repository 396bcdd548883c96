package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"natter/config"
	"natter/node"
)

// repairCommand is `natter repair`: verify a store that no node uses, and repair
// it.
func repairCommand() *cobra.Command {
	var file, data string
	var format *string
	var check bool
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Verify a stopped node's store, and repair it",
		Long: `Verify history, read marks and queues of a stopped node against its log and each
other, and make again what is wrong. With --check nothing is written. The log and
the accounts are never touched. How far it is stands on stderr, what it found on
stdout. Exit code 1 says that something is left.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(*format, "table"); err != nil {
				return err
			}
			c, _, err := config.Load(nil, file, nil)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("data") {
				c.Data = data
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			report, err := node.Repair(ctx, c, check, log, progressOn(cmd.ErrOrStderr(), time.Now))
			if err != nil {
				return err
			}
			if err := printReport(cmd.OutOrStdout(), report, check, *format); err != nil {
				return err
			}
			if n := len(report.Left); n > 0 {
				return fmt.Errorf("findings left: %d", n)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", config.Defaults().Data, "the `directory` of everything natter keeps")
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` of settings")
	cmd.Flags().BoolVar(&check, "check", false, "only look")
	format = formatFlag(cmd, "table")
	return cmd
}

// progressOn writes how far a stream has been read, a line a second at most.
func progressOn(out io.Writer, now func() time.Time) func(stream string, read, last uint64) {
	var said time.Time
	return func(stream string, read, last uint64) {
		if at := now(); last > 0 && at.Sub(said) >= time.Second {
			said = at
			fmt.Fprintf(out, "natter: %s %d %%\n", stream, read*100/last)
		}
	}
}

// printReport writes what was found: in a table with a line each, or as JSON.
func printReport(out io.Writer, report *node.RepairReport, checked bool, format string) error {
	if format == "json" {
		for _, list := range []*[]node.Finding{&report.Found, &report.Left} {
			if *list == nil {
				*list = []node.Finding{}
			}
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	if len(report.Found) == 0 {
		_, err := fmt.Fprintln(out, "Nothing is wrong.")
		return err
	}
	left := map[node.Finding]bool{}
	for _, f := range report.Left {
		left[f] = true
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tSUBJECT\tSEQ\tWHAT IS WRONG\t")
	line := func(f node.Finding, state string) {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", f.Stream, f.Subject, f.Seq, f.Wrong, state)
	}
	for _, f := range report.Found {
		switch {
		case checked && f.Repairable:
			line(f, "repairable")
		case checked || left[f]:
			line(f, "not repairable")
		default:
			line(f, "repaired")
		}
	}
	for _, f := range report.Found {
		delete(left, f)
	}
	for _, f := range report.Left { // what only the repair brought to light
		if left[f] {
			line(f, "not repairable")
		}
	}
	return table.Flush()
}
