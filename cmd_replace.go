package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"natter/node"
)

const (
	// replaceWithin bounds one question: a node looks at the others for up to half a
	// minute before it refuses.
	replaceWithin   = time.Minute
	replaceEach     = time.Second
	maxReplaceBytes = 1 << 20
)

// clusterReplaceCommand is `natter cluster replace`.
func clusterReplaceCommand() *cobra.Command {
	var admin *string
	cmd := &cobra.Command{
		Use:   "replace NODE",
		Short: "Have an empty node take the place of a member",
		Long: `Have an empty node take the place of the member NODE, whose data is lost or which is
to be retired. Stop the old one for good, start the new one under its name, with a
certificate of that name and an empty data directory: it says that it waits to be let in.
Then tell any other node, by its admin listener, with this command.

That node asks all others whether they have everything; if so the old store is shut out
for ever and the new one is let in and filled, which this command shows until it is
through. If one of the others is down or behind, nothing is changed and the reasons stand
on stderr: with the old store something acknowledged might be lost. Ending this command
doesn't take anything back; given again it goes on.

Exit code 0 says that NODE is there with everything; 1 that it isn't, and why.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkAdmin(*admin); err != nil {
				return err
			}
			return replace(cmd.Context(), *admin, args[0], replaceEach, cmd.OutOrStdout())
		},
	}
	admin = adminFlag(cmd)
	return cmd
}

// replace has the node at admin replace a member, and returns when that is done.
func replace(ctx context.Context, admin, member string, each time.Duration, out io.Writer) error {
	tick := time.NewTicker(each)
	defer tick.Stop()
	store, said := "", ""
	for {
		r, err := askReplace(ctx, admin, member, store)
		var no *refusal
		switch {
		case errors.As(err, &no) && no.status == http.StatusServiceUnavailable && store != "":
			r = &node.Replacement{Detail: no.detail} // it is under way: an election, say
		case err != nil:
			return err
		case r.State == node.ReplaceRefused:
			return errors.Join(problems(r.Refused), fmt.Errorf("%s is not replaced", member))
		case r.State == node.ReplaceDone && said == "":
			return fmt.Errorf("%s is a member with the store %.8s, is connected and has everything: there is nothing to replace. Stop it first, and start it with an empty data directory", member, r.Store)
		}
		if line := member + ": " + printable(r.Detail); line != said {
			said = line
			if _, err := fmt.Fprintln(out, line); err != nil {
				return err
			}
		}
		if r.State == node.ReplaceDone {
			return nil
		}
		if r.Store != "" {
			store = r.Store
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// askReplace gives the order, or asks how far it is.
func askReplace(ctx context.Context, admin, member, store string) (*node.Replacement, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWithin)
	defer cancel()
	res, err := askAdmin(ctx, http.MethodPost, admin, "/cluster/replace/"+url.PathEscape(member)+"?store="+store, http.Header{node.OrderHeader: {"1"}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return parseReplacement(io.LimitReader(res.Body, maxReplaceBytes))
}

// parseReplacement reads a node's answer.
func parseReplacement(body io.Reader) (*node.Replacement, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var r node.Replacement
	if err := json.Unmarshal(b, &r); err != nil || r.Member == "" || strings.TrimSpace(r.State) == "" {
		return nil, fmt.Errorf("the answer is no replacement: %.100q", b)
	}
	return &r, nil
}
