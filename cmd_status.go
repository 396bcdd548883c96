package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"natter/node"
)

const (
	// statusWithin bounds the question; a node asks the others for 2 s of it at most.
	statusWithin   = 10 * time.Second
	maxStatusBytes = 16 << 20
)

// clusterStatusCommand is `natter cluster status`.
func clusterStatusCommand() *cobra.Command {
	var admin, format *string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the cluster is",
		Long: `Ask a running node, by its admin listener, how its cluster is: the nodes, who leads
which partition, how far the projectors are behind, and what isn't well. It works for a
node alone too. Exit code 0 says that all is well; 1 that something isn't, which stderr
names, or that the node can't be asked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkFormat(*format, "table"), checkAdmin(*admin)); err != nil {
				return err
			}
			s, err := askStatus(cmd.Context(), *admin)
			if err != nil {
				return err
			}
			if err := printStatus(cmd.OutOrStdout(), s, *format); err != nil {
				return err
			}
			return problems(s.Problems)
		},
	}
	admin, format = adminFlag(cmd), formatFlag(cmd, "table")
	return cmd
}

// askStatus asks the node whose admin listener is at address.
func askStatus(ctx context.Context, address string) (*node.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	res, err := askAdmin(ctx, http.MethodGet, address, "/cluster", nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	s, err := parseStatus(io.LimitReader(res.Body, maxStatusBytes))
	if err != nil {
		return nil, fmt.Errorf("what %s answers is no status: %w", address, err)
	}
	return s, nil
}

func parseStatus(r io.Reader) (*node.Status, error) {
	var s node.Status
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, err
	}
	if s.Node == "" {
		return nil, errors.New("it names no node")
	}
	return &s, nil
}

// printStatus writes a table of nodes and one of partitions, or JSON.
func printStatus(out io.Writer, s *node.Status, format string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...string) {
		for i, c := range cells {
			if cells[i] = printable(c); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	line("NODE", "STATE", "REGION", "URL", "VERSION", "FORMAT", "UP SINCE", "CONNECTIONS", "CLOCK", "DISK FREE")
	for _, n := range s.Nodes {
		line(n.Name, n.State, n.Region, n.URL, n.Version, fmt.Sprint(n.Format), since(n), connections(n), clock(n), free(n))
	}
	if err := table.Flush(); err != nil || len(s.Partitions) == 0 {
		return err
	}
	fmt.Fprintln(out)
	line("PARTITION", "LEADER", "PROJECTOR", "LAG")
	for _, p := range s.Partitions {
		line(fmt.Sprint(p.Partition), p.Leader, p.Projector, fmt.Sprintf("%d batches", p.Lag))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := printScrub(out, s.Scrub); err != nil || s.MetaLeader == "" {
		return err
	}
	_, err := fmt.Fprintf(out, "\nJetStream's own group is led by %s.\n", printable(s.MetaLeader))
	return err
}

// printScrub tells how far the comparison of the copies is; nil: there is none.
func printScrub(out io.Writer, s *node.ScrubStatus) error {
	if s == nil {
		return nil
	}
	oldest := "not all yet"
	if s.Oldest > 0 {
		oldest = s.Oldest.Time().UTC().Format(time.DateTime) + " UTC"
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nCOPIES COMPARED\tOLDEST\tDAMAGED\n%d of %d streams\t%s\t%d\n", s.Compared, s.Streams, oldest, len(s.Damaged))
	return table.Flush()
}

// The cells of a node; empty is what isn't known.

func since(n node.NodeStatus) string {
	if n.Started.IsZero() {
		return ""
	}
	return n.Started.UTC().Format("2006-01-02 15:04:05Z")
}

func connections(n node.NodeStatus) string {
	if n.Connections == nil {
		return fmt.Sprintf("%.1f %% of %d", n.Load*100, n.Capacity)
	}
	return fmt.Sprintf("%d of %d", *n.Connections, n.Capacity)
}

// clock is how far its clock is ahead of the clock of the node that was asked.
func clock(n node.NodeStatus) string {
	if n.ClockAheadMS == nil {
		return ""
	}
	return fmt.Sprintf("%+.1f ms", *n.ClockAheadMS)
}

func free(n node.NodeStatus) string {
	if n.FreeBytes == nil {
		return ""
	}
	return gibibytes(*n.FreeBytes)
}

func gibibytes(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
