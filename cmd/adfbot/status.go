package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// statusFlags say what status shows.
type statusFlags struct {
	all, paused, json bool
	watch             time.Duration
}

func (a *app) statusCmd() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [P...] [--paused] [--all] [--watch[=D]] [--json]",
		Short: "Show which projects run, which are paused and why, and what is pending in Gitea",
		Long: `status shows what needs somebody first: projects that are paused, then those that need a look. Of many
that are fine it shows only how many they are, unless they are named or --all is given. P is a project's
id, or a pattern in quotes, such as 'twins-*'.`,
		Example: `  adfbot status --paused
  adfbot status 'twins-*' --watch`,
		ValidArgsFunction: a.completeProjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				if err := checkSpelling(name); err != nil {
					return &exit{exitUsage, err}
				}
			}
			if cmd.Flags().Changed("watch") {
				return a.watchStatus(cmd.Context(), args, f)
			}
			return a.status(cmd.Context(), args, f)
		},
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "list all projects, also those that are fine")
	cmd.Flags().BoolVar(&f.paused, "paused", false, "list only projects that are paused, or of which that is not known")
	cmd.Flags().DurationVar(&f.watch, "watch", watchEvery, "show it again and again, with this time in between, until Ctrl-C")
	cmd.Flags().Lookup("watch").NoOptDefVal = watchEvery.String()
	cmd.Flags().BoolVar(&f.json, "json", false, "print everything as JSON, in the order of the configuration")
	cmd.MarkFlagsMutuallyExclusive("json", "watch")
	return cmd
}

// checkSpelling checks a name that may be an id or a pattern.
func checkSpelling(name string) error {
	if config.IsPattern(name) {
		return config.CheckPattern(name)
	}
	return pause.CheckID(name)
}

func (a *app) status(ctx context.Context, names []string, f statusFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	b, err := bot.Open(ctx, cfg, bot.ReadOnly, a.envWithSpools(cfg))
	if store.NoState(err) {
		return a.statusOfNothing(ctx, cfg, names, f.json)
	}
	if err != nil {
		return err
	}
	defer a.close(b)
	only := ""
	if len(names) == 1 && !config.IsPattern(names[0]) {
		only = names[0]
	}
	s, err := b.Status(ctx, only)
	if err == nil {
		s, err = keepNamed(cfg, s, names)
	}
	if err != nil {
		return err
	}
	if f.json {
		if f.paused {
			s = s.Keep(isPaused)
		}
		return a.printJSON(s)
	}
	a.printStatus(s, f, len(names) > 0)
	if entry, at, ok := cfg.Entry(only); ok {
		a.printf("configured as %s (%s)\n", entry, at)
	}
	return nil
}

func isPaused(p status.Project) bool { return p.Paused != status.No }

// keepNamed keeps the projects that somebody has named by ids and patterns; all if there are no names.
func keepNamed(cfg *config.Config, s status.Status, names []string) (status.Status, error) {
	if len(names) == 0 {
		return s, nil
	}
	for _, name := range names {
		fits := func(p status.Project) bool { return config.Matches(name, p.ID) }
		switch {
		case slices.ContainsFunc(s.Projects, fits):
		case config.IsPattern(name):
			return s, &exit{exitUsage, &config.NoMatchError{Pattern: name}}
		default:
			return s, &exit{exitUsage, cmp.Or(cfg.CheckKnown(name, false), error(&config.UnknownProjectError{ID: name, Known: cfg.EntryNames()}))}
		}
	}
	return s.Keep(func(p status.Project) bool {
		return slices.ContainsFunc(names, func(name string) bool { return config.Matches(name, p.ID) })
	}), nil
}

// statusOfNothing prints the status before anything was recorded, or where the state is missing.
func (a *app) statusOfNothing(ctx context.Context, cfg *config.Config, names []string, asJSON bool) error {
	for _, name := range names {
		err := cfg.CheckKnown(name, false)
		if config.IsPattern(name) {
			_, err = cfg.Select([]string{name}, nil)
		}
		if err != nil {
			return &exit{exitUsage, err}
		}
	}
	why := fmt.Sprintf("no state yet at %s: nothing has been recorded%s", cfg.State, status.InContainer(cfg))
	if missing := bot.MissingState(ctx, cfg); missing != "" {
		why = missing + "; until then `adfbot gate P` says whether P is paused, as far as that is known"
	}
	if asJSON {
		return a.printJSON(status.Status{
			Instance: cfg.Instance, PauseDir: cfg.PauseDir, State: cfg.State, At: a.time().UTC(),
			Projects: []status.Project{}, Problems: []string{why}, Foreign: []string{},
		})
	}
	a.printf("%s\n", why)
	return nil
}

const (
	statusSteps = 10 // of the last sweep are listed
	statusRows  = 50 // projects of a rank are listed without --all
	fineRows    = 20 // as long as no more are fine
)

