package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"natter/config"
)

// configCommand is `natter config`: the manual of the settings, or what holds.
func configCommand() *cobra.Command {
	var effective bool
	var file string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the documented default configuration",
		Long: `Print the documented default configuration, a YAML file that changes nothing.
With --effective, print what holds instead, given the file, the environment and
the flags, and where each value comes from; it fails like serve would.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !effective {
				_, err := fmt.Fprint(cmd.OutOrStdout(), config.Default())
				return err
			}
			c, from, err := config.Load(cmd.Flags(), file, nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), config.Effective(c, from))
			return err
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "print what holds and where it comes from")
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` of settings")
	config.Flags(cmd.Flags())
	return cmd
}
