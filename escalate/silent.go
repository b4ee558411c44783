package escalate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
)

// OpenSilent stores an incident of the kind [incident.Silent], with its evidence. It reports whether it did: what is known by now may
// speak against it, see [incident.SilentStore]. [Reconciler.Announce] opens its issue.
func (r *Reconciler) OpenSilent(ctx context.Context, i incident.Incident) (incident.Incident, bool, error) {
	evidence := i.Evidence
	i, opened, err := r.opt.State.OpenSilent(ctx, i)
	if err != nil || !opened {
		return i, false, err
	}
	attrs := []any{"project", i.Project, "incident", i.Name(), "since", i.Since}
	if !i.Began.IsZero() {
		attrs = append(attrs, "running_since", i.Began)
	}
	r.opt.Log.Warn("project does not report", attrs...)
	fault.Point(ctx, "silence-noted")
	i.Evidence = evidence
	return i, true, nil
}

// EndSilent ends such an incident, and reports whether that has to be announced. how is a sentence for people without its subject.
func (r *Reconciler) EndSilent(ctx context.Context, i incident.Incident, how string) (bool, error) {
	return r.endSilent(ctx, i.ID, how, r.opt.Now())
}

func (r *Reconciler) endSilent(ctx context.Context, id, how string, at time.Time) (bool, error) {
	i, ended, err := r.opt.State.EndSilent(ctx, id, how, at)
	if err != nil || !ended {
		return false, err
	}
	r.opt.Log.Info("incident has ended", "project", i.Project, "incident", i.Name(), "how", how)
	fault.Point(ctx, "silence-ended")
	return !i.Settled, nil
}

// endOverSilent ends a silent incident that has ended before, see [plan.EndSilent]. The server's clock tells when.
func (r *Reconciler) endOverSilent(ctx context.Context, _ *localVisit, a plan.Action) error {
	at := a.Ended
	if now := r.opt.Now(); at.After(now) {
		at = now
	}
	_, err := r.endSilent(ctx, a.Incident, a.EndedHow, at)
	return err
}

// closedSilent returns the open silent incidents whose issues are missing in a list of open issues that was made after them. Where a
// repository has moved, the next sweep finds them there.
func (c *sweepCache) closedSilent(silent []incident.Incident) (closed []incident.Incident) {
	for _, i := range silent {
		l, listed := c.open.get(i.Issue.Repo)
		_, open := l.ofNumber[i.Issue.Number]
		if i.IsOpen() && !i.Issue.IsZero() && listed && l.err == nil && i.Opened.Before(l.begun) && !open {
			closed = append(closed, i)
		}
	}
	return closed
}

// readClosedSilent reads whether the bot itself has closed the issues of open silent incidents that are not among the open ones. The state
// may be a copy from before: then the bot's comment is there. It asks once for as long as an issue is closed.
func (r *Reconciler) readClosedSilent(ctx context.Context, c *sweepCache, silent []incident.Incident) error {
	var errs []error
	for _, i := range c.closedSilent(silent) {
		is, asked := r.byOthers.get(keyOf(i))
		if !asked {
			var err error
			if is, err = r.readSilentClosing(ctx, c, i); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", i.Name(), err))
				continue
			}
		}
		c.setState(i, is)
	}
	return errors.Join(errs...)
}

func (r *Reconciler) readSilentClosing(ctx context.Context, c *sweepCache, i incident.Incident) (plan.IssueState, error) {
	_, is, err := r.readIssue(ctx, c, i)
	if err != nil || is == plan.IssueOpen {
		return is, err
	}
	if is == plan.IssueClosed {
		m, found, err := r.findOwnComment(ctx, c, i.Issue, incident.ResumedKey(i), time.Time{})
		if err != nil {
			return is, err
		}
		if found {
			c.closings.set(keyOf(i), incident.Closing{By: m.By, At: m.Created, Done: true})
			return is, nil
		}
	}
	r.byOthers.set(keyOf(i), is)
	return is, nil
}

// silentByOthers returns the ids of the open silent incidents whose issues others have closed, as far as that was asked. It forgets what was
// asked of others: their issues may be open again.
func (r *Reconciler) silentByOthers(c *sweepCache, s snapshot) (ids []string) {
	closed := map[issueKey]bool{}
	for _, state := range s.states {
		for _, i := range state.Silent {
			l, listed := c.open.get(i.Issue.Repo)
			_, open := l.ofNumber[i.Issue.Number]
			closed[keyOf(i)] = i.IsOpen() && (!listed || l.err != nil || !open) // this sweep may not have listed its repository
		}
	}
	r.byOthers.deleteFunc(func(k issueKey) bool { return !closed[k] })
	for k := range r.byOthers.all() {
		ids = append(ids, k.incident)
	}
	slices.Sort(ids)
	return ids
}

// Announce opens the issue of a silent incident that was just stored, or closes that of one that has just ended. What fails, or somebody
// else is at, is left to the next sweep.
func (r *Reconciler) Announce(ctx context.Context, i incident.Incident) error {
	v := &visit{project: i.Project, cache: r.visitCache(), wait: claimWait}
	if i.IsOpen() {
		v.fresh = &i
	}
	err := r.track(ctx, v)
	var claimed claimError
	if errors.As(err, &claimed) {
		return nil
	}
	return err
}

// rebuildSilent stores a silent incident that the state lost.
func (r *Reconciler) rebuildSilent(ctx context.Context, _ *localVisit, a plan.Action) error {
	i, opened, err := r.opt.State.OpenSilent(ctx, plan.RebuiltSilent(a))
	if err != nil || !opened {
		return err
	}
	r.opt.Log.Warn("incident rebuilt", "project", a.Project, "incident", i.Name(), "issue", i.Issue.String(), "why", a.Why)
	return nil
}
