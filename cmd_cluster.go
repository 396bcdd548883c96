package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"natter/certs"
)

// clusterCommand is `natter cluster`: what makes and keeps a cluster.
func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Make a cluster and look after it",
		Long: `Make a cluster of nodes and look after it. The nodes know each other by
certificates of an authority of the cluster's own: make it once, and a certificate
for every node; docs/OPERATIONS.md goes through it step by step.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no `natter cluster %s`", args[0])
			}
			return errors.New("`natter cluster` needs to know what to do")
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(clusterInitCommand(), clusterCertCommand(), clusterGrowCommand(), clusterStatusCommand(), clusterReplaceCommand())
	return cmd
}

// clusterInitCommand is `natter cluster init`.
func clusterInitCommand() *cobra.Command {
	var like string
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Make the authority of a new cluster",
		Long: `Make the authority of a new cluster: DIR/ca.crt, which every node gets, and
DIR/ca.key, which no node gets: keep it off the machines of the cluster. It is valid
for 10 years. Nothing is overwritten.

With --like, the next authority of the cluster of that ca.crt.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if err := certs.MakeAuthority(dir, like, time.Now()); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "made %s and %s\nnext, for every node: natter cluster cert NAME --ca %s --out DIR --host HOST\n",
				filepath.Join(dir, certs.AuthorityFile), filepath.Join(dir, certs.AuthorityKeyFile), dir)
			return err
		},
	}
	cmd.Flags().StringVar(&like, "like", "", "the `ca.crt` of the cluster whose next authority it is")
	return cmd
}

// clusterCertCommand is `natter cluster cert`.
func clusterCertCommand() *cobra.Command {
	var authority, out string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "cert NAME",
		Short: "Make a node's certificate",
		Long: `Make the certificate of the node NAME: OUT/node.crt, OUT/node.key and a copy of
ca.crt, for its --cluster-certs. It is valid for 2 years. --host gives the names and
addresses that stand for the node in the members' --cluster, as a.example.org or
10.0.0.1. Nothing is overwritten.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if authority == "" || out == "" {
				return usageError{errors.New("`natter cluster cert` needs --ca and --out")}
			}
			if err := certs.MakeNode(args[0], hosts, authority, out, time.Now()); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "made %s, %s and %s\n", filepath.Join(out, certs.NodeFile), filepath.Join(out, certs.NodeKeyFile), filepath.Join(out, certs.AuthorityFile))
			return err
		},
	}
	cmd.Flags().StringVar(&authority, "ca", "", "`directory` of ca.crt and ca.key")
	cmd.Flags().StringVar(&out, "out", "", "`directory` to make node.crt, node.key and ca.crt in")
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "`hosts` that stand for the node in --cluster, with commas between")
	return cmd
}
