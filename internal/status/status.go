package status

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// Status is everything at a glance: `adfbot status --json`.
type Status struct {
	Instance     string       `json:"instance"`
	Installation string       `json:"installation"`
	PauseDir     string       `json:"pause_dir"`
	State        string       `json:"state"`
	At           time.Time    `json:"at"`
	Totals       Totals       `json:"totals"` // of Projects
	Projects     []Project    `json:"projects"`
	Patterns     []string     `json:"patterns,omitempty"` // that configure projects without listing them
	Stops        []Stop       `json:"stops,omitempty"`    // in force
	LastSweep    *SweepReport `json:"last_sweep"`
	Spooled      int          `json:"spooled"`  // results that are not stored yet
	Problems     []string     `json:"problems"` // of the bot itself
	Foreign      []string     `json:"foreign"`  // open issues of another installation, from the last sweep
	Fleet        *Fleet       `json:"fleet,omitempty"`
}

// Project is one project.
type Project struct {
	ID         string     `json:"id"`
	Configured bool       `json:"configured"`
	Pattern    string     `json:"pattern,omitempty"`   // that configures it, unless its id does
	Paused     string     `json:"is_paused"`           // [Yes], [No] or [Unknown]
	Held       bool       `json:"held"`                // paused by hand
	Forgotten  bool       `json:"forgotten,omitempty"` // for longer than escalation.remind
	Reason     string     `json:"reason,omitempty"`
	Since      *time.Time `json:"since,omitempty"`
	Until      *time.Time `json:"until,omitempty"` // when a pause by hand ends by itself
	Stop       string     `json:"stop,omitempty"`  // id of the stop that a pause by hand is a part of
	Failures   int        `json:"failures"`
	Threshold  int        `json:"threshold"` // for the next trip
	HalfOpen   bool       `json:"half_open"` // resumed, no success since
	Ignored    int        `json:"ignored_in_a_row"`
	Running    int        `json:"running"`
	FlagHosts  *FlagHosts `json:"flag_hosts,omitempty"`  // of a paused project in a fleet
	Incident   *Incident  `json:"incident"`              // the open one
	Expect     string     `json:"expect,omitempty"`      // when it has to report, in words
	LastResult *time.Time `json:"last_result,omitempty"` // when the run of its last counted result ended
	Silence    *Silence   `json:"silence,omitempty"`     // it has not reported in time
	Workflow   *Workflow  `json:"workflow,omitempty"`    // whose runs are its results
	Pending    []string   `json:"pending"`               // what is left to do in Gitea, and why
	LastRuns   []Run      `json:"last_runs"`
	Warnings   []string   `json:"warnings"`
	Resume     string     `json:"-"` // the command that resumes it, on this machine

	ResumeInGitea bool   `json:"-"` // an operator may comment on its issue instead
	waits         []wait // what Pending says, in parts
}

// TripsNext reports whether the threshold was lowered to the count or below, so that the next failure trips the breaker.
func (p Project) TripsNext() bool { return p.Incident == nil && p.Failures >= p.Threshold }

// Whether a project is paused.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown" // the pause directory cannot be read or trusted; nothing runs
)

// YesOrNo is for what is known.
func YesOrNo(is bool) string {
	if is {
		return Yes
	}
	return No
}

// Incident is an open incident.
type Incident struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Agent       string    `json:"agent"`
	Failures    int       `json:"failures"`        // at the trip
	Class       string    `json:"class,omitempty"` // of the failure that tripped it; missing if an earlier version did
	Opened      time.Time `json:"opened"`
	Issue       string    `json:"issue_url"`           // "" while there is no issue
	Lead        string    `json:"lead_name,omitempty"` // of the incident whose issue that is, if it is another one's
	Carries     int       `json:"carries,omitempty"`   // how many other incidents its issue is about
	FlagWritten bool      `json:"flag_written"`
	TakenBy     string    `json:"taken_by,omitempty"` // who acknowledged it in Gitea, or is assigned to its issue
	TakenAt     time.Time `json:"taken_at,omitzero"`

	Escalation *Escalation `json:"escalation,omitempty"`
}

