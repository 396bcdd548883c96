package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"natter/internal/bench"
)

// benchCommand is `natter bench`: a bounded load on one node, and what came of
// it. It fails when a message was lost, doubled or out of order, or anything
// was refused.
func benchCommand() *cobra.Command {
	var c bench.Config
	var output string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a node: rates, delays, cost, and that nothing is lost",
		Long: `Measure a node: messages acknowledged and delivered a second, how long they
take, what they cost the server, and that every one arrives once and in order.

Without --url it starts a node of its own in a temporary directory, without rate
limits, and removes it afterwards. In the same run it measures what JetStream
alone does on this machine: quote the ratio, not the rate.`,
		Example: `  natter bench --workload pairs --users 100 --window 16
  natter bench --workload group --users 100 --group-size 100 --window 1 -o json
  natter bench --workload pairs --users 50 --window 0 --rate 500
  natter bench --workload idle --users 1000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output: must be table or json, not %q", output)
			}
			if c.Rate > 0 && !cmd.Flags().Changed("window") {
				c.Window = 0
			}
			var err error
			if c.Binary, err = os.Executable(); err != nil {
				return err
			}
			c.Progress = cmd.ErrOrStderr()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			result, err := bench.Run(ctx, &c)
			if err != nil {
				return err
			}
			write := result.WriteTable
			if output == "json" {
				write = result.WriteJSON
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return err
			}
			if !result.OK() {
				return errors.New("something went wrong under the load; see above")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.URL, "url", "", "a running node, as http://127.0.0.1:8080 (default: start one)")
	f.StringVar(&c.Admin, "admin-url", "", "the running node's admin listener, to read its cost from")
	f.IntVar(&c.PID, "pid", 0, "the running node's process, to read its cost from")
	f.StringVar(&c.Workload, "workload", bench.Pairs, "pairs, group or idle")
	f.IntVar(&c.Users, "users", 100, "people, one device each")
	f.IntVar(&c.GroupSize, "group-size", 100, "group: people in a room, 2 to 100")
	f.IntVar(&c.Window, "window", 1, "messages each user has in flight")
	f.Float64Var(&c.Rate, "rate", 0, "messages a second of all users together, instead of a window")
	f.DurationVar(&c.Duration, "duration", 10*time.Second, "how long to measure")
	f.DurationVar(&c.Warmup, "warmup", 2*time.Second, "load before the measurement")
	f.StringVar(&c.Durability, "durability", "safe", "of the node to start: safe or fast")
	f.IntVar(&c.TextBytes, "text-bytes", 300, "length of a message's text")
	f.DurationVar(&c.Raw, "raw", 3*time.Second, "how long to measure each row of the raw JetStream rate, 0 for not at all")
	f.StringVar(&c.Profile, "profile", "", "write the node's CPU profile to this file")
	f.StringSliceVar(&c.ServeArgs, "serve-arg", nil, "one more argument for the node to start, as --partitions=8; may be repeated")
	f.StringVarP(&output, "output", "o", "table", "table or json")
	cmd.AddCommand(benchRawCommand())
	return cmd
}

// benchRawCommand is the child of a benchmark that measures JetStream alone.
func benchRawCommand() *cobra.Command {
	var payload int
	var duration time.Duration
	cmd := &cobra.Command{
		Use:    "raw",
		Short:  "Measure JetStream alone; JSON on standard output",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute+2*duration)
			defer cancel()
			raw, err := bench.MeasureRaw(ctx, payload, duration)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(raw)
		},
	}
	cmd.Flags().IntVar(&payload, "text-bytes", 300, "bytes a message")
	cmd.Flags().DurationVar(&duration, "duration", 3*time.Second, "how long to measure each row")
	return cmd
}
