package giteatest

import (
	"cmp"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The state of the server. Server.mu guards all of it.

type user struct {
	id       int64
	login    string
	email    string
	fullName string
	admin    bool
	org      bool
	created  time.Time
	labels   []*label // of an organization
	blocked  []*user  // by this user
}

type repository struct {
	id         int64
	owner      *user
	name       string
	private    bool
	issuesOff  bool
	archivedAt time.Time // zero: not archived
	created    time.Time
	updated    time.Time
	deleted    bool // kept in Server.redirects
	perms      map[*user]Permission
	issuePerms map[*user]Permission // of issues, where they differ
	labels     []*label
	issues     []*issue // sorted by number, without deleted ones
	lastNumber int64
	workflows  []*workflow
	runs       []*workflowRun // in order of their ids
}

func (r *repository) path() string { return r.owner.login + "/" + r.name }

type label struct {
	id          int64
	name        string
	color       string // six hex digits
	description string
	exclusive   bool
	org         *user // nil: a label of a repository
}

type issue struct {
	id, number int64
	repo       *repository
	poster     *user
	title      string
	body       string
	version    int       // of the body: how often it was edited
	closedAt   time.Time // zero: open
	created    time.Time
	updated    time.Time
	due        time.Time // zero: none
	labels     []*label
	assignees  []*user
	locked     bool
	timeline   []*event // including comments, as in Gitea
	blockers   []*issue
}

type event struct {
	id       int64
	kind     string // the API's type: "comment", "close", "label", …
	by       *user
	body     string
	created  time.Time
	updated  time.Time
	label    *label
	assignee *user
	removed  bool // the assignee was removed
	sha      string
	oldTitle string
	newTitle string
	closes   bool      // a pull_ref of a pull request that closes the issue
	mergedAt time.Time // when that was merged; zero: not merged
}

const comment = "comment"

func key(path string) string { return strings.ToLower(path) }

func (s *Server) userNamed(login string) *user { return s.users[strings.ToLower(login)] }

// permission returns u's permission in r. A nil u is an anonymous visitor.
func (r *repository) permission(u *user) Permission {
	p := Read
	if r.private {
		p = None
	}
	switch {
	case u == nil:
		return p
	case u.admin, u == r.owner:
		return Admin
	}
	return max(p, r.perms[u])
}

func (r *repository) issue(number int64) *issue {
	i, ok := slices.BinarySearchFunc(r.issues, number, func(i *issue, n int64) int { return cmp.Compare(i.number, n) })
	if !ok {
		return nil
	}
	return r.issues[i]
}

func (r *repository) labelIDs(name string) []int64 {
	var ids []int64
	for _, l := range r.labels {
		if l.name == name {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// labelByID finds a label of r or its organization.
func (r *repository) labelByID(id int64) *label {
	for _, ls := range [][]*label{r.labels, r.owner.labels} {
		for _, l := range ls {
			if l.id == id {
				return l
			}
		}
	}
	return nil
}

func (s *Server) addLabel(to *[]*label, l label) *label {
	l.id = s.nextID()
	*to = append(*to, &l)
	return &l
}

func (s *Server) open(r *repository, by *user, title, body string) *issue {
	r.lastNumber++
	now := s.clock()
	i := &issue{
		id: s.nextID(), number: r.lastNumber, repo: r, poster: by,
		title: strings.TrimSpace(title), body: body, created: now, updated: now,
	}
	r.issues = append(r.issues, i)
	return i
}

// addEvent adds an entry to the timeline and updates the issue's updated_at.
func (s *Server) addEvent(i *issue, by *user, kind string) *event {
	now := s.clock()
	e := &event{id: s.nextID(), kind: kind, by: by, created: now, updated: now}
	i.timeline = append(i.timeline, e)
	i.updated = now
	return e
}

func (s *Server) comment(i *issue, by *user, body string) *event {
	e := s.addEvent(i, by, comment)
	e.body = body
	return e
}

func (s *Server) setClosed(i *issue, by *user, closed bool) {
	if closed == !i.closedAt.IsZero() {
		return
	}
	if closed {
		i.closedAt = s.clock()
		s.addEvent(i, by, "close")
	} else {
		i.closedAt = time.Time{}
		s.addEvent(i, by, "reopen")
	}
}

func (s *Server) attachLabel(i *issue, by *user, l *label) {
	if slices.Contains(i.labels, l) {
		return
	}
	i.labels = append(i.labels, l)
	e := s.addEvent(i, by, "label")
	e.label, e.body = l, "1" // "1": the label was added
}

func (s *Server) detachLabel(i *issue, by *user, l *label) {
	i.labels = slices.DeleteFunc(i.labels, func(x *label) bool { return x == l })
	s.addEvent(i, by, "label").label = l
}

func (s *Server) assign(i *issue, by, u *user) {
	i.assignees = append(i.assignees, u)
	s.addEvent(i, by, "assignees").assignee = u
}

func (s *Server) unassign(i *issue, by, u *user) {
	i.assignees = slices.DeleteFunc(i.assignees, func(x *user) bool { return x == u })
	e := s.addEvent(i, by, "assignees")
	e.assignee, e.removed = u, true
}

func (s *Server) setTitle(i *issue, by *user, title string) {
	if title == i.title {
		return
	}
	e := s.addEvent(i, by, "change_title")
	e.oldTitle, e.newTitle = i.title, title
	i.title = title
}

func (s *Server) setBody(i *issue, body string) {
	i.body = body
	i.version++
	i.updated = s.clock()
}

func (s *Server) editComment(e *event, body string) {
	if body == e.body {
		return
	}
	e.body = body
	e.updated = s.clock()
	if !e.updated.After(e.created) {
		e.updated = e.created.Add(time.Second) // see the package comment
	}
}

func (s *Server) setLocked(i *issue, by *user, locked bool) {
	if i.locked == locked {
		return
	}
	i.locked = locked
	if locked {
		s.addEvent(i, by, "lock")
	} else {
		s.addEvent(i, by, "unlock")
	}
}

// addCommit adds the entry for a commit whose message mentions the issue.
func (s *Server) addCommit(i *issue, by *user, sha, message string) {
	subject, _, _ := strings.Cut(message, "\n")
	e := s.addEvent(i, by, "commit_ref")
	e.sha = sha
	e.body = fmt.Sprintf(`<a href="/%s/commit/%s">%s</a>`, i.repo.path(), url.PathEscape(sha), html.EscapeString(subject))
}

func (s *Server) remove(i *issue) {
	i.repo.issues = slices.DeleteFunc(i.repo.issues, func(x *issue) bool { return x == i })
}

func (i *issue) comments() []*event {
	var cs []*event
	for _, e := range i.timeline {
		if e.kind == comment {
			cs = append(cs, e)
		}
	}
	return cs
}

// blocked reports whether the issue depends on an open one.
func (i *issue) blocked() bool {
	return slices.ContainsFunc(i.blockers, func(b *issue) bool {
		return b.closedAt.IsZero() && b.repo.issue(b.number) == b
	})
}

func (i *issue) state() string {
	if i.closedAt.IsZero() {
		return "open"
	}
	return "closed"
}

// sortedLabels returns the labels in Gitea's order.
func (i *issue) sortedLabels() []*label {
	return slices.SortedFunc(slices.Values(i.labels), byName)
}

func byName(a, b *label) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
}

func (s *Server) setAssignees(i *issue, by *user, us []*user) {
	for _, u := range slices.Clone(i.assignees) {
		if !slices.Contains(us, u) {
			s.unassign(i, by, u)
		}
	}
	for _, u := range us {
		if !slices.Contains(i.assignees, u) {
			s.assign(i, by, u)
		}
	}
}

// event finds a comment or other timeline entry by its id.
func (r *repository) event(id int64) (*issue, *event) {
	for _, i := range r.issues {
		for _, e := range i.timeline {
			if e.id == id {
				return i, e
			}
		}
	}
	return nil, nil
}
