package bot

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// Status is everything an operator wants to know at a glance.
type Status struct {
	Instance     string          `json:"instance"`
	Installation string          `json:"installation"`
	PauseDir     string          `json:"pause_dir"`
	State        string          `json:"state"`
	At           time.Time       `json:"at"`
	Projects     []ProjectStatus `json:"projects"`
	LastSweep    *SweepReport    `json:"last_sweep"`
	Spooled      int             `json:"spooled"`  // results that wait to be stored
	Problems     []string        `json:"problems"` // of the bot itself
	Foreign      []string        `json:"foreign"`  // open issues of another installation, as the last sweep saw them
}

// ProjectStatus is one project's share.
type ProjectStatus struct {
	ID         string          `json:"id"`
	Configured bool            `json:"configured"`
	Paused     string          `json:"paused"` // yes, no or unknown
	Held       bool            `json:"held"`   // paused by a person
	Reason     string          `json:"reason,omitempty"`
	Since      *time.Time      `json:"since,omitempty"`
	Failures   int             `json:"failures"`
	Threshold  int             `json:"threshold"` // that applies to the next trip
	HalfOpen   bool            `json:"half_open"` // resumed, no success since
	Ignored    int             `json:"ignored_in_a_row"`
	Running    int             `json:"running"`
	Incident   *IncidentStatus `json:"incident"`
	Pending    []string        `json:"pending"` // what is still to be done in Gitea, and why it was not yet
	LastRuns   []RunStatus     `json:"last_runs"`
	Warnings   []string        `json:"warnings"`
}

// IncidentStatus is an open incident.
type IncidentStatus struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Agent    string    `json:"agent"`
	Failures int       `json:"failures"` // at the trip
	Opened   time.Time `json:"opened"`
	Issue    string    `json:"issue"` // URL, "" where it is not open yet
	FlagSeen bool      `json:"flag_written"`
	TakenBy  string    `json:"taken_by,omitempty"` // who said in Gitea that they take care of it
	TakenAt  time.Time `json:"taken_at,omitzero"`
}

