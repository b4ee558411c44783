package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// Where gitea.url has changed, what is known of the Gitea goes with it: which comments were read and carried out, and the ids of operators and
// of the bot's accounts. At another Gitea the same ids are those of other people and comments.

const (
	// askIssues is how many issues are looked at at a new address.
	askIssues = 5
	// askAtMost is how many are looked for: some may have been deleted.
	askAtMost = 20
	// amongIncidents is among how many incidents they are looked for.
	amongIncidents = 500
)

// sameGitea reports whether the Gitea at gitea.url is the one that had the address was: the issues there are the bot's, with the same numbers
// and ids. A repository that another Gitea has taken over has issues with other ids, or of another author. It is an error if that is not known:
// nobody answers, or something else than a Gitea in which the token may read issues. Issues may have been deleted: where there is none to look
// at, and the bot's account may be the one that it was, nothing tells, and told is false.
func (b *Bot) sameGitea(ctx context.Context, was string) (same, told bool, err error) {
	accounts, err := b.store.Accounts(ctx, was)
	if err != nil {
		return false, false, err
	}
	isOurs := func(id int64) bool {
		return slices.ContainsFunc(accounts, func(a tracker.Account) bool { return a.ID == id })
	}
	list, err := b.store.IncidentPage(ctx, store.IncidentFilter{Limit: amongIncidents})
	if err != nil {
		return false, false, err
	}
	var asked []tracker.IssueRef
	var unknown, hidden error
	others := 0
	for _, i := range list {
		if i.Issue.IsZero() || i.Issue.Repo.Server != was || slices.Contains(asked, i.Issue) || len(asked) == askAtMost || others == askIssues {
			continue
		}
		asked = append(asked, i.Issue)
		issue, err := b.issueAt(ctx, i)
		switch {
		case isMissing(err):
			hidden = err
		case err != nil:
			unknown = err
		case issue.ID == i.Issue.ID && issue.Marker.Installation == b.store.Installation() && isOurs(issue.AuthorID):
			return true, true, nil
		case issue.ID == i.Issue.ID && issue.Marker.IsZero() && isOurs(issue.AuthorID): // somebody has replaced its text: as if it was deleted
		case issue.ID != 0:
			others++
		}
	}
	switch {
	case len(asked) == 0, unknown != nil, others > 0:
		return false, others > 0, unknown
	case hidden != nil:
		return false, false, hidden
	}
	me, err := b.gitea.Me(ctx)
	if tracker.LacksScope(err) {
		return false, false, nil
	}
	return false, err == nil && !isOurs(me.ID), err
}

// issueAt returns the issue at gitea.url that has the number of an incident's at another address; the zero Issue if the Gitea there has none.
// The repository may have another name there by now, which its former ones lead to, or the configuration has.
func (b *Bot) issueAt(ctx context.Context, i incident.Incident) (tracker.Issue, error) {
	repo := i.Issue.Repo
	repo.Server = b.cfg.Gitea.URL
	issue, err := b.gitea.Get(ctx, repo, i.Issue.Number)
	for range maxRenames {
		path := movedTo(err)
		if path == "" || path == repo.String() {
			break
		}
		repo = b.repoOf(path)
		issue, err = b.gitea.Get(ctx, repo, i.Issue.Number)
	}
	configured, ok := b.configuredRepo(i.Project)
	if !ok || !isMissing(err) {
		return issue, err
	}
	if repo != configured {
		issue, err = b.gitea.Get(ctx, configured, i.Issue.Number)
	}
	if isMissing(err) { // so says a Gitea that hides all from the token's account, too
		return tracker.Issue{}, b.gitea.Readable(ctx, configured)
	}
	return issue, err
}

// configuredRepo returns the repository for the issues of a project, or one of another project where neither it nor gitea.repo names one.
func (b *Bot) configuredRepo(project string) (tracker.Repo, bool) {
	for _, p := range slices.Concat([]config.Project{b.cfg.ProjectOrDefault(project)}, b.cfg.Projects) {
		if p.Owner != "" && p.Repo != "" {
			return tracker.Repo{Server: b.cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}, true
		}
	}
	return tracker.Repo{}, false
}

