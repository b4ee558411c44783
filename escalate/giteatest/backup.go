package giteatest

import (
	"maps"
	"slices"
)

// BackUp makes a backup of all that the server stores. restore puts it back, once: what happened since then is gone, and ids and numbers
// are given again.
func (s *Server) BackUp() (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var put []func()
	users, tokens, repos := maps.Clone(s.users), maps.Clone(s.tokens), maps.Clone(s.repos)
	redirects, renamed, lastID, lastRun := maps.Clone(s.redirects), maps.Clone(s.renamed), s.lastID, s.lastRun
	for _, u := range users {
		was := keep(&put, u)
		was.labels, was.blocked = slices.Clone(u.labels), slices.Clone(u.blocked)
	}
	for _, r := range repos {
		was := keep(&put, r)
		was.perms, was.issuePerms = maps.Clone(r.perms), maps.Clone(r.issuePerms)
		was.labels, was.issues, was.workflows, was.runs = slices.Clone(r.labels), slices.Clone(r.issues), slices.Clone(r.workflows), slices.Clone(r.runs)
		for _, i := range r.issues {
			was := keep(&put, i)
			was.labels, was.assignees = slices.Clone(i.labels), slices.Clone(i.assignees)
			was.timeline, was.blockers = slices.Clone(i.timeline), slices.Clone(i.blockers)
			for _, e := range i.timeline {
				keep(&put, e)
			}
		}
		for _, w := range r.workflows {
			keep(&put, w)
		}
		for _, run := range r.runs {
			keep(&put, run)
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.users, s.tokens, s.repos, s.redirects, s.renamed, s.lastID, s.lastRun = users, tokens, repos, redirects, renamed, lastID, lastRun
		for _, f := range put {
			f()
		}
	}
}

// keep returns what is put back into *p.
func keep[T any](put *[]func(), p *T) *T {
	was := *p
	*put = append(*put, func() { *p = was })
	return &was
}