// RunStatus is one run.
type RunStatus struct {
	Agent    string    `json:"agent"`
	Outcome  string    `json:"outcome"`
	ExitCode int       `json:"exit_code"`
	Signal   string    `json:"signal,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Counted  bool      `json:"counted"`
	Started  time.Time `json:"started,omitzero"` // zero: whoever recorded it did not tell
	Finished time.Time `json:"finished"`
	Host     string    `json:"host,omitempty"`
}

// statusRuns is how many runs are shown of a project.
const statusRuns = 10

// Status reads the state and the flags. It makes no request and writes nothing. only restricts it to one project.
func (b *Bot) Status(ctx context.Context, only string) (Status, error) {
	s := Status{
		Instance: b.cfg.Instance, Installation: b.store.Installation(), PauseDir: b.rec.Dir().Path(), State: b.store.Path(),
		At: b.now().UTC(), Projects: []ProjectStatus{}, Problems: []string{}, Foreign: []string{},
	}
	incidents, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return s, err
	}
	running, err := b.store.Running(ctx)
	if err != nil {
		return s, err
	}
	holds, err := b.store.Holds(ctx)
	if err != nil {
		return s, err
	}
	if err := b.overall(ctx, &s); err != nil {
		return s, err
	}
	for _, id := range b.statusIDs(incidents, holds) {
		if only != "" && id != only {
			continue
		}
		p, err := b.projectStatus(ctx, id, incidents, running)
		if err != nil {
			return s, err
		}
		s.Projects = append(s.Projects, p)
	}
	return s, nil
}

func (b *Bot) overall(ctx context.Context, s *Status) error {
	if err := b.Explain(ctx, b.rec.CheckPause()); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	if b.rec.TrackerError() != nil && b.tokenErr == nil { // who may not read the token leaves the issues to serve
		s.Problems = append(s.Problems, b.rec.TrackerError().Error())
	}
	s.Problems = append(s.Problems, b.operatorProblems(ctx)...)
	spooled, err := b.local.Spool().List()
	if err != nil {
		return err
	}
	s.Spooled = len(spooled)
	for _, e := range spooled {
		if e.Err != nil {
			s.Problems = append(s.Problems, "spooled result "+e.File+" can't be read: "+e.Err.Error())
		}
	}
	rep, ok, err := b.LastSweep(ctx)
	if err != nil || !ok {
		return err
	}
	s.LastSweep = &rep
	if late := b.overdue(rep.At, s.At); late != "" {
		s.Problems = append(s.Problems, late)
	}
	for _, e := range rep.Errors {
		if !slices.Contains(s.Problems, e) {
			s.Problems = append(s.Problems, "last sweep: "+e)
		}
	}
	s.Foreign = append(s.Foreign, rep.Foreign...)
	return nil
}

// statusIDs are the configured projects in the configuration's order, then those that only the state or a flag tells of.
func (b *Bot) statusIDs(incidents []incident.Incident, holds []incident.Hold) []string {
	ids := slices.Clone(b.cfg.ProjectIDs())
	var more []string
	add := func(id string) {
		if !slices.Contains(ids, id) && !slices.Contains(more, id) {
			more = append(more, id)
		}
	}
	for _, i := range incidents {
		add(i.Project)
	}
	for _, h := range holds {
		add(h.Project)
	}
	flags, _ := b.rec.Dir().List() // an unreadable directory is in the problems already
	for _, id := range flags {
		add(id)
	}
	slices.Sort(more)
	return append(ids, more...)
}

func (b *Bot) projectStatus(ctx context.Context, id string, incidents []incident.Incident, running []store.Run) (ProjectStatus, error) {
	p := ProjectStatus{ID: id, Pending: []string{}, LastRuns: []RunStatus{}, Warnings: []string{}}
	_, p.Configured = b.cfg.Project(id)
	kept, err := b.store.Project(ctx, id)
	if err != nil {
		return p, err
	}
	l := b.limits(id)
	p.Failures, p.HalfOpen, p.Ignored, p.Threshold = kept.Breaker.Failures, kept.HalfOpen, kept.Ignored, l.Threshold
	if kept.HalfOpen {
		p.Threshold = l.Resume
	}
	for _, r := range running {
		if r.Project == id {
			p.Running++
		}
	}
	b.flagStatus(id, &p)
	for _, i := range incidents {
		if i.Project == id {
			p.addIncident(i)
		}
	}
	if p.Incident != nil {
		p.Held = false
	}
	if p.Ignored > 2 {
		p.Warnings = append(p.Warnings, "the last results were all ignored: nobody knows whether it works")
	}
	runs, err := b.store.Runs(ctx, id, statusRuns)
	for _, r := range runs {
		p.LastRuns = append(p.LastRuns, RunStatus{Agent: r.Agent, Outcome: r.Outcome, ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail,
			Counted: r.Counted, Started: r.Started, Finished: r.Finished, Host: r.Host})
	}
	return p, err
}

func (b *Bot) flagStatus(id string, p *ProjectStatus) {
	flag := b.rec.Look(id)
	switch flag.State {
	case incident.FlagThere:
		p.Paused, p.Held = "yes", true
		p.Reason = redact.Line(pausedBecause(id, reason(b.rec.Dir(), id, sayings(flag), flag.Dangling)), 300)
		since := flag.Since.UTC()
		p.Since = &since
		if flag.Dangling {
			p.Warnings = append(p.Warnings, "its flag is a link that leads nowhere: it pauses here, but `test -e` in a script says that there is none")
		}
	case incident.FlagGone:
		p.Paused = "no"
	default:
		p.Paused = "unknown"
		p.Reason = flag.Err.Error()
	}
}

// sayings is what a flag's note says to people about the why, without the lines that the bot writes for itself and the
// advice how to resume.
func sayings(flag incident.FlagView) string {
	note := flag.Note
	if flag.Info.Incident != "" {
		note, _, _ = strings.Cut(note, "\n\n")
	}
	var out []string
	for line := range strings.Lines(note) {
		if !strings.HasPrefix(line, "To resume, remove this file or run:") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func (p *ProjectStatus) addIncident(i incident.Incident) {
	if i.IsOpen() {
		p.Incident = &IncidentStatus{ID: i.ID, Name: i.Name(), Agent: i.Agent, Failures: i.Failures, Opened: i.Opened, Issue: i.Issue.URL, FlagSeen: !i.FlagWritten.IsZero()}
		if i.Ack != nil {
			p.Incident.TakenBy, p.Incident.TakenAt = i.Ack.By.Login, i.Ack.At
		}
		if p.Paused == "no" && i.FlagWritten.IsZero() {
			p.Paused = "yes"
			p.Warnings = append(p.Warnings, "its pause flag is not written: exec refuses, but a script that asks for the flag runs on: "+
				cmp.Or(i.FlagError, "see what the last sweep says"))
		} else if p.Paused == "no" {
			p.Warnings = append(p.Warnings, "its flag was removed; the next sweep notices that")
		}
	}
	if what, _ := pending(i); what != "" {
		if i.LastErr != "" {
			what += ": " + i.LastErr
		}
		p.Pending = append(p.Pending, what)
	}
}
