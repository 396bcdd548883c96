package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"natter/internal/bench"
)

// benchCommand is `natter bench`: a bounded load on one node or a cluster of three,
// and what came of it. It fails when a message was lost, doubled or out of order, or anything
// was refused.
func benchCommand() *cobra.Command {
	var c bench.Config
	var output, page string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a node or a cluster: rates, delays, cost, and that nothing is lost",
		Long: `Measure a node: messages acknowledged and delivered a second, how long they
take, what they cost the server, and that every one arrives once and in order.

  pairs, group  as many messages as the windows or the rate ask for
  idle          what silent connections cost
  catch-up      devices come back to what they missed, beside others' messages
  storm         every connection is cut at once, and all come back
  history       pages of rooms at any depth, cold and warm; how long a start takes
  mixed         pairs, groups, reading, typing, coming and going; slow readers

Without --url it starts a node of its own in a temporary directory, without rate
limits, and removes it afterwards; with --nodes 3, a cluster of three processes, of
which it also tells the time from start to ready, the cost at rest and each node's
share. In the same run it measures what JetStream
alone does on this machine: quote the ratio, not the rate.`,
		Example: `  natter bench --workload pairs --users 100 --window 16 --html report.html
  natter bench --nodes 3 --workload pairs --users 60 --window 16
  natter bench --workload group --users 100 --group-size 100 --window 1 -o json
  natter bench --workload idle --users 500 --sockets 20 --steps 5000,10000
  natter bench --workload catch-up --missed 1000 --others 10000,100000
  natter bench --workload storm --users 250 --sockets 20
  natter bench --workload history --rooms 1000 --messages 100000
  natter bench --workload mixed --group-size 20 --rate 200 --duration 1m --slow 20`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output: must be table or json, not %q", output)
			}
			given := cmd.Flags().Changed
			if c.Rate > 0 && !given("window") {
				c.Window = 0
			}
			if bench.Paced(c.Workload) && !given("rate") {
				c.Rate, c.Window = 100, 0
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
			result.Title = asked(cmd.Flags())
			return tell(cmd.OutOrStdout(), result, output, page)
		},
	}
	benchFlags(cmd.Flags(), &c)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.Flags().StringVar(&page, "html", "", "write a report with plots to this file too")
	cmd.AddCommand(benchRawCommand(), benchReturnCommand(), benchReportCommand())
	return cmd
}

func benchFlags(f *pflag.FlagSet, c *bench.Config) {
	f.StringVar(&c.URL, "url", "", "a running node, as http://127.0.0.1:8080 (default: start one)")
	f.StringVar(&c.Admin, "admin-url", "", "the running node's admin listener, to read its cost from")
	f.IntVar(&c.PID, "pid", 0, "the running node's process, to read its cost from")
	f.IntVar(&c.Nodes, "nodes", 1, "how many nodes to start: 1, or 3 that are a cluster on this machine, with the people spread over them")
	f.StringVar(&c.Workload, "workload", bench.Pairs, "pairs, group, idle, catch-up, storm, history or mixed")
	f.IntVar(&c.Users, "users", 100, "people; catch-up: those who come back")
	f.IntVar(&c.Sockets, "sockets", 1, "idle, storm: connections of each user")
	f.IntSliceVar(&c.Steps, "steps", nil, "idle: measure after so many connections, as 5000,10000 (default: after all)")
	f.IntVar(&c.GroupSize, "group-size", 100, "group, mixed: people in a room, 2 to 100")
	f.IntVar(&c.Window, "window", 1, "pairs, group: messages each user has in flight")
	f.Float64Var(&c.Rate, "rate", 0, "messages a second of all users together, instead of a window (default 100 where there is no window; catch-up: 0 leaves out the crowd)")
	f.DurationVar(&c.Duration, "duration", 10*time.Second, "how long to measure")
	f.DurationVar(&c.Warmup, "warmup", 2*time.Second, "load before the measurement")
	f.StringVar(&c.Durability, "durability", "safe", "of the nodes to start: safe or fast")
	f.IntVar(&c.TextBytes, "text-bytes", 300, "length of a message's text")
	f.IntVar(&c.Missed, "missed", 1000, "catch-up: messages each device missed")
	f.IntSliceVar(&c.Others, "others", []int{10_000, 100_000}, "catch-up: messages of others in the store, one after the other")
	f.IntVar(&c.Rounds, "rounds", 3, "catch-up, storm: how often")
	f.DurationVar(&c.Spread, "spread", 500*time.Millisecond, "storm: each device comes back within a random part of this")
	f.IntVar(&c.Rooms, "rooms", 1000, "history: rooms")
	f.IntVar(&c.Messages, "messages", 100_000, "history: messages in all rooms together")
	f.IntVar(&c.Reads, "reads", 500, "history: rooms to read")
	f.IntVar(&c.Slow, "slow", 0, "mixed: devices that read a byte a second, in a second measurement")
	f.DurationVar(&c.Raw, "raw", 3*time.Second, "pairs, group: how long to measure each row of the raw JetStream rate, 0 for not at all")
	f.StringVar(&c.Profile, "profile", "", "write the node's CPU profile under pairs, group or mixed to this file; with --nodes 3 one of each node, as cpu-a.pprof")
	f.StringSliceVar(&c.ServeArgs, "serve-arg", nil, "one more argument for every node to start, as --partitions=8; may be repeated")
}

