package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// The parts of a test of the tracker, in their order.
const (
	TestOpens    = "open"
	TestLabels   = "label"
	TestComments = "comment"
	TestCloses   = "close"
	TestLists    = "list"
)

// TestResult is what came of a part of a test.
type TestResult struct {
	Part string // e.g. [TestOpens]
	Text string // what was done, or left out
	Err  error  // with advice; nil: it was done
}

// TestIssue opens an issue that says it is a test, labels it, comments on it and closes it. It then closes those that an earlier test of
// this installation has left open because it was killed, or because the answer to its first request was lost. It calls report after each
// part. What is refused does not keep it from the parts after it, except that without an issue there are none.
//
// Nothing is stored but what any request teaches: the account and the ids of labels. The issue has no [tracker.Marker], so a sweep takes it
// for a person's. command is the one that tests again, as people run it: the issue names it.
func (r *Reconciler) TestIssue(ctx context.Context, t Target, command string, report func(TestResult)) error {
	var errs []error
	done := func(part string, err error, text string) {
		if err != nil {
			errs, text = append(errs, err), ""
		}
		report(TestResult{part, text, err})
	}
	if r.trackerErr != nil {
		done(TestOpens, r.trackerErr, "")
		return errors.Join(errs...)
	}
	c := r.visitCache()
	issue, err := r.opt.Tracker.Create(ctx, t.Repo, tracker.NewIssue{Title: issuetext.TrialTitle,
		Body: issuetext.TrialBody(r.opt.Installation, r.opt.Instance, command)})
	if err = adviseTest(err); err != nil {
		if tracker.OutcomeOf(err) == tracker.Lost {
			err = fmt.Errorf("%w; the issue may be there nevertheless: the next test closes it", err)
		}
		done(TestOpens, err, "")
		return errors.Join(errs...)
	}
	done(TestOpens, r.saveAccount(ctx, c, tracker.Account{ID: issue.AuthorID, Login: issue.Author}), issue.URL+" as "+issue.Author)

	if len(t.Labels) == 0 {
		done(TestLabels, nil, "none are configured")
	} else {
		done(TestLabels, adviseTest(r.testLabels(ctx, c, issue.IssueRef, t.Labels)), strings.Join(t.Labels, ", "))
	}
	_, err = r.opt.Tracker.AddComment(ctx, issue.IssueRef, issuetext.TrialComment)
	done(TestComments, adviseTest(err), "written")

	ctx = context.WithoutCancel(ctx) // whoever interrupts a test wants no open issue
	done(TestCloses, r.closeTest(ctx, issue), issue.String())
	open, err := r.opt.Tracker.List(ctx, t.Repo, issue.Author, false)
	done(TestLists, adviseTest(err), "the issues of "+issue.Author)
	for _, left := range open {
		if left.Test == r.opt.Installation && left.Number != issue.Number {
			done(TestCloses, r.closeTest(ctx, left), left.String()+", which an earlier test has left open")
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) closeTest(ctx context.Context, issue tracker.Issue) error {
	_, err := r.opt.Tracker.SetOpen(ctx, issue.IssueRef, false)
	if err = adviseTest(err); err != nil {
		return fmt.Errorf("%w; %s stays open: close it, or let the next test do it", err, issue.URL)
	}
	return nil
}

// testLabels adds labels to an issue, and returns an error if one is missing then. Gitea ignores ids that it does not know: those in the
// state may be of labels that somebody has deleted.
func (r *Reconciler) testLabels(ctx context.Context, c *sweepCache, ref tracker.IssueRef, names []string) error {
	var missing []string
	for range 2 {
		ids, err := r.labelIDs(ctx, c, ref.Repo, names)
		if err != nil {
			return err
		}
		has, err := r.opt.Tracker.LabelIssue(ctx, ref, ids)
		if err != nil {
			return err
		}
		missing = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(has, name) })
		if len(missing) == 0 {
			return nil
		}
		if err := r.forgetLabels(ctx, c, ref.Repo); err != nil {
			return err
		}
	}
	return fmt.Errorf("the labels were accepted, but %s has none named %s: give the token's account write access to the repository's issues",
		ref, strings.Join(missing, ", "))
}

// adviseTest adds advice to an error that has none of its own. Nothing is retried here.
func adviseTest(err error) error {
	var te *tracker.Error
	if !errors.As(err, &te) {
		return err
	}
	fix := te.Fix()
	if now, retried := strings.CutSuffix(fix, "this is retried automatically"); retried {
		te.Advice = now + "then test again"
	} else if before, when, ok := strings.Cut(fix, "adfbot goes on by itself when"); ok {
		te.Advice = before + "test again when" + when
	}
	switch {
	case fix != "":
		return err
	case te.Status == http.StatusUnprocessableEntity || te.Status == http.StatusBadRequest:
		te.Advice = "Gitea takes the request for a mistake: see its log, and whether adfbot supports its version"
	default:
		te.Advice = "sign in to Gitea as the token's account, and see whether it can do that by hand"
	}
	return err
}
