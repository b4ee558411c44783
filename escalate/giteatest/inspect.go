package giteatest

import "time"

// Issue is a snapshot of an issue.
type Issue struct {
	ID, Number int64
	Title      string
	Body       string
	State      string // "open" or "closed"
	Author     string // login
	AuthorID   int64
	Labels     []string // names, sorted
	Assignees  []string // logins
	Locked     bool
	Created    time.Time
	Updated    time.Time
	Closed     time.Time // zero: open
	Due        time.Time // zero: none
	Comments   []Comment
	Timeline   []Event // including the comments
}

// Comment is a comment on an issue.
type Comment struct {
	ID       int64
	Author   string
	AuthorID int64
	Body     string
	Created  time.Time
	Updated  time.Time // after Created if the comment shows an edit
}

// Event is an entry of an issue's timeline.
type Event struct {
	ID       int64
	Type     string // as in the API: "comment", "label", "close", "reopen", "commit_ref", "pull_ref", …
	Author   string
	AuthorID int64
	Body     string
	Label    string // the label's name
	SHA      string // the commit
	Created  time.Time
}

// Issues returns all issues of a repository ("owner/name"), sorted by number, or nil if there is no such repository.
func (s *Server) Issues(repo string) []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[key(repo)]
	if r == nil {
		return nil
	}
	var is []Issue
	for _, i := range r.issues {
		is = append(is, i.snapshot())
	}
	return is
}

// Issue returns an issue of a repository ("owner/name") and reports whether it exists.
func (s *Server) Issue(repo string, n int64) (Issue, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repos[key(repo)]; r != nil {
		if i := r.issue(n); i != nil {
			return i.snapshot(), true
		}
	}
	return Issue{}, false
}

func (i *issue) snapshot() Issue {
	o := Issue{
		ID: i.id, Number: i.number, Title: i.title, Body: i.body, State: i.state(),
		Author: i.poster.login, AuthorID: i.poster.id, Locked: i.locked,
		Created: i.created, Updated: i.updated, Closed: i.closedAt, Due: i.due,
	}
	for _, l := range i.sortedLabels() {
		o.Labels = append(o.Labels, l.name)
	}
	for _, u := range i.assignees {
		o.Assignees = append(o.Assignees, u.login)
	}
	for _, e := range i.timeline {
		if e.kind == comment {
			o.Comments = append(o.Comments, Comment{
				ID: e.id, Author: e.by.login, AuthorID: e.by.id, Body: e.body, Created: e.created, Updated: e.updated,
			})
		}
		ev := Event{
			ID: e.id, Type: e.kind, Author: e.by.login, AuthorID: e.by.id, Body: e.body, SHA: e.sha, Created: e.created,
		}
		if e.label != nil {
			ev.Label = e.label.name
		}
		o.Timeline = append(o.Timeline, ev)
	}
	return o
}

// Labels returns the names of a repository's own labels, oldest first.
func (s *Server) Labels(repo string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	if r := s.repos[key(repo)]; r != nil {
		for _, l := range r.labels {
			names = append(names, l.name)
		}
	}
	return names
}
