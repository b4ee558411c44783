package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
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
	Incident *incident.Incident // that is open after it, nil where none is
	Problems []string           // what could not be done at once; the sweep goes on trying
}

// Paused tells whether the project is paused after the result.
func (r Recorded) Paused() bool { return r.Incident != nil || r.Flag.State == incident.FlagThere }

// clockSkew is how far in the future a time may lie: clocks of two machines differ.
const clockSkew = 2 * time.Second

// CheckResult refuses a result that can't be true, before anything is written.
func CheckResult(r store.Result, now time.Time) error {
	if err := checkAgent(r.Agent); err != nil {
		return err
	}
	if len(r.RunID) > 200 || r.RunID != redact.Line(r.RunID, 200) {
		return fmt.Errorf("run id %q: at most 200 bytes of printable text on one line", redact.Line(r.RunID, 60))
	}
	for name, t := range map[string]time.Time{"started": r.Started, "finished": r.Finished} {
		if t.After(now.Add(clockSkew)) {
			return fmt.Errorf("%s %s is in the future (it is %s now): check the clock of the machine that reports it",
				name, t.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	if !r.Started.IsZero() && !r.Finished.IsZero() && r.Finished.Before(r.Started) {
		return fmt.Errorf("finished %s is before started %s", r.Finished.UTC().Format(time.RFC3339), r.Started.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkAgent holds agents to the rule of project ids: their names stand in titles, files and tables.
func checkAgent(name string) error {
	if pause.CheckID(name) != nil {
		return fmt.Errorf("agent %q: letters, digits, '.', '_' and '-', at most 128 of them, beginning with a letter, a digit or '_'", redact.Line(name, 60))
	}
	return nil
}

// Record takes a result in: it notices a resume first, stores the result, and at a trip writes the flag and opens the
// issue. The result is on disk when it returns without an error; what went wrong after that is in Problems.
func (b *Bot) Record(ctx context.Context, r store.Result) (Recorded, error) {
	if err := CheckResult(r, b.now()); err != nil {
		return Recorded{}, err
	}
	return b.recordChecked(ctx, r)
}

func (b *Bot) recordChecked(ctx context.Context, r store.Result) (Recorded, error) {
	out := Recorded{Project: r.Project, Agent: r.Agent}
	if err := b.storeResult(ctx, r, &out); err != nil {
		return out, err
	}
	b.logResult(r, out.Answer)
	switch {
	case out.Opened != nil:
		fault.Point(ctx, "tripped")
		b.log.Warn("breaker tripped", "project", r.Project, "agent", r.Agent, "failures", out.Failures, "threshold", out.Threshold, "incident", out.Answer.Incident)
		b.trip(ctx, &out)
	case out.Answer.Incident != "":
		if out.Tripped {
			// Its process may have died on the way; what it left undone is the sweep's, which looks before it writes.
			out.Flag = b.rec.Look(ctx, r.Project)
		}
		found, err := b.store.Incidents(ctx, out.Answer.Incident)
		if err != nil { // no error of the result, which is stored: who took it for one would record it again
			out.Problems = append(out.Problems, err.Error())
		}
		for _, i := range found {
			out.setIncident(i)
		}
	}
	for _, p := range out.Problems {
		b.log.Warn("left to the next sweep", "project", r.Project, "err", p)
	}
	return out, nil
}

func (r *Recorded) setIncident(i incident.Incident) {
	if i.IsOpen() {
		r.Incident = &i
	}
}

// trip escalates the incident that a result has opened. A project whose repository is not known (the configuration has a
// mistake there, which stops no run) gets its flag; the issue is left to serve, once the mistake is corrected.
func (b *Bot) trip(ctx context.Context, out *Recorded) {
	var t escalate.Tripped
	var err error
	if b.knowsRepository(out.Project) {
		t, err = b.rec.Trip(ctx, *out.Opened)
	} else {
		t.Incident = *out.Opened
		t.Flag, _, err = b.rec.Local(ctx, out.Project)
	}
	if err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	out.Flag = t.Flag
	out.setIncident(t.Incident)
}

func (b *Bot) knowsRepository(project string) bool {
	p, ok := b.cfg.Project(project)
	return !ok || p.Owner != "" && p.Repo != ""
}

// storeResult stores the result. A resume that nobody has noticed yet comes first: this result belongs to the next
// generation. If that cannot be told, the result is stored all the same.
func (b *Bot) storeResult(ctx context.Context, r store.Result, out *Recorded) (err error) {
	// Nothing follows from a flag that is not there for a project that has nothing to resume.
	if out.Flag = b.rec.Look(ctx, r.Project); out.Flag.State == incident.FlagGone {
		idle := false
		if out.Answer, idle, err = b.store.RecordIfIdle(ctx, r, b.limits(r.Project)); idle || err != nil {
			return err
		}
	}
	if out.Flag, _, err = b.rec.Local(ctx, r.Project); err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	out.Answer, err = b.store.Record(ctx, r, b.limits(r.Project))
	return err
}

// escalate does what is due for one project. One whose repository is not known gets its local steps, see trip.
func (b *Bot) escalate(ctx context.Context, project string) error {
	if !b.knowsRepository(project) {
		_, _, err := b.rec.Local(ctx, project)
		return err
	}
	_, err := b.rec.Escalate(ctx, project)
	return err
}

func (b *Bot) logResult(r store.Result, a store.Answer) {
	if a.Known {
		b.log.Debug("result known already", "project", r.Project, "agent", r.Agent, "run_id", r.RunID)
		return
	}
	b.log.Info("result recorded", "project", r.Project, "agent", r.Agent, "outcome", r.Outcome, "counted", a.Counted,
		"failures", a.Failures, "threshold", a.Threshold)
}

func (b *Bot) limits(project string) store.Limits {
	p := b.cfg.ProjectOrDefault(project)
	return store.Limits{Threshold: p.Threshold, Resume: p.ResumeThreshold, Instance: b.cfg.Instance, Host: b.host}
}

// OutcomeOf is what an exit code means for a project.
func OutcomeOf(p config.Project, code int) string {
	if code == 0 {
		return store.Success
	}
	for _, c := range p.IgnoreExitCodes {
		if c == code {
			return store.Ignored
		}
	}
	return store.Failure
}

// RecordSpooled takes in the results that could not be stored earlier. It returns how many, and what could not be taken in.
func (b *Bot) RecordSpooled(ctx context.Context) (int, error) {
	spooled, err := b.local.Spool().List()
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, e := range spooled {
		if e.Err != nil {
			errs = append(errs, fmt.Errorf("spooled result %s can't be read, it is left there: %w", e.File, e.Err))
			continue
		}
		_, err := b.recordChecked(ctx, e.Result) // checked when it was made; the clock may have been set since
		switch {
		case errors.Is(err, store.ErrConflict):
			b.log.Warn("spooled result contradicts the recorded one, it is dropped", "file", e.File, "err", err)
		case err != nil:
			errs = append(errs, fmt.Errorf("spooled result %s: %w", e.File, err))
			continue
		default:
			b.log.Info("spooled result taken in", "project", e.Result.Project, "run_id", e.Result.RunID)
		}
		n++
		errs = append(errs, e.Remove())
	}
	return n, errors.Join(errs...)
}

// RecordLost records a failure for every run whose process is gone without a result: it was killed together with adfbot.
func (b *Bot) RecordLost(ctx context.Context) (int, error) {
	runs, err := b.store.Running(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, run := range runs {
		if !b.local.Gone(run) {
			continue
		}
		// A result that was spooled a moment ago, after Intake looked: its process spools first and lets go then.
		if waits, err := b.spooled(run); waits || err != nil {
			errs = append(errs, err)
			continue
		}
		generation := run.Generation
		res := store.Result{
			Project: run.Project, Agent: run.Agent, RunID: run.RunID, Outcome: store.Failure, ExitCode: 137, Signal: "SIGKILL",
			Detail: "killed together with adfbot, no result was left", Host: run.Host, Started: run.Started, Finished: b.now(),
			Generation: &generation, Run: run.ID,
		}
		if res.Finished.Before(res.Started) {
			res.Started = res.Finished // the clock was set back
		}
		a, recorded, err := b.store.Lost(ctx, run, res, b.limits(run.Project))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.local.RemoveRun(run.ID)
		if !recorded {
			continue
		}
		n++
		b.log.Warn("run is gone without a result, it counts as a failure", "project", run.Project, "agent", run.Agent, "run_id", run.RunID)
		if a.Tripped {
			b.log.Warn("breaker tripped", "project", run.Project, "agent", run.Agent, "failures", a.Failures, "threshold", a.Threshold, "incident", a.Incident)
		}
	}
	return n, errors.Join(errs...)
}

// spooled tells whether the run's result waits in the spool.
func (b *Bot) spooled(run store.Run) (bool, error) {
	list, err := b.local.Spool().List()
	for _, e := range list {
		if r := e.Result; e.Err == nil && r.Project == run.Project && r.Agent == run.Agent && r.RunID == run.RunID {
			return true, nil
		}
	}
	return false, err
}

// Spool keeps a result that can't be stored, and says so in words for the person who reads stderr.
func Spool(cfg *config.Config, r store.Result, cause error) (string, error) {
	if r.RunID == "" {
		r.RunID = "spooled-" + pause.NewRandomID()
	}
	file, err := hostlocal.Beside(cfg.State).Spool().Add(r)
	if err != nil {
		return status.LostText(r), errors.Join(cause, err)
	}
	return fmt.Sprintf("the result is kept in %s and is taken in by the next adfbot command that can; do not record it again", file), cause
}
