package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

const (
	defaultListed = 20
	maxListed     = 1000
)

func checkLimit(n int) error {
	if n < 1 || n > maxListed {
		return fmt.Errorf("--limit must be from 1 to %d, not %d", maxListed, n)
	}
	return nil
}

// incidentsJSON is the answer of `incidents --json`, and but for More of the API.
type incidentsJSON struct {
	Incidents []status.ListedIncident `json:"incidents"`
	Next      *string                 `json:"next"`
	More      bool                    `json:"more"` // old: Next is not null
}

func (a *app) incidentsCmd() *cobra.Command {
	var f struct {
		open, ended, json bool
	}
	var filter store.IncidentFilter
	cmd := &cobra.Command{
		Use:               "incidents [P...] [--open|--ended] [--limit N] [--after ID] [--json]",
		Short:             "List incidents: what they were, how long they took, who answered and who resumed",
		ValidArgsFunction: a.completeProjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkLimit(filter.Limit); err != nil {
				return &exit{exitUsage, err}
			}
			switch {
			case f.open:
				filter.State = store.OpenIncidents
			case f.ended:
				filter.State = store.EndedIncidents
			}
			return a.listIncidents(cmd, args, filter, f.json)
		},
	}
	cmd.Flags().BoolVar(&f.open, "open", false, "only those that are open")
	cmd.Flags().BoolVar(&f.ended, "ended", false, "only those that have ended")
	cmd.Flags().IntVar(&filter.Limit, "limit", defaultListed, "how many at most, the newest first")
	cmd.Flags().StringVar(&filter.After, "after", "", "the next page: what the one before names")
	cmd.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	cmd.MarkFlagsMutuallyExclusive("open", "ended")
	return cmd
}

func (a *app) listIncidents(cmd *cobra.Command, names []string, filter store.IncidentFilter, asJSON bool) error {
	out := incidentsJSON{Incidents: []status.ListedIncident{}}
	err := a.readNamed(cmd, names, func(b *bot.Bot, ids []string) error {
		filter.Projects = ids
		list, more, err := b.Incidents(cmd.Context(), filter)
		if errors.Is(err, store.ErrNoIncident) {
			return usage("--after must be the next of an earlier answer, not %q", filter.After)
		}
		if err != nil {
			return err
		}
		if out.Incidents, out.More = b.Listed(list), more; more {
			out.Next = &list[len(list)-1].ID
		}
		return nil
	})
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(out)
	}
	if len(out.Incidents) == 0 {
		a.printf("no incidents\n")
		return nil
	}
	screen := a.screen()
	rows := []row{{cells: cells("INCIDENT", "OPENED (UTC)", "CLASS", "LASTED", "ANSWERED", "ENDED", "FINGERPRINT")}}
	if screen.width == 0 {
		rows[0].cells = append(rows[0].cells, cell{text: "ISSUE"})
	}
	for _, i := range out.Incidents {
		r := row{cells: cells(i.Name, i.Opened.UTC().Format("2006-01-02 15:04"), classOrKind(i), lasted(i), answered(i), ended(i),
			cmp.Or(redact.CutLine(i.Fingerprint, 50), "-"))}
		switch {
		case screen.width == 0:
			r.cells = append(r.cells, cell{text: issueAddress(i)})
		case i.Issue != nil:
			r.below = []string{"  " + i.Issue.URL}
		}
		rows = append(rows, r)
	}
	a.printRows(rows)
	if out.Next != nil {
		a.printf("older ones: the same with --after %s\n", *out.Next)
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
