package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Whose issues are ours, and where they are now: logins and repositories get other names.

// accountIDs are the accounts whose issues are ours. There is at least one, or else an error: a bot that does not know its
// own account would take its own issues for somebody else's.
func (r *Reconciler) accountIDs(ctx context.Context, p *pass) (map[int64]bool, error) {
	var ids map[int64]bool
	var err error
	if p != nil {
		ids = p.ids()
	} else if ids, err = r.allAccounts(ctx); err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		return ids, nil
	}
	me, err := r.me(ctx, p)
	return map[int64]bool{me.ID: true}, err
}

func (r *Reconciler) allAccounts(ctx context.Context) (map[int64]bool, error) {
	accounts, err := r.State.Accounts(ctx, r.Settings.URL)
	if err != nil {
		return nil, err
	}
	ids := map[int64]bool{}
	for _, a := range accounts {
		ids[a.ID] = true
	}
	return ids, nil
}

// login is the account whose issues are listed: the configured one, else the one that wrote last, else the token's.
func (r *Reconciler) login(ctx context.Context, p *pass) (string, error) {
	if r.Settings.Login != "" {
		return r.Settings.Login, nil
	}
	accounts, err := r.State.Accounts(ctx, r.Settings.URL)
	if err != nil {
		return "", err
	}
	if len(accounts) > 0 {
		return accounts[len(accounts)-1].Login, nil
	}
	me, err := r.me(ctx, p)
	return me.Login, err
}

// maker is the account among whose issues one in doubt is looked for; "": among everybody's, because this installation
// has written under another account too, and that may be the one that made it.
func (r *Reconciler) maker(ctx context.Context, p *pass) (string, error) {
	login, err := r.login(ctx, p)
	if err != nil {
		return "", err
	}
	accounts, err := r.State.Accounts(ctx, r.Settings.URL)
	if slices.ContainsFunc(accounts, func(a tracker.Account) bool { return !strings.EqualFold(a.Login, login) }) {
		return "", err
	}
	return login, err
}

// me asks whose token this is, and keeps the answer.
func (r *Reconciler) me(ctx context.Context, p *pass) (tracker.Account, error) {
	me, err := r.Gitea.Me(ctx)
	if tracker.IsStatus(err, http.StatusForbidden) {
		err = fmt.Errorf("%w; or set gitea.login to the token's account, where the token may not have the scope read:user", err)
	}
	if err != nil {
		return tracker.Account{}, err
	}
	return me, r.noteAccount(ctx, p, me)
}

// noteAccount keeps an account as ours, and as the one that wrote last.
func (r *Reconciler) noteAccount(ctx context.Context, p *pass, a tracker.Account) error {
	if a.ID == 0 {
		return nil
	}
	p.know(map[int64]bool{a.ID: true})
	if p != nil && p.dry || p.writer() == a {
		return nil
	}
	accounts, err := r.State.Accounts(ctx, r.Settings.URL)
	if err != nil {
		return err
	}
	if n := len(accounts); n == 0 || accounts[n-1] != a {
		if err := r.State.AddAccount(ctx, r.Settings.URL, a); err != nil {
			return err
		}
	}
	p.setWriter(a)
	return nil
}

// list lists the bot's issues in a repository, and learns the account's id if no request has told it yet.
func (r *Reconciler) list(ctx context.Context, repo tracker.Repo, login string, all bool, p *pass) ([]tracker.Issue, error) {
	issues, err := r.Gitea.List(ctx, repo, login, all)
	if tracker.IsStatus(err, http.StatusNotFound) && r.Settings.Login == "" {
		// Gitea gives the same 404 for a login that nobody has: the account may have another name by now.
		me, err2 := r.me(ctx, p)
		if err2 != nil || strings.EqualFold(me.Login, login) {
			return nil, err
		}
		login = me.Login
		issues, err = r.Gitea.List(ctx, repo, login, all)
	}
	if err != nil {
		return nil, err
	}
	return issues, r.learn(ctx, login, issues, p)
}

func (r *Reconciler) learn(ctx context.Context, login string, issues []tracker.Issue, p *pass) error {
	accounts, err := r.State.Accounts(ctx, r.Settings.URL)
	if err != nil || len(issues) == 0 {
		return err
	}
	for _, a := range accounts {
		if strings.EqualFold(a.Login, login) {
			return nil
		}
	}
	for _, i := range issues {
		if i.AuthorID != 0 && strings.EqualFold(i.Author, login) {
			return r.noteAccount(ctx, p, tracker.Account{ID: i.AuthorID, Login: i.Author})
		}
	}
	return nil
}

// relocate follows an issue into the repository that the project's issues go to now, where the old name of the repository
// answers no more: it was renamed, and the operator has set the new name. The issue's id tells that it is the same.
func (r *Reconciler) relocate(ctx context.Context, p *pass, incidents []incident.Incident) error {
	var errs []error
	for n, i := range incidents {
		from, to := i.Issue.Repo, r.Settings.Target(i.Project).Repo
		if i.Issue.IsZero() {
			from = i.Target
		}
		old, ok := p.list(from)
		if now, listed := p.list(to); !ok || !listed || now.err != nil || from == to {
			continue
		}
		renamed := tracker.IsStatus(old.err, http.StatusMovedPermanently)
		if i.Issue.IsZero() && !renamed || !renamed && !tracker.IsStatus(old.err, http.StatusNotFound) {
			continue
		}
		if !i.Issue.IsZero() {
			issue, err := r.Gitea.Get(ctx, to, i.Issue.Number)
			if err != nil || issue.ID != i.Issue.ID {
				continue // the list's error is reported, and says what to do
			}
		}
		changed, err := r.State.Change(ctx, i.ID, func(i *incident.Incident) {
			if !i.Issue.IsZero() {
				i.Issue.Repo = to
			}
			if i.Target == from {
				i.Target = to
			}
			worked(i)
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		incidents[n] = changed
		r.Log.Info("the repository has another name now", "incident", i.Name(), "was", from.String(), "is", to.String())
	}
	return errors.Join(errs...)
}
