package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

const maxListed = 1000

func (a *app) incidentsCmd() *cobra.Command {
	var f struct {
		open, json bool
		limit      int
	}
	cmd := &cobra.Command{
		Use:   "incidents [P] [--open] [--limit N] [--json]",
		Short: "List incidents: what they were, how long they took, who answered and who resumed",
		Args:  oneProjectAtMost,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter := store.IncidentFilter{Limit: f.limit}
			if f.limit < 1 || f.limit > maxListed {
				return &exit{exitUsage, fmt.Errorf("--limit must be from 1 to %d, not %d", maxListed, f.limit)}
			}
			if f.open {
				filter.State = store.OpenIncidents
			}
			if len(args) == 1 {
				filter.Projects = args
				if err := pause.CheckID(args[0]); err != nil {
					return &exit{exitUsage, err}
				}
			}
			return a.listIncidents(cmd, filter, f.json)
		},
	}
	cmd.Flags().BoolVar(&f.open, "open", false, "only those that are open")
	cmd.Flags().IntVar(&f.limit, "limit", 20, "how many at most, the newest first")
	cmd.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	return cmd
}

func (a *app) listIncidents(cmd *cobra.Command, filter store.IncidentFilter, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	out := struct {
		Incidents []status.ListedIncident `json:"incidents"`
		More      bool                    `json:"more"`
	}{Incidents: []status.ListedIncident{}}
	b, err := bot.Open(cmd.Context(), cfg, bot.ReadOnly, a.env(nil))
	switch {
	case err == nil:
		defer a.close(b)
		list, more, err := b.Incidents(cmd.Context(), filter)
		if err != nil {
			return err
		}
		out.Incidents, out.More = b.Listed(list), more
	case !errors.Is(err, fs.ErrNotExist): // else nothing was recorded yet
		return err
	}
	if len(filter.Projects) == 1 && len(out.Incidents) == 0 { // one that has left the configuration still has its incidents
		if err := cfg.CheckProject(filter.Projects[0]); err != nil {
			return &exit{exitUsage, err}
		}
	}
	if asJSON {
		return a.printJSON(out)
	}
	if len(out.Incidents) == 0 {
		a.printf("no incidents\n")
		return nil
	}
	w := tabwriter.NewWriter(&a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "INCIDENT\tOPENED (UTC)\tCLASS\tLASTED\tANSWERED\tENDED\tERROR\tISSUE")
	for _, i := range out.Incidents {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.Opened.UTC().Format("2006-01-02 15:04"), classOrKind(i), lasted(i), answered(i),
			ended(i), cmp.Or(redact.CutLine(i.Fingerprint, 50), "-"), issueAddress(i))
	}
	_ = w.Flush()
	if out.More {
		a.printf("older ones are not shown: see --limit\n")
	}
	return nil
}

func classOrKind(i status.ListedIncident) string {
	if i.Since != nil {
		return i.Kind
	}
	return cmp.Or(i.Class, "-")
}

func lasted(i status.ListedIncident) string {
	d := text.Duration((time.Duration(i.Duration * float64(time.Second))).Truncate(time.Second))
	if i.Ended == nil {
		return d + ", open"
	}
	return d
}

// answered says who has taken an incident, and how long that took.
func answered(i status.ListedIncident) string {
	if i.Answered == nil {
		return "-"
	}
	return i.TakenBy + " after " + text.Duration(time.Duration(*i.Answered*float64(time.Second)).Truncate(time.Second))
}

func ended(i status.ListedIncident) string {
	if i.Ended == nil {
		return "-"
	}
	return cmp.Or(redact.Line(i.EndedHow, 60), "it is not known how")
}

func issueAddress(i status.ListedIncident) string {
	if i.Issue == nil {
		return "-"
	}
	return i.Issue.URL
}