// asked is the command line that was given, for the report; files aside.
func asked(f *pflag.FlagSet) string {
	line := "natter bench"
	f.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "html", "output", "profile", "url", "admin-url", "pid":
			return
		}
		value := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = ""
			for i, v := range list.GetSlice() {
				if i > 0 {
					value += ","
				}
				value += v
			}
		}
		line += " --" + f.Name + " " + value
	})
	return line
}

// tell writes the result, and the report if there is to be one.
func tell(out io.Writer, r *bench.Result, output, page string) error {
	write := r.WriteTable
	if output == "json" {
		write = r.WriteJSON
	}
	if err := write(out); err != nil {
		return err
	}
	if page != "" {
		if err := writePage(page, r); err != nil {
			return err
		}
	}
	if !r.OK() {
		return errors.New("something went wrong under the load; see above")
	}
	return nil
}

func writePage(path string, results ...*bench.Result) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return errors.Join(bench.WriteHTML(f, results...), f.Close())
}

// benchReportCommand makes one page of several runs.
func benchReportCommand() *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use:     "report FILE.json...",
		Short:   "Make one HTML page of the JSON results of several runs",
		Example: "  natter bench -o json > pairs.json\n  natter bench report pairs.json storm.json --html report.html",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			var results []*bench.Result
			for _, file := range files {
				raw, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				r := new(bench.Result)
				if err := json.Unmarshal(raw, r); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				results = append(results, r)
			}
			return writePage(page, results...)
		},
	}
	cmd.Flags().StringVar(&page, "html", "report.html", "the file to write")
	return cmd
}

// benchRawCommand is the child of a benchmark that measures JetStream alone.
func benchRawCommand() *cobra.Command {
	var nodes, payload int
	var duration time.Duration
	cmd := &cobra.Command{
		Use:    "raw",
		Short:  "Measure JetStream alone; JSON on standard output",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute+2*duration)
			defer cancel()
			raw, err := bench.MeasureRaw(ctx, nodes, payload, duration)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(raw)
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 1, "servers: 1, or 3 that are a cluster")
	cmd.Flags().IntVar(&payload, "text-bytes", 300, "bytes a message")
	cmd.Flags().DurationVar(&duration, "duration", 3*time.Second, "how long to measure each row")
	return cmd
}

// benchReturnCommand is the child of a benchmark whose devices come back beside others.
func benchReturnCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "return",
		Short:  "Have devices come back as standard input says; JSON on standard output",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.Return(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
