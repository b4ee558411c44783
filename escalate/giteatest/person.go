package giteatest

import (
	"fmt"
	"slices"
)

// Person acts as people do in Gitea's web pages: without HTTP, without faults, and without a question whether they may.
// Repositories are "owner/name", n is an issue's number. Names that do not exist panic.
type Person struct {
	s *Server
	u *user
}

// As returns the person with this login.
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

// on runs f with an issue, under the server's lock.
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

// Reopen opens a closed issue again.
func (p *Person) Reopen(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setClosed(i, p.u, false) })
}

// CloseByCommit pushes a commit whose message closes an issue: a commit_ref entry in the timeline, then a close.
func (p *Person) CloseByCommit(repo string, n int64, sha, message string) {
	p.on(repo, n, func(i *issue) { p.s.closeByCommit(i, p.u, sha, message) })
}

// Comment comments on an issue and returns the comment's id.
func (p *Person) Comment(repo string, n int64, body string) (id int64) {
	p.on(repo, n, func(i *issue) { id = p.s.comment(i, p.u, body).id })
	return id
}

// EditComment changes a comment, anyone's. Its author stays.
func (p *Person) EditComment(repo string, id int64, body string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	_, e := p.s.mustRepo(repo).event(id)
	if e == nil || e.kind != comment {
		panic(fmt.Sprintf("giteatest: no comment %d in %s", id, repo))
	}
	p.s.editComment(e, body)
}

// EditBody changes the text of an issue, anyone's.
func (p *Person) EditBody(repo string, n int64, body string) {
	p.on(repo, n, func(i *issue) { p.s.setBody(i, body) })
}

// EditTitle changes the title of an issue, anyone's.
func (p *Person) EditTitle(repo string, n int64, title string) {
	p.on(repo, n, func(i *issue) { p.s.setTitle(i, p.u, title) })
}

// Delete deletes an issue. Its number is not used again.
func (p *Person) Delete(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.remove(i) })
}

// Lock lets only those comment who may write.
func (p *Person) Lock(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setLocked(i, p.u, true) })
}

// Unlock takes Lock back.
func (p *Person) Unlock(repo string, n int64) {
	p.on(repo, n, func(i *issue) { p.s.setLocked(i, p.u, false) })
}

// SetLabels gives an issue exactly these labels, and makes those that the repository does not have.
func (p *Person) SetLabels(repo string, n int64, names ...string) {
	p.on(repo, n, func(i *issue) {
		for _, l := range slices.Clone(i.labels) {
			if !slices.Contains(names, l.name) {
				p.s.unmark(i, p.u, l)
			}
		}
		for _, name := range names {
			if slices.ContainsFunc(i.labels, func(l *label) bool { return l.name == name }) {
				continue
			}
			if ids := i.repo.labelIDs(name); len(ids) > 0 {
				p.s.mark(i, p.u, i.repo.labelByID(ids[0]))
			} else {
				p.s.mark(i, p.u, p.s.addLabel(&i.repo.labels, label{name: name, color: "ee0701"}))
			}
		}
	})
}

// Assign makes the person's choice of assignees the only ones.
func (p *Person) Assign(repo string, n int64, logins ...string) {
	p.on(repo, n, func(i *issue) {
		var us []*user
		for _, login := range logins {
			us = append(us, p.s.mustUser(login))
		}
		p.s.setAssignees(i, p.u, us)
	})
}

// Block makes an issue depend on another of the same repository: until that one is closed, closing this one through the
// API is 412. (The API's own way to set a dependency does nothing in Gitea 1.26.)
func (p *Person) Block(repo string, n, by int64) {
	p.on(repo, n, func(i *issue) {
		b := i.repo.issue(by)
		if b == nil {
			panic(fmt.Sprintf("giteatest: no issue %s#%d", repo, by))
		}
		i.blockers = append(i.blockers, b)
	})
}
