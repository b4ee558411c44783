package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// A project of which results are expected is silent if none is counted in time. What decides is in the state: the last counted result, the
// last pause, and since when somebody looks without a gap. So it does not matter who looks.

const (
	silenceEvery = time.Minute
	// silenceGap is how long nobody may look before the bot counts as off: then time begins to count anew, as nothing may have run either.
	silenceGap = 3 * time.Minute

	metaSilence  = "silence"
	metaFirst    = "silence_projects"
	silenceClaim = "silence"
)

// silenceWatch is since when results are waited for without a gap, and when somebody looked last.
type silenceWatch struct {
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
}

// at returns the watch after a look. A clock that was set by more than the gap is one.
func (w silenceWatch) at(now time.Time) silenceWatch {
	if w.Since.IsZero() || w.Since.After(now) || now.Sub(w.Last).Abs() > silenceGap {
		w.Since = now
	}
	w.Last = now
	return w
}

// watchSilence looks for silent projects until stop is called.
func (b *Bot) watchSilence(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		var failed changes
		for ctx.Err() == nil {
			if err := b.lookForSilence(ctx); failed.is(err) && ctx.Err() == nil {
				b.log.Warn("looking for projects that do not report", "err", err)
			}
			sleep(ctx, silenceEvery)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// lookForSilence opens an incident for each project of which a result is overdue, and ends those that are over. In a fleet, one host at a
// time looks.
func (b *Bot) lookForSilence(ctx context.Context) error {
	expected, err := b.expectations(ctx)
	if err != nil {
		return err
	}
	open, err := b.openSilences(ctx)
	if err != nil || len(expected)+len(open) == 0 {
		return err
	}
	if b.store.fleet != nil {
		held, release, err := b.store.claims.Claim(ctx, silenceClaim, 0)
		if err != nil {
			return notClaimed(err)
		}
		defer release()
		ctx = held
		if open, err = b.openSilences(ctx); err != nil { // another host may have looked just now
			return err
		}
	}
	begun, now := time.Now(), b.now().UTC()
	watch, err := b.keepWatch(ctx, now)
	if err != nil {
		return err
	}
	first, err := b.firstLooks(ctx, expected, now)
	if err != nil {
		return err
	}
	var projects []string
	for id := range expected {
		projects = append(projects, id)
	}
	for id := range open {
		projects = append(projects, id)
	}
	reports, err := b.store.Reports(ctx, projects...)
	now = b.now().UTC() // what has just happened is not in the future
	errs := []error{err}
	var changed []incident.Incident
	unread := unreadRuns{turn: workflowTurn{b: b, first: map[tracker.Repo]runPage{}}}
	for id, i := range open {
		if how := silenceEnds(i, reports[id], !expected[id].IsZero()); err == nil && how != "" {
			announce, err := b.rec.EndSilent(ctx, i, how)
			if i.Ended = now; announce {
				changed = append(changed, i)
			}
			errs = append(errs, err)
		}
	}
	for id, e := range expected {
		if _, is := open[id]; !is && err == nil && !reports[id].Paused {
			i, opened, err := b.checkReports(ctx, id, e, reports[id], latest(watch.Since, first[id]), now, &unread)
			if opened {
				changed = append(changed, i)
			}
			errs = append(errs, err)
		}
	}
	for _, i := range changed {
		if time.Since(begun) < silenceEvery { // else the sweep does the rest
			errs = append(errs, b.rec.Announce(ctx, i))
		}
	}
	return errors.Join(errs...)
}

// notClaimed returns an error unless somebody else has the claim.
func notClaimed(err error) error {
	if errors.Is(err, incident.ErrClaimed) {
		return nil
	}
	return err
}

// expectations returns when the known projects have to report, of those that have to.
func (b *Bot) expectations(ctx context.Context) (map[string]config.Expect, error) {
	if !slices.ContainsFunc(b.cfg.Projects, func(p config.Project) bool { return !p.Expect.IsZero() }) {
		return nil, nil
	}
	ids, err := b.ProjectIDs(ctx)
	out := map[string]config.Expect{}
	for _, id := range ids {
		if p, _ := b.cfg.Project(id); !p.Expect.IsZero() {
			out[id] = p.Expect
		}
	}
	return out, err
}

// openSilences returns the open silent incidents, by project.
func (b *Bot) openSilences(ctx context.Context) (map[string]incident.Incident, error) {
	list, err := b.store.Silent(ctx, "")
	out := map[string]incident.Incident{}
	for _, i := range list {
		if i.IsOpen() {
			out[i.Project] = i
		}
	}
	return out, err
}

// keepWatch stores that somebody looks now.
func (b *Bot) keepWatch(ctx context.Context, now time.Time) (w silenceWatch, err error) {
	doc, err := b.store.Meta(ctx, metaSilence)
	if err != nil {
		return w, err
	}
	_ = json.Unmarshal([]byte(doc), &w) // what cannot be read is a gap
	w = w.at(now)
	stored, err := json.Marshal(w)
	if err != nil {
		return w, err
	}
	return w, b.store.SetMeta(ctx, metaSilence, string(stored))
}

// firstLooks returns when somebody looked at the expected projects for the first time: what was not known or not configured before is
// waited for from then on.
func (b *Bot) firstLooks(ctx context.Context, expected map[string]config.Expect, now time.Time) (map[string]time.Time, error) {
	doc, err := b.store.Meta(ctx, metaFirst)
	if err != nil {
		return nil, err
	}
	first := map[string]time.Time{}
	_ = json.Unmarshal([]byte(doc), &first) // what cannot be read is new
	changed := false
	for id := range expected {
		if at, known := first[id]; !known || at.After(now) { // a clock was wrong then
			first[id], changed = now, true
		}
	}
	if b.store.fleet == nil { // another host may have another configuration
		for id := range first {
			if _, is := expected[id]; !is {
				delete(first, id)
				changed = true
			}
		}
	}
	if !changed {
		return first, nil
	}
	stored, err := json.Marshal(first)
	if err != nil {
		return nil, err
	}
	return first, b.store.SetMeta(ctx, metaFirst, string(stored))
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// silenceEnds returns how an open silent incident ends by what is known now; "": it does not.
func silenceEnds(i incident.Incident, r store.Report, expected bool) string {
	switch {
	case !r.Recorded.IsZero() && !r.Recorded.Equal(i.LastResult):
		return "reported again"
	case r.Paused:
		return "was paused, and nothing is expected of a paused project"
	case !expected:
		return "is not expected to report any more, by the configuration"
	}
	return ""
}

// waitsSince returns since when a project has not reported although it may have: since its last result, or since the bot looks, a pause or
// the last silence is over. Times in the future come from a wrong clock.
func waitsSince(r store.Report, watched, now time.Time) time.Time {
	since := watched
	for _, t := range []time.Time{r.Finished, r.Resumed, r.SilenceEnded} {
		if t.After(since) && !t.After(now) {
			since = t
		}
	}
	return since
}

// checkReports opens an incident if a result of a project is overdue.
func (b *Bot) checkReports(ctx context.Context, project string, e config.Expect, r store.Report, watched, now time.Time, unread *unreadRuns) (
	i incident.Incident, opened bool, err error,
) {
	since := waitsSince(r, watched, now)
	deadline, err := e.Deadline(since)
	switch {
	case err != nil:
		return i, false, fmt.Errorf("%s: %w", project, err)
	case now.Before(deadline) || !b.knowsRepository(project) || b.unstored(project):
		return i, false, nil
	case b.store.fleet == nil && b.rec.Look(ctx, project).State == incident.FlagThere: // somebody paused it just now
		return i, false, nil
	}
	mayHave, began := unread.mayHave(ctx, project)
	if mayHave {
		return i, false, nil
	}
	runs, err := b.store.Runs(ctx, project, 3*store.EvidenceRuns)
	if err != nil {
		return i, false, err
	}
	i = incident.Incident{
		ID: pause.NewRandomID(), Kind: incident.Silent, Project: project, Agent: "project-meta", Instance: b.cfg.Instance, Opened: now,
		Since: since, LastResult: r.Recorded, Began: r.Began, Host: r.Host, Expect: e.String(),
	}
	if !r.Finished.IsZero() && !r.Finished.After(now) {
		i.Since = r.Finished
	}
	if i.Began.IsZero() && !began.IsZero() {
		i.Began, i.Host = began, actionsHost
	}
	for n, run := range slices.DeleteFunc(runs, func(run store.HistoryRun) bool { return !breaker.Counts(run.Agent) }) {
		if n == 0 {
			i.Agent = run.Agent
		}
		if n < store.EvidenceRuns {
			i.Evidence.Runs = append(i.Evidence.Runs, run.Run)
		}
	}
	return b.rec.OpenSilent(ctx, i)
}
