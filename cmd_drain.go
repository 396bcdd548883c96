package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"natter/node"
)

const (
	// drainQuiet is how long a node that drains may say nothing: it says something
	// each second.
	drainQuiet = 30 * time.Second
	// maxDrainBytes bounds one line of its answer.
	maxDrainBytes = 64 << 10
)

// drainCommand is `natter drain`.
func drainCommand() *cobra.Command {
	var admin, format *string
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Have a running node drain and stop",
		Long: `Tell a running node, by its admin listener, to drain and stop, as SIGTERM does: its
clients move to the other nodes, what it leads is handed over, everything goes to the
disk. A node that is starting gives up its start. How far it is stands on stdout, a line
each time that changes. Ending this command doesn't end the drain.

Exit code 0 says that the node has stopped in order and another may use its addresses
and its data directory; 1 that it hasn't, or can't be asked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkFormat(*format, "text"), checkAdmin(*admin)); err != nil {
				return err
			}
			tell := func(d *node.Drain) error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), printable(d.String()))
				return err
			}
			if *format == "json" {
				tell = func(d *node.Drain) error { return json.NewEncoder(cmd.OutOrStdout()).Encode(d) }
			}
			return drain(cmd.Context(), *admin, drainQuiet, tell)
		},
	}
	admin, format = adminFlag(cmd), formatFlag(cmd, "text")
	return cmd
}

var errNoLastWord = errors.New("the node is gone without a word that it has stopped in order; its next start makes again what it left")

// drain drains the node whose admin listener is at address, and returns when it has
// stopped, or says nothing for quiet.
func drain(ctx context.Context, address string, quiet time.Duration, tell func(*node.Drain) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(quiet, func() { cancel(fmt.Errorf("%s says nothing for %s", address, quiet)) })
	defer silence.Stop()
	res, err := askAdmin(ctx, http.MethodPost, address, "/drain", http.Header{node.OrderHeader: {"1"}})
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer res.Body.Close()
	last, err := followDrain(res.Body, func(d *node.Drain) error {
		silence.Reset(quiet)
		return tell(d)
	})
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case !last.Stopped:
		return errNoLastWord
	case last.Problem != "":
		return problems([]string{last.Problem})
	}
	return nil
}

// followDrain reads the lines of a drain up to its last. Those that say the same as the
// one before are told once.
func followDrain(r io.Reader, tell func(*node.Drain) error) (last node.Drain, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDrainBytes)
	for said := ""; !last.Stopped && lines.Scan(); {
		last = node.Drain{}
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil || last.Node == "" {
			return node.Drain{}, fmt.Errorf("what the node answers is no drain: %.80q", lines.Bytes())
		}
		text := lines.Text()
		if text == said {
			continue
		}
		said = text
		if err := tell(&last); err != nil {
			return last, err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return node.Drain{}, fmt.Errorf("what the node answers is no drain: a line is longer than %d bytes", maxDrainBytes)
	}
	return last, nil // that the connection broke is for the caller to see: it wasn't the last line
}