func isMissing(err error) bool {
	return tracker.IsStatus(err, http.StatusNotFound) || tracker.IsStatus(err, http.StatusGone)
}

// movedFrom returns the address from where what is known of the Gitea has to be moved to gitea.url, or "".
func (b *Bot) movedFrom(ctx context.Context) (string, error) {
	from, err := b.store.Meta(ctx, metaMovedFrom)
	if err == nil && from == "" { // else no sweep has had an answer at the address between
		from, err = b.store.Meta(ctx, metaURL)
	}
	if from == b.cfg.Gitea.URL {
		from = ""
	}
	return from, err
}

// noteMove notes, when gitea.url has changed, what [Bot.movedFrom] returns.
func (b *Bot) noteMove(ctx context.Context) error {
	from, err := b.movedFrom(ctx)
	if err != nil {
		return err
	}
	return b.store.SetMeta(ctx, metaMovedFrom, from)
}

// planMove returns why nothing can be planned at a changed gitea.url, if that is so: a plan moves nothing there.
func (b *Bot) planMove(ctx context.Context) error {
	if b.cannotAsk() {
		return nil
	}
	from, err := b.movedFrom(ctx)
	if err != nil || from == "" {
		return err
	}
	same, _, err := b.sameGitea(ctx, from)
	if err != nil {
		return b.moveUnknown(from, err)
	}
	if same {
		return fmt.Errorf("gitea.url was changed from %s to %s since the last sweep, and what is known of the issues is moved by the next one: nothing is planned "+
			"there before", from, b.cfg.Gitea.URL)
	}
	return nil
}

func (b *Bot) moveUnknown(from string, err error) error {
	return fmt.Errorf("gitea.url was changed, and it is not known yet whether %s is the same Gitea as %s: %w", b.cfg.Gitea.URL, from, err)
}

// cannotAsk reports whether this process may send no request at all to gitea.url, which is reported elsewhere: the address is not confirmed,
// or the token or the certificates cannot be read.
func (b *Bot) cannotAsk() bool {
	return b.gitea == nil || b.accessError() != nil || slices.ContainsFunc(b.refused, func(p place) bool { return p.meta == metaURL })
}

// mayAskActions reports whether runs may be read and workflows be changed at gitea.url: what is known of them is of the Gitea there. It asks
// nothing: a sweep calls followMove first.
func (b *Bot) mayAskActions(ctx context.Context) (bool, error) {
	if b.cannotAsk() {
		return false, nil
	}
	used, err := b.store.Meta(ctx, metaURL)
	if err != nil || used != b.cfg.Gitea.URL {
		return false, err
	}
	from, err := b.store.Meta(ctx, metaMovedFrom)
	return err == nil && from == "", err
}

// followMove does what noteMove has noted. With an error, nothing must be read at the address.
func (b *Bot) followMove(ctx context.Context) error {
	if b.cannotAsk() {
		return nil
	}
	used, err := b.store.Meta(ctx, metaURL)
	if err == nil && used != b.cfg.Gitea.URL { // what is known may have been moved away from here
		err = fmt.Errorf("gitea.url is %s here, but another process uses the state with %s now: correct the one that is wrong, and reload the daemon",
			b.cfg.Gitea.URL, used)
	}
	if err != nil {
		return err
	}
	from, err := b.store.Meta(ctx, metaMovedFrom)
	if err != nil || from == "" {
		return err
	}
	same, told, err := b.sameGitea(ctx, from)
	if err != nil {
		return b.moveUnknown(from, err)
	}
	if same {
		err = b.store.MoveServer(ctx, from, b.cfg.Gitea.URL)
	} else {
		err = b.forgetActions(ctx, from, told)
	}
	if err != nil {
		return err
	}
	b.log.Info("gitea.url was changed", "was", from, "is", b.cfg.Gitea.URL, "same_gitea", same)
	return b.store.SetMeta(ctx, metaMovedFrom, "")
}

