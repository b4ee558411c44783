package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// create opens the incident's issue. Before the request the attempt is on disk, so that whoever comes after a crash knows
// that there may be an issue already.
func (r *Reconciler) create(ctx context.Context, i incident.Incident, p *pass, fresh bool) error {
	if err := r.waitOver(ctx, i); err != nil {
		return err
	}
	repo := r.targetRepo(i)
	if !fresh || !i.Create.At.IsZero() {
		found, ok, err := r.find(ctx, i, repo, p)
		if err != nil {
			return r.failed(ctx, i, err)
		}
		if ok {
			return r.adopted(ctx, i, found.IssueRef, p, stateOf(found))
		}
		// It is not there. Only now may another repository be taken, where the configuration has changed.
		repo = r.Settings.Target(i.Project).Repo
	}
	flag := r.Look(i.Project)
	if flag.State == incident.FlagGone && !i.FlagWritten.IsZero() {
		return errLater // resumed meanwhile: no issue for a project that runs again
	}
	return r.post(ctx, i, repo, p)
}

func (r *Reconciler) post(ctx context.Context, i incident.Incident, repo tracker.Repo, p *pass) error {
	var err error
	if i.Evidence, err = r.State.Evidence(ctx, i.ID); err != nil {
		return err
	}
	l := r.letter(i, repo)
	labels := r.labels(ctx, repo, r.Settings.Target(i.Project).Labels, &l, p)
	n := tracker.NewIssue{Title: r.Composer.Title(i), Labels: labels, Assignees: r.Settings.Target(i.Project).Assignees}
	if r.Settings.DueIn > 0 {
		n.Due = i.Opened.Add(r.Settings.DueIn)
	}
	var problem string
	n.Body, problem = r.Composer.Body(l)
	if problem != "" {
		r.Log.Warn("issue text is not as wished", "incident", i.Name(), "err", problem)
	}
	issue, err := r.attempt(ctx, i, repo, n)
	for err != nil && tracker.OutcomeOf(err) == tracker.Refused && r.lighten(&n, &l, err) {
		issue, err = r.attempt(ctx, i, repo, n)
	}
	r.step("created")
	var untried *notTried
	if errors.As(err, &untried) {
		return err
	}
	if err != nil {
		_, err2 := r.State.Change(context.WithoutCancel(ctx), i.ID, func(i *incident.Incident) {
			if tracker.OutcomeOf(err) != tracker.Lost {
				i.Create, i.Target = incident.Attempt{}, tracker.Repo{}
			} else {
				i.Create = r.begun() // a process that was stopped may have sent it long after it was noted
			}
			r.failInto(i, err)
		})
		return errors.Join(err, err2)
	}
	// The account comes first: an issue that is known and an account that is not would look like somebody else's issue.
	err = r.noteAccount(context.WithoutCancel(ctx), p, tracker.Account{ID: issue.AuthorID, Login: issue.Author})
	i, err2 := r.State.Change(context.WithoutCancel(ctx), i.ID, func(i *incident.Incident) {
		i.Issue, i.Create, i.Target = issue.IssueRef, incident.Attempt{}, tracker.Repo{}
		i.HeadedNotPaused = l.FlagError != ""
		worked(i)
	})
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	r.step("issue-noted")
	p.set(i, plan.IssueOpen)
	r.Log.Info("issue opened", "project", i.Project, "incident", i.Name(), "issue", issue.String(), "url", issue.URL, "missing", l.Missing)
	if len(issue.Labels) < len(n.Labels) {
		r.Log.Warn("Gitea left labels out: the token's account may not write to the repository, or the labels were deleted",
			"issue", issue.String(), "asked", len(n.Labels), "set", len(issue.Labels))
		p.setLabels(repo, nil)
		return r.State.SetLabels(ctx, repo, nil)
	}
	return nil
}

// attempt asks once for the issue. That it was asked for is on disk before. Whoever resumes takes no issue lock, so the
// incident may have ended since it was looked at, and be settled as one that never had an issue: then none is made.
func (r *Reconciler) attempt(ctx context.Context, i incident.Incident, repo tracker.Repo, n tracker.NewIssue) (tracker.Issue, error) {
	ctx, release, err := r.announce(ctx, func() error {
		now, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) {
			if i.IsOpen() {
				i.Create, i.Target = r.begun(), repo
			}
		})
		if err == nil && !now.IsOpen() {
			err = errLater
		}
		return err
	})
	if err != nil {
		return tracker.Issue{}, &notTried{err}
	}
	defer release()
	r.step("create-begun")
	return r.Gitea.Create(ctx, repo, n)
}

