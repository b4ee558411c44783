package bot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Recorded is what a result did.
type Recorded struct {
	store.Answer
	Project  string
	Agent    string
	Flag     incident.FlagView
	Incident *incident.Incident // open after the result, or nil
	Problems []string           // what failed after the result was stored; the next sweep tries again
}

// Paused reports whether the project is paused after the result.
func (r Recorded) Paused() bool { return r.Incident != nil || r.Flag.State == incident.FlagThere }

// View returns what the reporter of the result is shown.
func (r Recorded) View() status.ResultView {
	v := status.ResultView{Project: r.Project, Agent: r.Agent, Outcome: r.Outcome, Class: r.Class, Counted: r.Counted, Why: r.Why, Failures: r.Failures,
		Threshold: r.Threshold, Tripped: r.Tripped, Paused: status.YesOrNo(r.Paused()), Known: r.Known, Problems: append([]string{}, r.Problems...),
		FlagMissing: r.Flag.State != incident.FlagThere}
	if !r.Paused() && r.Flag.State != incident.FlagGone {
		v.Paused = status.Unknown
	}
	if r.Incident != nil {
		v.Incident = &status.IncidentName{ID: r.Incident.ID, Name: r.Incident.Name(), Issue: r.Incident.Issue.URL}
	}
	return v
}

// clockSkew is how far in the future a time may lie. A reporter may round its time up to a whole second, and NTP keeps the
// clocks of two machines far less than another second apart. More would let a run from before a resume count after it.
const clockSkew = 2 * time.Second

// ParseTime reads the time of a result, which is in RFC 3339. An empty text is the zero time: unknown.
func ParseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	_, offset := t.Zone()
	quoted := strconv.QuoteToGraphic(redact.Line(text, 80))
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%s %s: write it as RFC 3339, e.g. 2026-11-23T07:04:05Z", name, quoted)
	case (time.Duration(offset) * time.Second).Abs() >= 24*time.Hour: // no JSON could be written of it
		return time.Time{}, fmt.Errorf("%s %s: its offset must be less than 24 hours; write it like 2026-11-23T07:04:05Z", name, quoted)
	case tracker.PossibleTime(t).IsZero():
		return time.Time{}, fmt.Errorf("%s %s: must lie between 1970 and now; leave it out if it is not known", name, quoted)
	}
	return t, nil
}

// MaskRunID masks the secrets in a run id. The same id stays the same, and different ids stay different.
func MaskRunID(redactor *redact.Redactor, id string) string {
	const longest = 200
	safe := redactor.Line(id, longest)
	if safe == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	mark := hex.EncodeToString(sum[:6]) + " " // before it: what follows "[masked]" would be masked, too
	return mark + redact.CutLine(safe, longest-len(mark))
}

// EndOf returns when a run ended whose reporter does not say it: now, or when it began by a clock that is ahead, see [CheckResult].
func EndOf(started, now time.Time) time.Time {
	if started.After(now) {
		return started
	}
	return now
}