// forgetActions forgets how far the runs of workflows were read: ids are those of other runs at another Gitea, and what happened before adfbot
// looks there for the first time does not count. If told, nothing there was disabled by adfbot either. Without an issue that tells, this may
// be the same Gitea, and a workflow would stay disabled.
func (b *Bot) forgetActions(ctx context.Context, was string, told bool) error {
	ctx, release, err := b.store.claims.Claim(ctx, workflowsClaim, workflowWait)
	if err != nil {
		return err
	}
	defer release()
	ids, err := b.store.KnownProjects(ctx)
	if err != nil {
		return err
	}
	for _, p := range b.cfg.Projects {
		ids = append(ids, p.ID)
	}
	elsewhere, err := b.otherReaders(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.AppendSeq(ids, maps.Keys(elsewhere)) {
		if doc, err := b.store.Meta(ctx, runsKey+id); err != nil {
			return err
		} else if doc == "" {
			continue
		}
		if err := b.store.SetMeta(ctx, runsKey+id, ""); err != nil {
			return err
		}
	}
	others, err := b.store.Meta(ctx, otherGiteasKey)
	if err != nil {
		return err
	}
	number, _ := strconv.Atoi(others) // nothing is there before the first time
	if err := b.store.SetMeta(ctx, otherGiteasKey, strconv.Itoa(number+1)); err != nil {
		return err
	}
	disabled, err := b.DisabledWorkflows(ctx)
	if err != nil || !told || len(disabled) == 0 {
		return err
	}
	for id, own := range disabled {
		b.log.Warn("a workflow that adfbot disabled stays disabled at the former Gitea: to let it run there, enable it on its page",
			"project", id, "gitea", was, "workflow", own.String())
	}
	return b.storeDisabled(ctx, map[string]status.Workflow{})
}

// sweepGitea has the reconciler sweep. As long as it is not known whose comments and issues those at a new gitea.url are, which is the
// error of followMove, it leaves them.
func (b *Bot) sweepGitea(ctx context.Context, opt escalate.SweepOptions, err error) (escalate.Report, error) {
	if err == nil {
		return b.rec.Sweep(ctx, opt)
	}
	rep, err2 := b.rec.SweepLocal(ctx)
	rep.Errors = append(rep.Errors, err.Error())
	return rep, errors.Join(err, err2)
}

// ConfirmURL accepts a changed gitea.url: whatever is known at the old address is looked up at the new one. Of another Gitea nothing is known:
// unfinished incidents get new issues there.
func (b *Bot) ConfirmURL(ctx context.Context) error {
	was, err := b.store.Meta(ctx, metaURL)
	if err != nil || was == b.cfg.Gitea.URL {
		return err
	}
	if b.gitea == nil || b.accessError() != nil {
		return b.accessError()
	}
	same, told, err := b.sameGitea(ctx, was)
	if err != nil {
		return fmt.Errorf("the new address is not confirmed; give the command again once Gitea answers: it is not known whether %s is the same Gitea as %s: %w",
			b.cfg.Gitea.URL, was, adviseConfirm(err))
	}
	move := b.store.MoveUnfinished
	if same {
		move = b.store.MoveServer
	} else if err := b.forgetActions(ctx, was, told); err != nil {
		return err
	}
	if err := move(ctx, was, b.cfg.Gitea.URL); err != nil {
		return err
	}
	if err := b.store.SetMeta(ctx, metaURL, b.cfg.Gitea.URL); err != nil {
		return err
	}
	b.refused = slices.DeleteFunc(b.refused, func(p place) bool { return p.meta == metaURL })
	b.rec.SetTrackerError(nil)
	b.log.Info("gitea.url confirmed", "was", was, "is", b.cfg.Gitea.URL, "same_gitea", same)
	return nil
}

// adviseConfirm corrects what an error says of the next attempt: nobody makes one but the person who confirms.
func adviseConfirm(err error) error {
	var te *tracker.Error
	if !errors.As(err, &te) {
		return err
	}
	corrected := *te
	corrected.Advice = strings.NewReplacer(
		"this is retried automatically", "adfbot does not retry this by itself", "adfbot goes on by itself when", "it can be confirmed when",
	).Replace(te.Fix())
	return &corrected
}
