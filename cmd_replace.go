package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"natter/config"
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
	var admin string
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
			if _, port, err := net.SplitHostPort(admin); err != nil || port == "" {
				return usageError{fmt.Errorf("--admin %q: must be host:port", admin)}
			}
			return replace(cmd.Context(), admin, args[0], replaceEach, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&admin, "admin", config.Defaults().Admin, "`host:port` of the admin listener of a node that lives")
	return cmd
}

// replace has the node at admin replace a member, and returns when that is done.
func replace(ctx context.Context, admin, member string, each time.Duration, out io.Writer) error {
	tick := time.NewTicker(each)
	defer tick.Stop()
	store, said := "", ""
	for {
		r, err := askReplace(ctx, admin, member, store)
		var later *tryLater
		switch {
		case errors.As(err, &later) && store != "":
			r = &node.Replacement{Detail: later.Error()} // it is under way: an election, say
		case err != nil:
			return err
		case r.State == node.ReplaceRefused:
			var why []error
			for _, one := range r.Refused {
				why = append(why, errors.New(printable(one)))
			}
			return errors.Join(append(why, fmt.Errorf("%s is not replaced", member))...)
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

// tryLater is a node's answer that it can't say now.
type tryLater struct{ detail string }

// Error is the detail.
func (e *tryLater) Error() string { return e.detail }

// askReplace gives the order, or asks how far it is.
func askReplace(ctx context.Context, admin, member, store string) (*node.Replacement, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+admin+"/cluster/replace/"+url.PathEscape(member)+"?store="+store, http.NoBody)
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin %q: must be host:port", admin)}
	}
	req.Header.Set(node.OrderHeader, "1")
	straight := &http.Transport{} // not by a proxy
	defer straight.CloseIdleConnections()
	res, err := straight.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("no node answers at %s (--admin takes another address): %w", admin, err)
	}
	defer res.Body.Close()
	return parseReplacement(res.StatusCode, io.LimitReader(res.Body, maxReplaceBytes))
}

// parseReplacement reads a node's answer.
func parseReplacement(status int, body io.Reader) (*node.Replacement, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal(b, &problem); err != nil || problem.Detail == "" {
			return nil, fmt.Errorf("the answer is %d: it is no admin listener of natter, or of a version that can't replace", status)
		}
		detail := printable(problem.Detail)
		if status == http.StatusServiceUnavailable {
			return nil, &tryLater{detail}
		}
		return nil, errors.New(detail)
	}
	var r node.Replacement
	if err := json.Unmarshal(b, &r); err != nil || r.Member == "" || strings.TrimSpace(r.State) == "" {
		return nil, fmt.Errorf("the answer is no replacement: %.100q", b)
	}
	return &r, nil
}
