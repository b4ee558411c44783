package escalate

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
)

// The steps on an issue that exists.

// close comments on the issue of an incident that has ended, and closes it. It costs at most three requests: the issue is
// read first, because a person may have closed it or taken it over.
func (r *Reconciler) close(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	issue, is, err := r.readIssue(ctx, s.cache, i)
	if err != nil {
		return later, r.failed(ctx, i, err)
	}
	key := incident.ResumedKey(i)
	comment := func() string { return s.endComment(key) }
	if is == plan.IssueOpen || is == plan.IssueClosed && i.EndUntold() {
		if goesOn, err := r.carriesMore(ctx, i, issue); goesOn || err != nil {
			return later, err
		}
	}
	var textErr error // it does not keep the issue open
	if i.Leads() && is != plan.IssueLost {
		if err := r.writeMembers(ctx, s, issue); tracker.IsPermanent(err) {
			r.opt.Log.Warn("the issue does not say how it is with all that it carries", "issue", issue.String(), "err", err)
		} else {
			textErr = err
		}
	}
	switch is {
	case plan.IssueLost:
		r.opt.Log.Warn("issue is gone or no longer the bot's, it is left alone", "incident", i.Name(), "issue", i.Issue.String())
		return r.settleIssue(ctx, s, issue, is)
	case plan.IssueClosed:
		// A person closed it, or an earlier try of ours did. Only a comment in doubt is left to be settled.
		if i.EndUntold() {
			if p, err := r.commentOnce(ctx, s, i.Issue, key, comment()); p != complete || err != nil {
				return r.deferClosed(ctx, i, err)
			}
		}
		if textErr != nil {
			return r.deferClosed(ctx, i, textErr)
		}
		return r.settleIssue(ctx, s, issue, is)
	}
	if i.IssueClosed { // somebody has reopened it
		if _, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.IssueClosed = false }); err != nil {
			return later, err
		}
	}
	p, commentErr := r.commentOnce(ctx, s, i.Issue, key, comment())
	if !goesOn(commentErr) {
		return later, r.failed(ctx, i, commentErr)
	}
	closed, err := r.opt.Tracker.SetOpen(ctx, i.Issue, false)
	fault.Point(ctx, "closed")
	if err != nil {
		return later, r.failed(ctx, i, errors.Join(commentErr, err))
	}
	s.cache.setState(i, plan.IssueClosed)
	r.opt.Log.Info("issue closed", "project", i.Project, "incident", i.Name(), "issue", closed.String(), "url", issue.URL)
	if err := errors.Join(commentErr, textErr); p != complete || err != nil {
		return r.deferClosed(ctx, i, err)
	}
	return r.settleIssue(ctx, s, issue, plan.IssueClosed)
}

// deferClosed leaves to a later try what is missing in the closed issue of an incident that has ended. err is why; nil: it is too early.
func (r *Reconciler) deferClosed(ctx context.Context, i incident.Incident, err error) (progress, error) {
	_, err2 := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
		if i.IssueClosed = true; err != nil {
			r.countFailure(i, err)
		}
	})
	return later, errors.Join(err, err2)
}

// settleIssue marks an incident as one with nothing left to do, unless another one has joined its issue meanwhile.
func (r *Reconciler) settleIssue(ctx context.Context, s *step, issue tracker.Issue, is plan.IssueState) (progress, error) {
	seen := s.incident.MemberIDs()
	err := r.saveDone(ctx, s.incident, func(i *incident.Incident) {
		i.Settled = !slices.ContainsFunc(i.MemberIDs(), func(id string) bool { return !slices.Contains(seen, id) && !issue.Carries(id) })
	})
	if err == nil {
		s.cache.setState(s.incident, is)
	}
	fault.Point(ctx, "settled")
	return complete, err
}

// begin delays the next try before a step writes to Gitea. If even that cannot be saved, the step must not write: what it did could
// not be saved either, and would be done twice.
func (r *Reconciler) begin(ctx context.Context, i incident.Incident) error {
	_, err := r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) { i.WaitFrom(r.opt.Now(), 2*r.opt.Timeout) })
	return err
}

// saveDone saves what a step has done and that nothing is wrong.
func (r *Reconciler) saveDone(ctx context.Context, i incident.Incident, mark func(*incident.Incident)) error {
	_, err := r.opt.State.Change(context.WithoutCancel(ctx), i.ID, func(i *incident.Incident) { mark(i); clearRetry(i) })
	return err
}

