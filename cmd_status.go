package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"natter/config"
	"natter/node"
)

const (
	// statusWithin bounds the question; a node asks the others for 2 s of it at most.
	statusWithin   = 10 * time.Second
	maxStatusBytes = 16 << 20
)

// clusterStatusCommand is `natter cluster status`.
func clusterStatusCommand() *cobra.Command {
	var admin, format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the cluster is",
		Long: `Ask a running node, by its admin listener, how its cluster is: the nodes, who leads
which partition, how far the projectors are behind, and what isn't well. It works for a
node alone too. Exit code 0 says that all is well; 1 that something isn't, which stderr
names, or that the node can't be asked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return usageError{fmt.Errorf("-o %s: must be table or json", format)}
			}
			if _, port, err := net.SplitHostPort(admin); err != nil || port == "" {
				return usageError{fmt.Errorf("--admin %q: must be host:port", admin)}
			}
			s, err := askStatus(cmd.Context(), admin)
			if err != nil {
				return err
			}
			if err := printStatus(cmd.OutOrStdout(), s, format); err != nil {
				return err
			}
			var problems []error
			for _, p := range s.Problems {
				problems = append(problems, errors.New(printable(p)))
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().StringVar(&admin, "admin", config.Defaults().Admin, "`host:port` of the node's admin listener")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// askStatus asks the node whose admin listener is at address.
func askStatus(ctx context.Context, address string) (*node.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/cluster", http.NoBody)
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin %q: must be host:port", address)}
	}
	straight := &http.Transport{} // not by a proxy
	defer straight.CloseIdleConnections()
	res, err := straight.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("no node answers at %s (--admin takes another address): %w", address, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusMisdirectedRequest {
		return nil, fmt.Errorf("the node at %s isn't asked by that name: take its IP address", address)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d: it is no admin listener of natter, or of a version without a status", address, res.StatusCode)
	}
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
	line("NODE", "STATE", "REGION", "URL", "VERSION", "LOAD", "DISK FREE")
	for _, n := range s.Nodes {
		free := ""
		if n.FreeBytes != nil {
			free = fmt.Sprintf("%.1f GiB", float64(*n.FreeBytes)/(1<<30))
		}
		line(n.Name, n.State, n.Region, n.URL, n.Version, fmt.Sprintf("%.1f %% of %d", n.Load*100, n.Capacity), free)
	}
	if err := table.Flush(); err != nil || len(s.Partitions) == 0 {
		return err
	}
	fmt.Fprintln(out)
	line("PARTITION", "LEADER", "PROJECTOR", "LAG")
	for _, p := range s.Partitions {
		line(fmt.Sprint(p.Partition), p.Leader, p.Projector, fmt.Sprintf("%d batches", p.Lag))
	}
	if err := table.Flush(); err != nil || s.Scrub == nil {
		return err
	}
	oldest := "not all yet"
	if s.Scrub.Oldest > 0 {
		oldest = s.Scrub.Oldest.Time().UTC().Format(time.DateTime) + " UTC"
	}
	fmt.Fprintln(out)
	line("COPIES COMPARED", "OLDEST", "DAMAGED")
	line(fmt.Sprintf("%d of %d streams", s.Scrub.Compared, s.Scrub.Streams), oldest, fmt.Sprint(len(s.Scrub.Damaged)))
	return table.Flush()
}

// printable is text that can't do anything to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
