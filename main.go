// Command natter is a chat system in one binary.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"natter/config"
	"natter/node"
)

// commands are what natter can do; each has its file. Without one it serves.
var commands = []func() *cobra.Command{serveCommand, configCommand, versionCommand, benchCommand, repairCommand, clusterCommand, drainCommand, doctorCommand}

// The exit codes, as --help promises them.
const (
	exitOK      = 0
	exitRuntime = 1 // something failed while it ran
	exitUsage   = 2 // the command line is wrong
	exitConfig  = 3 // a setting is refused
	exitAddress = 4 // an address is in use
	exitData    = 5 // the data directory or the cluster is of another version, or can't be used
)

const exitHelp = `Exit codes: 0 all is well, 1 something failed while it ran, 2 the command line is
wrong, 3 a setting is refused, 4 an address is in use, 5 the data directory is
locked, unwritable or of another version, or the cluster is.`

func main() {
	err := rootCommand().Execute()
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintln(os.Stderr, "natter:", line)
		}
		if exitCode(err) == exitUsage {
			fmt.Fprintln(os.Stderr, "natter: `natter --help` says what there is")
		}
	}
	os.Exit(exitCode(err))
}

// rootCommand is natter with all its commands; bare, it serves.
func rootCommand() *cobra.Command {
	root := serveCommand()
	root.Use = "natter"
	root.Short = "A chat system in one binary"
	root.Long = "natter is a chat system in one binary. Without a command it serves, with the\nsame flags as `natter serve`.\n\n" + exitHelp
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, command := range commands {
		root.AddCommand(command())
	}
	for _, c := range allCommands(root) {
		check := c.Args
		c.Args = func(cmd *cobra.Command, args []string) error {
			if check == nil {
				return nil
			}
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	}
	return root
}

// allCommands are a command and all below it.
func allCommands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, below := range c.Commands() {
		all = append(all, allCommands(below)...)
	}
	return all
}

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage usageError
	var setting *config.Error
	var data *node.DataError
	var version *node.VersionError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &setting):
		return exitConfig
	case errors.Is(err, node.ErrAddressInUse):
		return exitAddress
	case errors.As(err, &data), errors.As(err, &version):
		return exitData
	}
	return exitRuntime
}