// reopen opens the issue of a project that is still paused, and says why. That it was begun is on disk first, so that a crash
// neither repeats the comment nor forgets one of the three times.
func (r *Reconciler) reopen(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	closed, err := r.confirmState(ctx, plan.IssueClosed, s)
	if !closed {
		return replan, err
	}
	flag := s.flag
	if r.opt.Fleet == nil {
		flag = r.Look(ctx, i.Project)
	}
	if removed, err := r.removedMeanwhile(ctx, i, flag); removed && !s.othersOpen() || err != nil || flag.State == incident.FlagUnknown {
		return later, err
	}
	if i.ReopenPending {
		err = r.begin(ctx, i)
	} else {
		i, err = r.opt.State.Change(ctx, i.ID, func(i *incident.Incident) {
			i.ReopenPending, i.ReopenQuiet = true, s.action.Quiet
			i.Reopens = append(i.Reopens, r.opt.Now())
			i.Reopens = i.Reopens[max(len(i.Reopens)-plan.MaxReopens-1, 0):]
			i.Members = slices.Clone(i.Members)
			for n, m := range i.Members {
				if m.Shown != incident.NotShown {
					i.Members[n].Shown = incident.ShownBefore
				}
			}
		})
		s.incident = i
	}
	if err != nil {
		return later, err
	}
	fault.Point(ctx, "reopen-begun")
	p, commentErr := complete, error(nil)
	if !s.action.Quiet {
		key := incident.ReopenedKey(i)
		p, commentErr = r.commentOnce(ctx, s, i.Issue, key, r.stillPaused(ctx, s, key))
	}
	if !goesOn(commentErr) {
		return later, r.failed(ctx, i, commentErr)
	}
	if _, err := r.opt.Tracker.SetOpen(ctx, i.Issue, true); err != nil {
		return later, r.failed(ctx, i, errors.Join(commentErr, err))
	}
	fault.Point(ctx, "reopened")
	s.cache.setState(i, plan.IssueOpen)
	r.opt.Log.Info("issue reopened, the project is still paused", "project", i.Project, "incident", i.Name(), "issue", i.Issue.String())
	if p != complete || commentErr != nil {
		return r.deferOrFail(ctx, i, p, commentErr) // confirmReopened settles it
	}
	return changed, r.saveDone(ctx, i, endReopening)
}

func endReopening(i *incident.Incident) { i.ReopenPending = false }

// confirmReopened ends a reopening that has happened. A comment whose answer was lost is settled first.
func (r *Reconciler) confirmReopened(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	key := incident.ReopenedKey(i)
	if i.Comments[key].InDoubt() {
		if p, err := r.commentOnOpen(ctx, s, key, r.stillPaused(ctx, s, key)); p != complete || err != nil {
			return p, err
		}
	}
	return changed, r.saveDone(ctx, i, endReopening)
}

// commentOnOpen writes a comment on the incident's issue if that is still open.
func (r *Reconciler) commentOnOpen(ctx context.Context, s *step, key, body string) (progress, error) {
	if open, err := r.confirmState(ctx, plan.IssueOpen, s); !open {
		return replan, err
	}
	p, err := r.commentOnce(ctx, s, s.incident.Issue, key, body)
	return r.deferOrFail(ctx, s.incident, p, err)
}

// announcePaused corrects an issue that is headed NOT PAUSED.
func (r *Reconciler) announcePaused(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	key := incident.PausedKey(i)
	if p, err := r.commentOnOpen(ctx, s, key, issuetext.NowPausedComment(key, i, r.opt.Dir.FlagPath(i.Project))); p != complete || err != nil {
		return p, err
	}
	return complete, r.saveDone(ctx, i, func(i *incident.Incident) { i.HeadedNotPaused = false })
}

// announceUnpaused says once that a host of the fleet cannot write the flag.
func (r *Reconciler) announceUnpaused(ctx context.Context, s *step) (progress, error) {
	key := incident.UnpausedKey(s.incident, s.action.Host.ID)
	return r.commentOnOpen(ctx, s, key, issuetext.UnpausedComment(key, s.incident, s.action.Host))
}

// announcePausedThere corrects that.
func (r *Reconciler) announcePausedThere(ctx context.Context, s *step) (progress, error) {
	key := incident.PausedThereKey(s.incident, s.action.Host.ID)
	return r.commentOnOpen(ctx, s, key, issuetext.PausedThereComment(key, s.incident, s.action.Host))
}

