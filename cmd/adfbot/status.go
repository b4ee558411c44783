package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

func (a *app) statusCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [P] [--json]",
		Short: "Show which projects run, which are paused and why, and what is pending in Gitea",
		Args:  oneProjectAtMost,
		RunE: func(cmd *cobra.Command, args []string) error {
			only := ""
			if len(args) == 1 {
				only = args[0]
				if err := pause.CheckID(only); err != nil {
					return &exit{exitUsage, err}
				}
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			b, err := bot.Open(cmd.Context(), cfg, bot.ReadOnly, a.env(nil))
			if errors.Is(err, fs.ErrNotExist) {
				return a.statusOfNothing(cfg, only, asJSON)
			}
			if err != nil {
				return err
			}
			defer a.close(b)
			s, err := b.Status(cmd.Context(), only)
			if err != nil {
				return err
			}
			if only != "" && len(s.Projects) == 0 {
				return &exit{exitUsage, cfg.CheckKnown(only, false)}
			}
			if asJSON {
				return a.printJSON(s)
			}
			a.printStatus(s)
			if entry, at, ok := cfg.Entry(only); ok {
				a.printf("configured as %s (%s)\n", entry, at)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}

// statusOfNothing prints the status before anything was recorded.
func (a *app) statusOfNothing(cfg *config.Config, only string, asJSON bool) error {
	if only != "" {
		if err := cfg.CheckKnown(only, false); err != nil {
			return &exit{exitUsage, err}
		}
	}
	why := fmt.Sprintf("no state yet at %s: nothing has been recorded", cfg.State)
	if asJSON {
		return a.printJSON(status.Status{
			Instance: cfg.Instance, PauseDir: cfg.PauseDir, State: cfg.State, At: a.time().UTC(),
			Projects: []status.Project{}, Problems: []string{why}, Foreign: []string{},
		})
	}
	a.printf("%s\n", why)
	return nil
}

// statusSteps is how many steps of the last sweep are listed.
const statusSteps = 10

func (a *app) printStatus(s status.Status) {
	sweep := "never swept"
	if s.LastSweep != nil {
		sweep = fmt.Sprintf("last sweep %s ago, %s", since(s.At, s.LastSweep.At), text.Plural(len(s.LastSweep.Actions), "step"))
		if n := len(s.LastSweep.Errors); n > 0 {
			sweep += ", " + text.Plural(n, "error")
		}
	}
	a.printf("adfbot on %s: %s\n", s.Instance, sweep)
	if s.Fleet != nil {
		a.printf("fleet: %s\n", s.Fleet.Summary())
	}
	for _, st := range s.Stops {
		a.printf("! %s; to resume the %s that it holds: %s\n", st.Summary(s.At), text.Plural(st.Holds, "project"), st.Resume)
	}
	w := tabwriter.NewWriter(&a.out, 0, 8, 2, ' ', 0)
	for _, p := range s.Projects {
		fmt.Fprintf(w, "%s\t%s\t%d/%d failures\t%s\t%s\n", p.ID, pausedWord(s, p), p.Failures, p.Threshold, history(p), incidentWord(s.At, p))
	}
	_ = w.Flush()
	if len(s.Projects) == 0 && len(s.Patterns) > 0 {
		a.printf("no project is known yet whose id fits %s\n", strings.Join(s.Patterns, " or "))
	}
	for _, p := range s.Projects {
		if p.Paused == status.Yes && p.Reason != "" && !inForce(s, p.Stop) { // a stop is told once
			a.printf("%s\n", p.Reason)
		}
		for _, x := range p.Warnings {
			a.printf("! %s: %s\n", p.ID, x)
		}
	}
	a.printPending(s)
	for _, x := range s.OtherProblems() {
		a.printf("! %s\n", strings.ReplaceAll(x, "\n", "\n  "))
	}
	if s.Spooled > 0 {
		a.printf("! %s in the spool; the next command that can store takes them in\n", text.Plural(s.Spooled, "result"))
	}
	if s.LastSweep != nil {
		for _, x := range s.LastSweep.Actions[:min(len(s.LastSweep.Actions), statusSteps)] {
			a.printf("last sweep: %s %s: %s\n", x.Kind, cmp.Or(x.Name, x.Project), x.Why)
		}
	}
	if note := foreignNote(s.Foreign); note != "" {
		a.printf("note: %s\n", note)
	}
}

// foreignNote names the first of the issues of another installation. They may be many, and are nobody's work here.
func foreignNote(issues []string) string {
	switch len(issues) {
	case 0:
		return ""
	case 1:
		return "an open issue of another installation, never touched: " + issues[0]
	}
	return fmt.Sprintf("%d open issues of another installation, never touched: %s and others, see --json", len(issues), issues[0])
}

// printPending prints what waits for Gitea, each reason once.
func (a *app) printPending(s status.Status) {
	for _, g := range s.PendingGroups() {
		if len(g.Work) == 1 && len(g.Work[0].Incidents) == 1 {
			a.printf("! %s: %s\n", projectOf(g.Work[0].Incidents[0]), joined(g.Work[0].Incidents[0], g.Work[0].What, g.Reason))
			continue
		}
		a.printf("! %s\n", joined(text.Plural(g.Incidents(), "incident")+" wait", g.Reason))
		for _, w := range g.Work {
			a.printf("  %s\n", joined(w.What, strings.Join(w.Incidents, ", ")))
		}
	}
}

// joined joins the parts that are not empty with colons.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// projectOf is the project in an incident's name.
func projectOf(name string) string {
	project, _, _ := strings.Cut(name, "#")
	return project
}

func pausedWord(s status.Status, p status.Project) string {
	switch {
	case p.Paused == status.Unknown:
		return "UNKNOWN"
	case p.Paused == status.Yes:
		word := "PAUSED"
		if p.Held {
			word = "held"
		}
		if p.Since != nil {
			word += " " + since(s.At, *p.Since)
		}
		return word
	case p.Running > 0:
		return "running"
	}
	return "may run"
}

// history draws the last runs, the newest last.
func history(p status.Project) string {
	if len(p.LastRuns) == 0 {
		return "no runs yet"
	}
	var b strings.Builder
	for i := len(p.LastRuns) - 1; i >= 0; i-- {
		b.WriteString(status.Symbol(p.LastRuns[i].Outcome))
	}
	return b.String()
}

// inForce reports whether a stop is shown as one that is in force.
func inForce(s status.Status, stop string) bool {
	return slices.ContainsFunc(s.Stops, func(st status.Stop) bool { return st.ID == stop })
}

// heldBy says who has paused a project by hand, and until when.
func heldBy(p status.Project) string {
	word := "by a person"
	if p.Stop != "" {
		word = "by a stop"
	}
	if p.Until != nil {
		word += " until " + p.Until.UTC().Format("2006-01-02 15:04 UTC")
	}
	return word
}

func incidentWord(now time.Time, p status.Project) string {
	switch {
	case p.Incident == nil && p.Silence != nil:
		issue := cmp.Or(p.Silence.Issue, "(no issue yet)")
		if p.Silence.Closed {
			issue += " (closed)"
		}
		return p.Silence.Name + " " + issue
	case p.Incident == nil && p.Held:
		return heldBy(p)
	case p.Incident == nil && p.HalfOpen:
		return "resumed, no success since"
	case p.Incident == nil:
		return ""
	}
	issue := p.Incident.Issue
	if issue == "" {
		issue = "(no issue yet)"
	}
	if p.Incident.TakenBy != "" {
		issue += ", taken by " + p.Incident.TakenBy
	}
	issue += p.Incident.Escalation.Note(now)
	if p.Incident.Lead != "" {
		issue += ", that of " + p.Incident.Lead
	}
	return p.Incident.Name + status.ClassNote(p.Incident.Class) + " " + issue
}

func since(now, then time.Time) string {
	return text.Duration(max(now.Sub(then), 0).Truncate(time.Second))
}
