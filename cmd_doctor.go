package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"natter/config"
	"natter/node"
)

// doctorCommand is `natter doctor`.
func doctorCommand() *cobra.Command {
	var file string
	var format *string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether a node can run here, or runs well",
		Long: `Look whether a node of these settings can run on this machine, and if it runs, whether
it runs well: certificates, data directory, free disk, how quickly the disk takes writes,
open files, addresses, clocks, and the other members of its cluster. Give it the flags,
environment and file of ` + "`natter serve`" + `, as the same user. It writes nothing but a file to
time the disk with, which it removes again.

Exit code 0 says that nothing fails, though something may be worth a look (warn); 1 that
something does; 3 that a setting is refused, as serve would.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(*format, "table"); err != nil {
				return err
			}
			c, _, err := config.Load(cmd.Flags(), file, nil)
			if err != nil {
				return err
			}
			checks := node.Examine(cmd.Context(), c, askStatus)
			if err := printChecks(cmd.OutOrStdout(), checks, *format); err != nil {
				return err
			}
			return failing(checks)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` of settings")
	config.Flags(cmd.Flags())
	format = formatFlag(cmd, "table")
	return cmd
}

// failing names what fails; nil if nothing does.
func failing(checks []node.Check) error {
	var names []string
	for _, c := range checks {
		if c.State == node.CheckFail {
			names = append(names, printable(c.Name))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("checks that fail: %s", strings.Join(names, ", "))
}

// printChecks writes a table, with what to do below what was found, or JSON.
func printChecks(out io.Writer, checks []node.Check, format string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(checks)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tCHECK\tFOUND")
	for _, c := range checks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.State, printable(c.Name), printable(c.Found))
		if c.Do != "" {
			fmt.Fprintf(table, "\t\t→ %s\n", printable(c.Do))
		}
	}
	return table.Flush()
}