// announce notes that a request is about to be made, and returns when it may be. The note tells when the server can no
// longer be at it, so one that has grown old in the queue of requests is made again.
func (r *Reconciler) announce(ctx context.Context, note func() error) (held context.Context, release func(), err error) {
	noted := r.Now()
	if err := note(); err != nil {
		return nil, nil, err
	}
	held, release = r.Gitea.Reserve(ctx)
	if r.Now().Sub(noted) > r.Settings.Timeout/10 {
		if err := note(); err != nil {
			release()
			return nil, nil, err
		}
	}
	return held, release, nil
}

// notTried: nothing was asked of Gitea, because the state could not be written or the incident has ended.
type notTried struct{ error }

func (e *notTried) Unwrap() error { return e.error }

// lighten takes an optional part out of an issue that the server refused, and tells whether there was one to take out.
func (r *Reconciler) lighten(n *tracker.NewIssue, l *issuetext.IssueData, err error) bool {
	var te *tracker.Error
	if !errors.As(err, &te) {
		return false
	}
	switch te.Status {
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		switch {
		case len(n.Assignees) > 0:
			l.Missing = append(l.Missing, fmt.Sprintf("assignees %v: %s", n.Assignees, te.Detail))
			n.Assignees = nil
		case len(n.Labels) > 0 || !n.Due.IsZero():
			l.Missing = append(l.Missing, "labels and due date: "+te.Detail)
			n.Labels, n.Due = nil, time.Time{}
		default:
			return false
		}
		n.Body, _ = r.Composer.Body(*l)
	case http.StatusRequestEntityTooLarge:
		short := r.Composer.Short(*l)
		if len(short) >= len(n.Body) {
			return false
		}
		n.Body = short
	default:
		return false
	}
	return true
}

func (r *Reconciler) letter(i incident.Incident, repo tracker.Repo) issuetext.IssueData {
	l := issuetext.IssueData{
		Incident: i, Installation: r.Settings.Installation, Repo: repo, PauseFlag: r.Pause.FlagPath(i.Project),
		Mentions: r.Settings.Mentions, ResumeInGitea: r.Settings.Operable, CloseResumes: r.Settings.CloseResumes,
	}
	if i.FlagWritten.IsZero() {
		l.FlagError = i.FlagError
		if flag := r.Look(i.Project); flag.Err != nil {
			l.FlagError = flag.Err.Error()
		}
		l.FlagError = cmp.Or(l.FlagError, "the pause flag is not written yet")
	}
	if len(i.Lost) > 0 {
		l.Replaces = &i.Lost[len(i.Lost)-1]
	}
	return l
}

// labels returns the ids of the wanted labels. They are kept, so it costs nothing the next time; missing labels are made
// once. Labels are optional: what can't be had is named in the letter.
func (r *Reconciler) labels(ctx context.Context, repo tracker.Repo, names []string, l *issuetext.IssueData, p *pass) []int64 {
	if len(names) == 0 {
		return nil
	}
	ids, err := p.labelsOf(repo), error(nil)
	if !hasAll(ids, names) {
		ids, err = r.State.Labels(ctx, repo)
		if err == nil && !hasAll(ids, names) {
			ids, err = r.makeLabels(ctx, repo, names, ids)
		}
		if err == nil {
			p.setLabels(repo, ids)
		}
	}
	if err != nil {
		l.Missing = append(l.Missing, "labels: "+err.Error())
		r.Log.Warn("labels can't be had, the issue is opened without them", "repo", repo.String(), "err", err)
	}
	var out []int64
	for _, name := range names {
		if id, ok := ids[name]; ok {
			out = append(out, id)
		}
	}
	return out
}

func hasAll(ids map[string]int64, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { _, ok := ids[n]; return !ok })
}

// makeLabels holds a lock of its own: Gitea makes a second label of the same name without complaint.
func (r *Reconciler) makeLabels(ctx context.Context, repo tracker.Repo, names []string, have map[string]int64) (map[string]int64, error) {
	ctx, release, err := r.State.Claim(ctx, "labels/"+repo.String(), 2*r.Settings.Timeout)
	if err != nil {
		return have, err
	}
	defer release()
	if ids, err := r.State.Labels(ctx, repo); err == nil && hasAll(ids, names) {
		return ids, nil // another process made them while we waited
	}
	ids, err := r.Gitea.Labels(ctx, repo)
	if err != nil {
		return have, err
	}
	var errs []error
	for _, name := range names {
		if _, ok := ids[name]; ok {
			continue
		}
		id, err := r.Gitea.AddLabel(ctx, repo, name)
		if err != nil {
			errs = append(errs, err)
			if tracker.OutcomeOf(err) != tracker.Refused {
				break // the server is in trouble: the issue itself comes first
			}
			continue
		}
		ids[name] = id
	}
	keep := map[string]int64{}
	for _, name := range names {
		if id, ok := ids[name]; ok {
			keep[name] = id
		}
	}
	return ids, errors.Join(errors.Join(errs...), r.State.SetLabels(ctx, repo, keep))
}