// leaveOpen says once that the bot leaves an issue open which a person reopened after its incident had ended.
func (r *Reconciler) leaveOpen(ctx context.Context, s *step) (progress, error) {
	key := incident.LeftOpenKey(s.incident)
	if p, err := r.commentOnOpen(ctx, s, key, issuetext.LeftOpenComment(key, s.incident)); p != complete || err != nil {
		return p, err
	}
	return complete, r.saveDone(ctx, s.incident, func(i *incident.Incident) { i.LeftOpen = true })
}

// closeDuplicate closes a second issue of an incident. Both are read first: the one that stays must be open while the
// project is paused.
func (r *Reconciler) closeDuplicate(ctx context.Context, s *step) (progress, error) {
	i, duplicate := s.incident, s.action.Issue
	other := i
	other.Issue = duplicate
	_, is, err := r.readIssue(ctx, s.cache, other)
	if err != nil {
		return later, r.failed(ctx, i, err)
	}
	if is != plan.IssueOpen {
		return later, nil
	}
	if i.IsOpen() {
		if open, err := r.confirmState(ctx, plan.IssueOpen, s); !open {
			return replan, err
		}
	}
	key := incident.DuplicateKey(i, duplicate)
	// Once it is closed nobody looks at it again, so a comment whose answer was lost is settled before. A refused one is not
	// waited for.
	if p, err := r.commentOnce(ctx, s, duplicate, key, issuetext.DuplicateComment(key, i.Issue)); p != complete || err != nil {
		return r.deferOrFail(ctx, i, p, err)
	}
	if _, err := r.opt.Tracker.SetOpen(ctx, duplicate, false); err != nil {
		return later, r.failed(ctx, i, err)
	}
	r.opt.Log.Info("duplicate issue closed", "project", i.Project, "incident", i.Name(), "issue", duplicate.String(), "kept", i.Issue.String())
	return complete, r.saveComment(context.WithoutCancel(ctx), i.ID, incident.DuplicateClosedKey(i, duplicate), r.newComment(true))
}

const lostAgain = "its issues disappear again and again, or lose the hidden last line by which adfbot knows them: find out who or what does that, " +
	"perhaps another bot; until then each further issue comes later, up to a day, and adfbot sweep opens it at once"

// replace takes leave of an incident's issue that is lost; another one is created by the next step.
func (r *Reconciler) replace(ctx context.Context, s *step) (progress, error) {
	_, err := r.opt.State.Change(ctx, s.incident.ID, func(i *incident.Incident) {
		i.Lost, i.Issue = append(i.Lost, i.Issue), tracker.IssueRef{}
		i.ReopenPending, i.IgnoredClosing, i.IgnoredClosed, i.Title = false, 0, time.Time{}, "" // of the lost one
		for n := range i.Members {
			i.Members[n].Shown = incident.NotShown
		}
		if n := len(i.Lost); n > 1 { // somebody takes them away on purpose: do not race with them
			i.WaitFrom(r.opt.Now(), plan.ReplaceWait(n))
			i.LastErr = lostAgain
		}
	})
	return changed, err
}

// nameFlag names the pause flag's path in the text of the issue, where the pause directory has moved since it was written.
// All else in the text stays as people may have left it. A refusal for good is no reason to try for ever.
func (r *Reconciler) nameFlag(ctx context.Context, s *step) (progress, error) {
	i := s.incident
	open, err := r.confirmState(ctx, plan.IssueOpen, s)
	if !open {
		return replan, err
	}
	if err := r.begin(ctx, i); err != nil {
		return later, err
	}
	path := r.opt.Dir.FlagPath(i.Project)
	err = r.opt.Tracker.EditText(ctx, i.Issue, func(t tracker.Text) tracker.Text {
		t.Body = issuetext.ReplacePath(t.Body, i.NamedFlag, path)
		return t
	})
	switch {
	case tracker.IsPermanent(err) && !tracker.IsStatus(err, http.StatusConflict):
		r.opt.Log.Warn("cannot name the pause flag's new path in the issue", "issue", i.Issue.String(), "flag", path, "err", err)
	case err != nil:
		return later, r.failed(ctx, i, err)
	}
	return complete, r.saveDone(ctx, i, func(i *incident.Incident) { i.NamedFlag = "" })
}
