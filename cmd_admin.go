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
	"unicode"

	"github.com/spf13/cobra"

	"natter/config"
)

// adminFlag adds --admin: which running node is asked.
func adminFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("admin", config.Defaults().Admin, "`host:port` of the node's admin listener")
}

func checkAdmin(address string) error {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return usageError{fmt.Errorf("--admin %q: must be host:port", address)}
	}
	return nil
}

// formatFlag adds -o: how a command prints, as people read it or as JSON.
func formatFlag(cmd *cobra.Command, people string) *string {
	return cmd.Flags().StringP("output", "o", people, people+" or json")
}

func checkFormat(format, people string) error {
	if format != people && format != "json" {
		return usageError{fmt.Errorf("-o %s: must be %s or json", format, people)}
	}
	return nil
}

// refusal is why a node doesn't do what it is asked, in its words.
type refusal struct {
	address string
	status  int
	detail  string
}

// Error is the detail, and whose it is.
func (r *refusal) Error() string { return r.address + " refuses: " + r.detail }

// askAdmin asks the node whose admin listener is at address, and not by a proxy. The
// answer is a 200, and its connection ends with it; what else natter says is a *refusal.
func askAdmin(ctx context.Context, method, address, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, http.NoBody)
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin %q: must be host:port", address)}
	}
	// The node may not know the name that we have for it.
	req.Host = "localhost"
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("no node answers at %s (--admin takes another address): %w", address, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	if detail := problemIn(io.LimitReader(res.Body, maxProblemBytes)); detail != "" {
		return nil, &refusal{address, res.StatusCode, printable(detail)}
	}
	return nil, fmt.Errorf("%s answers %d to %s: it is no admin listener of natter, or of a version without it", address, res.StatusCode, path)
}

const maxProblemBytes = 64 << 10

// problemIn is what a refusal says; empty if it isn't one of natter's.
func problemIn(r io.Reader) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.NewDecoder(r).Decode(&problem) != nil {
		return ""
	}
	return problem.Detail
}

// problems are errors in the words of another process, one each.
func problems(said []string) error {
	var all []error
	for _, p := range said {
		all = append(all, errors.New(printable(p)))
	}
	return errors.Join(all...)
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