// CheckResult returns why a result cannot be true.
func CheckResult(r store.Result, now time.Time) error {
	// Names of agents are part of titles and tables, as project ids are.
	if pause.CheckID(r.Agent) != nil {
		return fmt.Errorf("agent %.60q: use 1 to 128 letters, digits, '.', '_' and '-', and begin with a letter, a digit or '_'", r.Agent)
	}
	if len(r.RunID) > 200 || r.RunID != redact.Line(r.RunID, 200) {
		return fmt.Errorf("run id %.60q: use at most 200 bytes of printable text on one line, with single blanks between words", r.RunID)
	}
	for _, t := range []struct {
		name string
		time.Time
	}{{"started", r.Started}, {"finished", r.Finished}} {
		if t.After(now.Add(clockSkew)) {
			return fmt.Errorf("%s %s is in the future (it is %s now): check the clock of the machine that reports it",
				t.name, t.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	if !r.Started.IsZero() && !r.Finished.IsZero() && r.Finished.Before(r.Started) {
		return fmt.Errorf("finished %s is before started %s", r.Finished.UTC().Format(time.RFC3339), r.Started.UTC().Format(time.RFC3339))
	}
	return nil
}

// Record stores a result, with times by the clock of this host. If it trips the breaker, Record writes the flag and opens the issue. Without an error the
// result is on disk; what failed after that is in Problems.
func (b *Bot) Record(ctx context.Context, r store.Result) (Recorded, error) {
	out, err := b.Count(ctx, r)
	if err == nil {
		b.Follow(ctx, &out)
	}
	return out, err
}

// Count is the part of [Bot.Record] that stores the result. Without an error [Bot.Follow] does the rest.
func (b *Bot) Count(ctx context.Context, r store.Result) (Recorded, error) {
	if err := CheckResult(r, b.env.Now()); err != nil {
		return Recorded{}, err
	}
	if err := b.recordWaiting(ctx, r.Project); err != nil {
		return Recorded{}, err
	}
	return b.countResult(ctx, r.Shifted(b.offset()), b.limits(r.Project, r.Settings))
}

// offset is by how much the clock of the state is ahead of that of this host. What a host says of times is shifted by it as soon as it is
// to be stored: nothing else is by a host's clock.
func (b *Bot) offset() time.Duration {
	if b.store.fleet == nil {
		return 0
	}
	return b.now().Sub(b.env.Now())
}

// countResult stores a result by the clock of the state; [Bot.Follow] does what follows from it.
func (b *Bot) countResult(ctx context.Context, r store.Result, l store.Limits) (Recorded, error) {
	out := Recorded{Project: r.Project, Agent: r.Agent}
	err := b.storeResult(ctx, r, l, &out)
	if err == nil {
		b.logResult(r, out.Answer)
		out.addProblem(b.markKnown(ctx, r.Project))
	}
	return out, err
}

// Follow escalates a trip, which may take as long as Gitea does, and finds the incident that is open after a stored result.
func (b *Bot) Follow(ctx context.Context, out *Recorded) {
	switch {
	case out.Opened != nil:
		fault.Point(ctx, "tripped")
		b.trip(ctx, out)
	case out.Answer.Incident != "":
		if out.Tripped { // a repeated report: the first one may not have come as far as the flag
			out.Flag = b.rec.Look(ctx, out.Project)
		}
		found, err := b.store.Incidents(ctx, out.Answer.Incident)
		out.addProblem(err)
		views, err := incident.View(ctx, b.store, found)
		out.addProblem(err)
		for _, i := range views.List {
			out.setIncident(i)
			out.setIssue(i.Issue)
		}
	}
	for _, p := range out.Problems {
		b.log.Warn("left to the next sweep", "project", out.Project, "err", p)
	}
}

// addProblem adds an error after the result was stored. Returned as an error it would make the caller record the result
// again.
func (r *Recorded) addProblem(err error) {
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
}

func (r *Recorded) setIncident(i incident.Incident) {
	if i.IsOpen() {
		r.Incident = &i
	}
}

// setIssue sets the issue that carries the incident: its own, or that of another one of the same cause.
func (r *Recorded) setIssue(issue tracker.IssueRef) {
	if r.Incident != nil {
		r.Incident.Issue = issue
	}
}

// storeResult first notices a resume that no sweep has noticed yet, so that the result counts after it. If that fails,
// it stores the result anyway.
func (b *Bot) storeResult(ctx context.Context, r store.Result, l store.Limits, out *Recorded) (err error) {
	// Without a flag, only a project that the state has as paused can have been resumed.
	if out.Flag = b.rec.LookForResult(ctx, r.Project); out.Flag.State == incident.FlagGone {
		idle := false
		if out.Answer, idle, err = b.store.RecordIfIdle(ctx, r, l); idle || err != nil {
			return err
		}
	}
	// A flag may be that of an incident which this result is about to open, see [Keep].
	if out.Flag.State != incident.FlagThere || out.Flag.Info.Incident != "" && l.FlagWritten.IsZero() {
		out.Flag, _, err = b.rec.Local(ctx, r.Project)
		out.addProblem(err)
	}
	out.Answer, err = b.store.Record(ctx, r, l)
	return err
}

// trip escalates the incident that a result has opened. If the project's repository is unknown, because of a mistake in
// the configuration, it only writes the flag; serve opens the issue once the mistake is corrected.
func (b *Bot) trip(ctx context.Context, out *Recorded) {
	t := escalate.Tripped{Incident: *out.Opened}
	var err error
	if b.knowsRepository(out.Project) {
		t, err = b.rec.Trip(ctx, *out.Opened)
	} else {
		t.Flag, _, err = b.rec.Local(ctx, out.Project)
	}
	out.addProblem(b.AdviseRestore(ctx, err))
	out.Flag = t.Flag
	out.setIncident(t.Incident)
	out.setIssue(t.Issue)
}

// escalate does what is due for one project; see trip for one whose repository is unknown.
func (b *Bot) escalate(ctx context.Context, project string) (err error) {
	if b.knowsRepository(project) {
		_, err = b.rec.Escalate(ctx, project)
	} else {
		_, _, err = b.rec.Local(ctx, project)
	}
	return err
}

func (b *Bot) knowsRepository(project string) bool {
	p, ok := b.cfg.Project(project)
	return !ok || p.Owner != "" && p.Repo != ""
}

func (b *Bot) logResult(r store.Result, a store.Answer) {
	if a.Known {
		b.log.Debug("result was recorded before", "project", r.Project, "agent", r.Agent, "run_id", r.RunID)
		return
	}
	of := []any{"project", r.Project, "agent", r.Agent, "failures", a.Failures, "threshold", a.Threshold}
	if a.Class != "" {
		of = append(of, "class", a.Class)
	}
	b.log.Info("result recorded", slices.Concat(of, []any{"outcome", r.Outcome, "counted", a.Counted})...)
	if a.Tripped {
		b.log.Warn("breaker tripped", slices.Concat(of, []any{"incident", a.Incident})...)
	}
}

func (b *Bot) limits(project string, kept store.Settings) store.Limits {
	return limits(b.cfg, project, kept, b.host)
}

// limits returns the limits of a project. Kept are its settings by the configuration with which the run began or its result was kept: they
// hold if this one does not name the project. A daemon that was not reloaded since may have an earlier one.
func limits(cfg *config.Config, project string, kept store.Settings, host string) store.Limits {
	p := cfg.ProjectOrDefault(project)
	s := cmp.Or(settings(cfg, project), kept, store.Settings{Threshold: p.Threshold, Resume: p.ResumeThreshold})
	return store.Limits{Threshold: s.Threshold, Resume: s.Resume, Repo: s.Repo, Instance: cfg.Instance, Host: host}
}

func settings(cfg *config.Config, project string) store.Settings {
	p, ok := cfg.Project(project)
	if !ok {
		return store.Settings{}
	}
	return store.Settings{Threshold: p.Threshold, Resume: p.ResumeThreshold, Repo: tracker.Repo{Server: cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}}
}

// OutcomeOf returns the outcome that an exit code has for a project.
func OutcomeOf(p config.Project, code int) string {
	switch {
	case code == 0:
		return store.Success
	case slices.Contains(p.IgnoreExitCodes, code):
		return store.Ignored
	}
	return store.Failure
}