func (a *app) printStatus(s status.Status, f statusFlags, named bool) {
	sweep := "never swept"
	if s.LastSweep != nil {
		sweep = fmt.Sprintf("last sweep %s ago, %s", since(s.At, s.LastSweep.At), text.Plural(len(s.LastSweep.Actions), "step"))
		if n := len(s.LastSweep.Errors); n > 0 {
			sweep += ", " + text.Plural(n, "error")
		}
	}
	a.printf("%s\nadfbot on %s: %s\n", s.Totals, s.Instance, sweep)
	if s.Fleet != nil {
		a.printf("fleet: %s\n", s.Fleet.Summary())
	}
	screen := a.screen()
	for _, st := range s.Stops {
		a.noticef("%s; %s\n", st.Summary(s.At), st.HowToResume())
	}
	listed, more := listedProjects(s, f, named)
	a.printRows(statusTable(s, listed, screen))
	for _, line := range more {
		a.printf("%s\n", line)
	}
	if len(s.Projects) == 0 && len(s.Patterns) > 0 {
		a.printf("no project is known yet whose id fits %s\n", strings.Join(s.Patterns, " or "))
	}
	for _, p := range listed {
		if p.Paused == status.Yes && p.Reason != "" && !inForce(s, p.Stop) { // a stop is told once
			a.printf("%s\n", p.Reason)
		}
		for _, x := range p.Warnings {
			a.noticef("%s: %s\n", p.ID, x)
		}
		a.printWorkflow(p, named)
	}
	a.printPending(s)
	for _, x := range s.OtherProblems() {
		a.noticef("%s\n", strings.ReplaceAll(x, "\n", "\n  "))
	}
	if s.Spooled > 0 {
		a.noticef("%s in the spool; this user's next exec, record or sweep that can store takes them in\n", text.Plural(s.Spooled, "result"))
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

// printWorkflow prints what is to be known of a project's workflow; that it only reports, of a project that somebody has named.
func (a *app) printWorkflow(p status.Project, named bool) {
	switch w := p.Workflow; {
	case w == nil:
	case w.Problem != "":
		a.noticef("%s: workflow %s\n", p.ID, w)
	case w.Disabled || named:
		a.printf("%s: workflow %s\n", p.ID, w)
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
		line := a.noticef
		if g.InHand() {
			line = a.printf
		}
		if len(g.Work) == 1 && len(g.Work[0].Incidents) == 1 {
			line("%s: %s\n", projectOf(g.Work[0].Incidents[0]), joined(g.Work[0].Incidents[0], g.Work[0].What, g.Reason))
			continue
		}
		line("%s\n", joined(text.Plural(g.Incidents(), "incident")+" wait", g.Reason))
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

// listedProjects returns the projects that are listed, those first that need somebody, and what is said of the others.
func listedProjects(s status.Status, f statusFlags, named bool) (listed []status.Project, more []string) {
	most := map[status.Rank]int{status.RankFine: fineRows}
	if s.Totals.Fine > fineRows {
		most[status.RankFine] = 0
	}
	left := map[status.Rank]int{}
	for _, p := range s.Ranked() {
		rank := p.Rank()
		if _, ok := most[rank]; !ok {
			most[rank] = statusRows
		}
		switch {
		case f.paused && !isPaused(p):
		case f.all, named, most[rank] > 0:
			most[rank]--
			listed = append(listed, p)
		default:
			left[rank]++
		}
	}
	for _, rank := range []struct {
		rank  status.Rank
		words string
	}{
		{status.RankUnknown, "of which it is not known whether they are paused"}, {status.RankPaused, "that are paused"}, {status.RankHeld, "that are held"},
		{status.RankLook, "that need a look"}, {status.RankFine, "that are fine"},
	} {
		if n := left[rank.rank]; n > 0 {
			more = append(more, fmt.Sprintf("not listed: %s %s; see --all", text.Plural(n, "project"), rank.words))
		}
	}
	return listed, more
}

// statusTable shows a project in a row. Where the screen is not wide without end, the address of its issue is below.
func statusTable(s status.Status, projects []status.Project, screen screen) (rows []row) {
	for _, p := range projects {
		r := row{cells: cells(p.ID, pausedWord(s, p), fmt.Sprintf("%d/%d failures", p.Failures, p.Threshold), history(p))}
		r.cells[1].colour = rankColours[p.Rank()]
		issue := incidentWord(s.At, p)
		if screen.width > 0 && (p.Incident != nil || p.Silence != nil) {
			r.below, issue = []string{"  " + issue}, ""
		}
		r.cells = append(r.cells, cell{text: issue}, cell{text: lastRun(s.At, p)})
		rows = append(rows, r)
	}
	return rows
}

var rankColours = map[status.Rank]string{status.RankUnknown: red, status.RankPaused: red, status.RankHeld: yellow, status.RankLook: yellow}

// lastRun says how the last run ended, and when.
func lastRun(now time.Time, p status.Project) string {
	if len(p.LastRuns) == 0 {
		return ""
	}
	r := p.LastRuns[0]
	ended := cmp.Or(r.Signal, fmt.Sprintf("exit %d", r.ExitCode))
	if r.Signal == "" && r.ExitCode == 0 && r.Outcome != store.Success { // it has no exit code
		ended = r.Outcome
	}
	return joined(since(now, r.Finished)+" ago, "+ended, cmp.Or(r.LastLine, r.Detail))
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
