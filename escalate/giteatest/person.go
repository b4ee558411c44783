package giteatest

import (
	"fmt"
	"slices"
)

// Person acts as a user of Gitea's web pages: without HTTP, faults or checks of permissions. repo is "owner/name" and n
// is an issue's number. The methods panic on names and numbers that do not exist.
type Person struct {
	s *Server
	u *user
}

// As returns the user with this login as a Person.
func (s *Server) As(login string) *Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Person{s, s.mustUser(login)}
}

// Open opens an issue and returns its number.
func (p *Person) Open(repo, title, body string) (number int64) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.open(p.s.mustRepo(repo), p.u, title, body).number
}

// on calls f with an issue, holding the server's lock.
func (p *Person) on(repo string, n int64, f func(*issue)) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	i := p.s.mustRepo(repo).issue(n)
	if i == nil {
		panic(fmt.Sprintf("giteatest: no issue %s#%d", repo, n))
	}
	f(i)
}

// Close closes an issue.
func (p *Person) Close(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setClosed(i, p.u, true) })
}

// Reopen reopens a closed issue.
func (p *Person) Reopen(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setClosed(i, p.u, false) })
}

// CloseByCommit pushes a commit whose message closes an issue: the timeline gets a commit_ref, then a close.
func (p *Person) CloseByCommit(repo string, n int64, sha, message string) {
	p.on(repo, n, func(i *issue) {
		p.s.addCommit(i, p.u, sha, message)
		p.s.setClosed(i, p.u, true)
	})
}

// MentionInCommit pushes a commit whose message names an issue to a branch other than the default one: the timeline
// gets a commit_ref.
func (p *Person) MentionInCommit(repo string, n int64, sha, message string) {
	p.on(repo, n, func(i *issue) { p.s.addCommit(i, p.u, sha, message) })
}

// CloseInPull opens a pull request that closes an issue when merged: the timeline gets a pull_ref. merge merges it: the
// issue is closed, and the timeline gets only a close by the user who merged.
func (p *Person) CloseInPull(repo string, n int64) (merge func(by *Person)) {
	var ref *event
	p.on(repo, n, func(i *issue) {
		ref = p.s.addEvent(i, p.u, "pull_ref")
		ref.closes = true
	})
	return func(by *Person) {
		by.on(repo, n, func(i *issue) {
			ref.mergedAt = by.s.clock()
			by.s.setClosed(i, by.u, true)
		})
	}
}

// Comment comments on an issue and returns the comment's id.
func (p *Person) Comment(repo string, n int64, body string) (id int64) {
	p.on(repo, n, func(i *issue) { id = p.s.comment(i, p.u, body).id })
	return id
}

// EditComment edits any user's comment. Its author stays.
func (p *Person) EditComment(repo string, id int64, body string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	_, e := p.s.mustRepo(repo).event(id)
	if e == nil || e.kind != comment {
		panic(fmt.Sprintf("giteatest: no comment %d in %s", id, repo))
	}
	p.s.editComment(e, body)
}

// EditCommentAtOnce is like EditComment, but within the second in which the comment was written: the comment's times do not show the
// edit.
func (p *Person) EditCommentAtOnce(repo string, id int64, body string) {
	p.EditComment(repo, id, body)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	_, e := p.s.mustRepo(repo).event(id)
	e.updated = e.created
}

// EditBody edits the body of any user's issue.
func (p *Person) EditBody(repo string, n int64, body string) {
	p.on(repo, n, func(i *issue) { p.s.setBody(i, body) })
}

// EditTitle edits the title of any user's issue.
func (p *Person) EditTitle(repo string, n int64, title string) {
	p.on(repo, n, func(i *issue) { p.s.setTitle(i, p.u, title) })
}

// Delete deletes an issue. Its number is never used again.
func (p *Person) Delete(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.remove(i) })
}

// Lock locks an issue: only users with write access may comment.
func (p *Person) Lock(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setLocked(i, p.u, true) })
}

// Unlock unlocks an issue.
func (p *Person) Unlock(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setLocked(i, p.u, false) })
}

// SetLabels replaces the labels of an issue and creates those that the repository does not have.
func (p *Person) SetLabels(repo string, n int64, names ...string) {
	p.on(repo, n, func(i *issue) {
		for _, l := range slices.Clone(i.labels) {
			if !slices.Contains(names, l.name) {
				p.s.detachLabel(i, p.u, l)
			}
		}
		for _, name := range names {
			if slices.ContainsFunc(i.labels, func(l *label) bool { return l.name == name }) {
				continue
			}
			if ids := i.repo.labelIDs(name); len(ids) > 0 {
				p.s.attachLabel(i, p.u, i.repo.labelByID(ids[0]))
			} else {
				p.s.attachLabel(i, p.u, p.s.addLabel(&i.repo.labels, label{name: name, color: "ee0701"}))
			}
		}
	})
}

// Assign replaces the assignees of an issue.
func (p *Person) Assign(repo string, n int64, logins ...string) {
	p.on(repo, n, func(i *issue) {
		var us []*user
		for _, login := range logins {
			us = append(us, p.s.mustUser(login))
		}
		p.s.setAssignees(i, p.u, us)
	})
}

// Block makes issue n depend on issue by of the same repository: the API answers 412 to a request to close n while by
// is open. (POST dependencies, the API's own way, has no effect in Gitea 1.26.)
func (p *Person) Block(repo string, n, by int64) {
	p.on(repo, n, func(i *issue) {
		b := i.repo.issue(by)
		if b == nil {
			panic(fmt.Sprintf("giteatest: no issue %s#%d", repo, by))
		}
		i.blockers = append(i.blockers, b)
	})
}
