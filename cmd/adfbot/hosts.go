package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

func (a *app) hostsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "hosts [--json]",
		Short: "Show the hosts that share the state: which are away, and what is wrong there",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, cfg, err := a.open(cmd.Context(), bot.ReadOnly)
			if cfg != nil && store.NoState(err) {
				return a.printHosts(status.Fleet{State: cfg.State, Shared: cfg.Shared(), At: a.time().UTC(), Hosts: []status.Host{}}, asJSON)
			}
			if err != nil {
				return err
			}
			defer a.close(b)
			f, err := b.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			return a.printHosts(f, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON, retired hosts too")
	cmd.AddCommand(a.retireCmd())
	return cmd
}

func (a *app) retireCmd() *cobra.Command {
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "retire NAME|ID [--force] [--json]",
		Short: "Take a host that is gone for good out of the fleet. If it comes back, it joins as a new one",
		Args:  oneHost,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if !cfg.Shared() {
				return usage("%s", alone(cfg.State))
			}
			b, err := bot.Open(cmd.Context(), cfg, bot.Operate, a.env(nil))
			if err != nil {
				return err
			}
			defer a.close(b)
			a.warnOf(b)
			done, err := b.RetireHost(cmd.Context(), args[0], force)
			var unknown *status.UnknownHostError
			var ambiguous *status.AmbiguousHostError
			if errors.As(err, &unknown) || errors.As(err, &ambiguous) {
				err = &exit{exitUsage, err}
			}
			if asJSON && err == nil {
				return a.printJSON(doneJSON{done.Text, append([]string{}, done.Problems...)})
			}
			if done.Text != "" {
				a.printf("%s\n", done.Text)
			}
			for _, p := range done.Problems {
				a.warnf("%s\n", p)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.Flags().BoolVar(&force, "force", false, "even if the host is not away")
	return cmd
}

// alone says that a state has no other host.
func alone(state string) string {
	return fmt.Sprintf("the state is the file %s, which belongs to this host alone; hosts share a state in PostgreSQL, see adfbot help fleet", state)
}

func (a *app) printHosts(f status.Fleet, asJSON bool) error {
	if asJSON {
		return a.printJSON(f)
	}
	hosts := f.In(status.HostHere, status.HostAway)
	switch {
	case !f.Shared:
		a.printf("%s\n", alone(f.State))
		return nil
	case len(hosts) == 0:
		a.printf("no host has reported yet to %s\n", f.State)
		return nil
	}
	rows := []row{{cells: cells("HOST", "ID", "STATE", "HEARD OF", "VERSION", "SPOOLED", "FLAGS MISSING", "GITEA TOKEN")}}
	for _, h := range hosts {
		heard, token := "never", "no"
		if h.Seen != nil {
			heard = since(f.At, *h.Seen) + " ago"
		}
		if h.CanIssue {
			token = "yes"
		}
		state := h.StateText(f.At)
		if h.This {
			state += " (this host)"
		}
		rows = append(rows, row{cells: cells(h.Name, h.ID[:min(len(h.ID), 8)], state, heard, h.Version, strconv.Itoa(h.Spooled), strconv.Itoa(h.FlagsMissing), token)})
	}
	a.printRows(rows)
	for _, h := range hosts {
		for _, x := range h.Remarks() {
			a.noticef("%s: %s\n", f.Label(h), x)
		}
	}
	if n := len(f.In(status.HostRetired)); n > 0 {
		a.printf("%s not listed, see --json\n", text.Plural(n, "retired host"))
	}
	return nil
}

// oneHost takes the argument of hosts retire.
func oneHost(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("which host? %s", cmd.UseLine())
	case len(args) > 1:
		return fmt.Errorf("one host at a time, not %s", quoted(args))
	}
	return nil
}