// Run is one run.
type Run struct {
	Agent    string    `json:"agent"`
	Outcome  string    `json:"outcome"`
	Class    string    `json:"class,omitempty"` // of a failure
	ExitCode int       `json:"exit_code"`
	Signal   string    `json:"signal,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Counted  bool      `json:"counted"`
	Started  time.Time `json:"started,omitzero"` // zero if unknown
	Finished time.Time `json:"finished"`
	Host     string    `json:"host,omitempty"`
	LastLine string    `json:"last_line,omitempty"` // of the output of a failed run; in a list of projects, of the newest one only
}

// NewRun returns what is shown of a run.
func NewRun(r store.HistoryRun) Run {
	if r.Finished.IsZero() { // an earlier version recorded it
		r.Finished = r.Recorded
	}
	return Run{
		Agent: r.Agent, Outcome: r.Outcome, Class: r.Class, ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail, Counted: r.Counted,
		Started: r.Started, Finished: r.Finished, Host: r.Host, LastLine: lastLine(r.Output),
	}
}

// lastLine returns the last line of an output, which somebody else's program has written.
func lastLine(output string) string { return redact.Line(class.LastLine(output), maxLastLine) }

const maxLastLine = 300 // bytes

const maxLastRuns = 10

// Status returns the status of one project, or of all if only is "".
func (r *Reader) Status(ctx context.Context, only string) (Status, error) {
	state := r.from.State
	s := Status{
		Instance: r.from.Config.Instance, Installation: state.Installation(), PauseDir: r.from.Reconciler.Dir().Path(), State: state.Path(),
		At: r.from.Now().UTC(), Patterns: r.from.Config.Patterns(), Projects: []Project{}, Problems: []string{}, Foreign: []string{},
	}
	seen, err := r.look(ctx, only, maxLastRuns)
	if err != nil {
		return s, err
	}
	s.Stops = r.stopsOf(only, seen)
	if seen.fleet != nil {
		s.Fleet = &seen.fleet.Fleet
	}
	spooled, err := r.from.Spool.List()
	if err != nil {
		s.Problems = append(s.Problems, "cannot read the spool: "+err.Error())
	}
	for _, e := range r.from.Own.List() {
		if _, ours := r.from.Config.Project(e.Result.Project); ours { // others may belong to another installation
			spooled = append(spooled, e)
		}
	}
	if err := r.addOverall(ctx, &s, spooled); err != nil {
		return s, err
	}
	s.Problems = append(s.Problems, seen.fleet.problems()...)
	for _, id := range r.projectIDs(seen) {
		if only != "" && id != only {
			continue
		}
		p := r.project(id, seen)
		switch alone := p.Paused == Yes && p.Incident == nil; {
		case alone && pausedBySpool(id, spooled):
			p.Held = false
			p.Warnings = append(p.Warnings, "its failures are in the spool; its issue is opened once they can be stored")
		case alone && !p.Held:
			p.Warnings = append(p.Warnings, "its flag is that of an incident which is not open in the state: if its failures wait in a spool of the user "+
				"whose runs they are, its issue is opened once they can be stored; otherwise the next sweep settles it")
		}
		s.Projects = append(s.Projects, p)
	}
	s.Totals = newTotals(s.Projects)
	return s, nil
}

// pausedBySpool reports whether the flag of a project without an incident is that of failures which could not be stored.
func pausedBySpool(project string, spooled []hostlocal.Spooled) bool {
	return slices.ContainsFunc(spooled, func(e hostlocal.Spooled) bool { return e.Result.Project == project && !e.PausedAt.IsZero() && !e.Held })
}

// addOverall adds what is not about one project.
func (r *Reader) addOverall(ctx context.Context, s *Status, spooled []hostlocal.Spooled) error {
	pauseErr := r.from.Reconciler.CheckPause(ctx)
	if err := r.AdviseRestore(ctx, pauseErr); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	if err := r.from.State.Moved(); err != nil { // which can be read all the same
		s.Problems = append(s.Problems, err.Error())
	}
	disk := func(what, dir string) {
		if why := hostlocal.DiskProblem(dir, hostlocal.LeastRoom); why != "" {
			s.Problems = append(s.Problems, what+dir+": "+why)
		}
	}
	disk("no result can be stored in ", r.from.Config.OwnDir())
	if pauseErr == nil { // else it may hang
		disk("no flag can be written in ", s.PauseDir)
	}
	// A user who may not read the token leaves Gitea to the daemon.
	if off := r.from.Reconciler.TrackerError(); off != nil && r.from.TokenErr == nil {
		s.Problems = append(s.Problems, off.Error())
	}
	s.Problems = append(s.Problems, r.operatorProblems(ctx)...)
	s.Spooled = hostlocal.Waiting(spooled)
	for _, e := range spooled {
		if err := e.Unreadable(); err != nil {
			s.Problems = append(s.Problems, err.Error())
		}
	}
	rep, ok, err := r.LastSweep(ctx)
	if err != nil || !ok {
		return err
	}
	s.LastSweep = &rep
	if err := r.overdue(rep.At, s.At); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	for _, e := range rep.Errors {
		if !slices.Contains(s.Problems, e) {
			s.Problems = append(s.Problems, rep.problem(e))
		}
	}
	s.Foreign = append(s.Foreign, rep.Foreign...)
	return nil
}

// operatorProblems returns what the last sweep found wrong with the configured operators.
func (r *Reader) operatorProblems(ctx context.Context) []string {
	ops, err := r.from.State.Operators(ctx, r.from.Config.Gitea.URL)
	if err != nil {
		return nil // an old state, opened read-only, has no table for operators
	}
	var out []string
	for _, o := range ops {
		if o.Problem != "" {
			out = append(out, o.Problem)
		}
	}
	return out
}

// snapshot is what the state says of projects.
type snapshot struct {
	incidents map[string][]incident.Incident // those that are not settled, by project, see [incident.View]
	views     incident.Views
	silent    map[string][]incident.Incident // likewise of the kind [incident.Silent]
	reports   map[string]store.Report        // of the known projects

	silentClosed []string // ids of those whose issues somebody has closed
	holds        map[string]incident.Hold
	flagless     map[string]bool           // projects of holds whose flag was never on this host's disk
	stops        []incident.Stop           // in force
	recorded     map[string]store.Overview // of the known projects
	outputs      map[string]string         // the ends of those of the newest runs, where these failed
	flag         func(project string) incident.FlagView
	fleet        *fleet
	workflows    map[string]Workflow // that adfbot has disabled

	workflowProblems map[string]string
}

// look reads what the state says of all projects or, where only is not "", of that one, with a fixed number of queries.
func (r *Reader) look(ctx context.Context, only string, runs int) (s snapshot, err error) {
	incidents, err := r.from.State.Unsettled(ctx, only)
	if err != nil {
		return s, err
	}
	holds, err := r.from.State.Holds(ctx)
	if err != nil {
		return s, err
	}
	if s.stops, err = r.from.Reconciler.StopsInForce(ctx); err != nil {
		return s, err
	}
	if s.recorded, err = r.from.State.Overview(ctx, only, runs); err != nil {
		return s, err
	}
	if s.outputs, err = r.lastOutputs(ctx, s.recorded); err != nil {
		return s, err
	}
	if err := r.addSilence(ctx, only, &s); err != nil {
		return s, err
	}
	if only == "" {
		s.flag = r.from.Reconciler.LookAll(ctx)
	} else {
		s.flag = func(project string) incident.FlagView { return r.from.Reconciler.Look(ctx, project) }
	}
	views, err := incident.View(ctx, r.from.State, incidents)
	if err != nil {
		return s, err
	}
	s.incidents, s.holds, s.views = map[string][]incident.Incident{}, map[string]incident.Hold{}, views
	for _, i := range views.List {
		s.incidents[i.Project] = append(s.incidents[i.Project], i)
	}
	for _, h := range holds {
		s.holds[h.Project] = h
	}
	if s.flagless, err = r.flagless(ctx, only, s); err != nil {
		return s, err
	}
	if s.workflows, s.workflowProblems, err = r.workflows(ctx); err != nil {
		return s, err
	}
	s.fleet, err = r.fleet(ctx)
	return s, err
}

// flagless returns the projects that only a hold pauses, whose flag could not be written on this host yet: a flag that was there and is gone was
// removed by somebody. It reads the state only if a flag of a hold is missing.
func (r *Reader) flagless(ctx context.Context, only string, s snapshot) (map[string]bool, error) {
	missing := map[string]bool{}
	for id := range s.holds {
		if (only == "" || id == only) && !slices.ContainsFunc(s.incidents[id], incident.Incident.IsOpen) && s.flag(id).State == incident.FlagGone {
			missing[id] = true
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	written, err := r.PausedInState(ctx)
	maps.DeleteFunc(missing, func(id string, _ bool) bool {
		was, paused := written[id]
		return was || !paused // it has been resumed since
	})
	return missing, err
}

// lastOutputs reads the ends of the outputs of the newest runs that failed.
func (r *Reader) lastOutputs(ctx context.Context, recorded map[string]store.Overview) (map[string]string, error) {
	var failed []string
	for id, o := range recorded {
		if len(o.Runs) > 0 && o.Runs[0].Outcome == store.Failure {
			failed = append(failed, id)
		}
	}
	return r.from.State.LastOutputs(ctx, failed...)
}

// isPaused reports whether the state says that a project is paused.
func (s snapshot) isPaused(project string) bool {
	_, held := s.holds[project]
	return held || slices.ContainsFunc(s.incidents[project], incident.Incident.IsOpen)
}

// projectIDs returns the configured projects, see [config.Config.ProjectIDs], then others with something unfinished or a flag.
func (r *Reader) projectIDs(s snapshot) []string {
	flags, _ := r.from.Reconciler.Flags() // addOverall reports an unreadable directory
	more := slices.Sorted(maps.Keys(s.incidents))
	more = slices.AppendSeq(more, maps.Keys(s.silent))
	more = slices.AppendSeq(more, maps.Keys(s.holds))
	more = slices.DeleteFunc(append(more, flags...), func(id string) bool {
		_, configured := r.from.Config.Project(id)
		return configured
	})
	slices.Sort(more)
	return append(r.from.Config.ProjectIDs(slices.Collect(maps.Keys(s.recorded))), slices.Compact(more)...)
}

func (r *Reader) project(id string, s snapshot) Project {
	p := r.summary(id, s)
	if p.TripsNext() {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d failures in a row, and its threshold is %d now: it trips at the next failure", p.Failures, p.Threshold))
	}
	if p.Ignored > 2 {
		p.Warnings = append(p.Warnings, "the last results were all ignored: nobody knows whether it works")
	}
	for n, run := range s.recorded[id].Runs {
		if n == 0 {
			run.Output = s.outputs[id]
		}
		p.LastRuns = append(p.LastRuns, NewRun(run))
	}
	return p
}

// summary returns a project without its runs.
func (r *Reader) summary(id string, s snapshot) Project {
	how := r.from.Reconciler.HowToResume(id)
	p := Project{ID: id, Pending: []string{}, LastRuns: []Run{}, Warnings: []string{}, Resume: how.Command}
	limits, configured := r.from.Config.Project(id)
	if p.Configured, p.Pattern = configured, limits.Match; !configured {
		limits = r.from.Config.ProjectOrDefault(id)
	}
	stored := s.recorded[id]
	p.Running = stored.Running
	p.Failures, p.HalfOpen, p.Ignored, p.Threshold = stored.Breaker.Failures, stored.HalfOpen, stored.Ignored, limits.Threshold
	if stored.HalfOpen {
		p.Threshold = limits.ResumeThreshold
	}
	p.Expect = limits.Expect.Words()
	if a := limits.Actions; !a.IsZero() {
		p.Workflow = &Workflow{Repo: a.Path(), Workflow: a.Workflow, Problem: s.workflowProblems[id]}
		other := DisabledFor(id, *p.Workflow, s.workflows)
		if p.Workflow.Disabled = other != ""; other != id {
			p.Workflow.For = other
		}
	}
	r.addPause(&p, s)
	p.addReports(s)
	p.ResumeInGitea = how.InGitea && p.Incident != nil && p.Incident.Issue != ""
	return p
}

// addPause adds whether and why a project is paused.
func (r *Reader) addPause(p *Project, s snapshot) {
	flag := s.flag(p.ID)
	switch flag.State {
	case incident.FlagThere:
		// Failures that could not be stored may have paused it; they may be in a spool that this user cannot read.
		p.Paused, p.Held = Yes, flag.Identity.Kind == incident.PersonFlag || flag.Info.Incident == ""
		flag.Note = NoteOf(flag, incident.ProjectState{Unsettled: s.incidents[p.ID]}.Open(), r.from.Reconciler.HowToResume(p.ID))
		path := r.from.Reconciler.Dir().FlagPath(p.ID)
		p.Reason = redact.Line(PausedBecause(p.ID, FlagReason(path, readableNote(flag), flag.Dangling)), 300)
		p.Since = known(r.pausedSince(p.ID, flag, s))
		if flag.Dangling {
			p.Warnings = append(p.Warnings,
				"its flag is a dangling link: it pauses here, but `test -e` in a script does not see it")
		}
	case incident.FlagGone:
		p.Paused = No
	default:
		p.Paused, p.Reason = Unknown, flag.Err.Error()
	}
	h, held := s.holds[p.ID]
	p.Held = p.Held || held && p.Paused == Yes
	if s.flagless[p.ID] {
		p.Paused, p.Held, p.Since = Yes, true, known(h.Since)
		p.Reason = redact.Line(PausedBecause(p.ID, cmp.Or(HoldReason(h), "by hand")), 300)
		p.addFlagless("")
	}
	p.addHold(h, held)
	for _, i := range s.incidents[p.ID] {
		p.addIncident(i, s.fleet.written(i), s.views.Kept[i.ID])
		if i.IsOpen() {
			r.addEscalation(p, i, s.views.Carried(i))
		}
	}
	if h, held := s.holds[p.ID]; held && p.Held {
		r.addForgotten(p, h.Since)
	}
	if s.isPaused(p.ID) {
		p.addFleet(s.fleet)
	}
}

// pausedSince returns when a pause began. The flag tells of a pause that the state does not know yet: one that it knows may have been
// written again, or later on this host than on another.
func (r *Reader) pausedSince(project string, flag incident.FlagView, s snapshot) time.Time {
	since, now := flag.Since, r.from.Now()
	if h, held := s.holds[project]; held {
		since = h.Since
	}
	for _, i := range s.incidents[project] {
		if i.IsOpen() {
			since = i.Opened
		}
	}
	if since.After(now) { // a file may have any time
		return now
	}
	return since
}

// addIncident adds an incident whose flag was written on this host, or not yet. kept says that others keep its issue open after its end.
func (p *Project) addIncident(i incident.Incident, written, kept bool) {
	if i.IsOpen() {
		p.Held, p.Until = false, nil
		p.Incident = &Incident{
			ID: i.ID, Name: i.Name(), Agent: i.Agent, Failures: i.Failures, Class: i.Class, Opened: i.Opened, Issue: i.Issue.URL,
			FlagWritten: !i.FlagWritten.IsZero(), Lead: i.LeadName, Carries: max(len(i.Members)-1, 0),
		}
		if i.Ack != nil {
			p.Incident.TakenBy, p.Incident.TakenAt = i.Ack.By.Login, i.Ack.At
		}
		if p.Paused == No && !written {
			p.Paused = Yes
			p.addFlagless(i.FlagError)
		} else if p.Paused == No {
			p.Warnings = append(p.Warnings, "its flag was removed; the next sweep notices that")
		}
	}
	if w, _ := pending(i, kept); w.incident != "" {
		p.waits = append(p.waits, w)
		p.Pending = append(p.Pending, w.String())
	}
}

// addFlagless warns of a pause whose flag is not written on this host.
func (p *Project) addFlagless(why string) {
	p.Warnings = append(p.Warnings, "its pause flag is not written: exec refuses, but a script that checks the flag runs: "+
		cmp.Or(why, "the next sweep on this host writes it, if its daemon runs"))
}

// pending returns what is left to do in Gitea for an incident, zero if nothing is, and since when, if that is known.
func pending(i incident.Incident, kept bool) (w wait, since time.Time) {
	w = wait{incident: i.Name(), reason: i.LastErr}
	switch {
	case i.IsOpen() && i.Issue.IsZero():
		w.what = toOpen
		return w, i.Opened
	case !i.IsOpen() && i.LeadName != "":
		w.what = "its end to be shown in the issue of " + i.LeadName
		return w, i.Ended
	case !i.IsOpen() && !kept && i.Issue.IsZero() && i.Create.At.IsZero():
		return wait{}, time.Time{} // it has no issue, and needs none any more
	case !i.IsOpen() && !kept:
		w.what = ofEnded(i)
		return w, i.Ended
	case i.LastErr != "":
		return w, time.Time{}
	}
	return wait{}, time.Time{}
}

// ofEnded returns what is left to do for an incident that has ended and whose issue, if there is one, carries no other that is open.
func ofEnded(i incident.Incident) string {
	switch {
	case i.Issue.IsZero():
		return toFind
	case !i.IssueClosed:
		return toClose
	case i.EndUntold():
		return toTell
	}
	return toList
}
