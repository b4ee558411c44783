package giteatest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The set-up functions take repositories as "owner/name". They panic on names that do not exist: such a mistake is the
// caller's, and a test that went on would prove nothing.

// Permission is what a user may do in a repository.
type Permission int

// The permissions. None on a public repository is as good as Read.
const (
	None Permission = iota
	Read
	Write
	Admin
)

// UserOptions are what may be said about a new user.
type UserOptions struct {
	Email    string // default: login@example.com
	FullName string
	Admin    bool // of the whole server
}

// AddUser makes a user and returns its id. A user that exists keeps its id and gets the options.
func (s *Server) AddUser(login string, o UserOptions) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Email == "" {
		o.Email = login + "@example.com"
	}
	u := s.userNamed(login)
	if u == nil {
		u = s.addUser(login)
	}
	u.email, u.fullName, u.admin = o.Email, o.FullName, o.Admin
	return u.id
}

func (s *Server) addUser(login string) *user {
	u := &user{id: s.nextID(), login: login, created: s.clock()}
	s.users[strings.ToLower(login)] = u
	return u
}

// AddToken gives a user a token with scopes as Gitea names them: "read:user", "write:issue", …, "all". Writing implies
// reading. No scope at all means "all".
func (s *Server) AddToken(login, token string, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = newToken(s.mustUser(login), scopes)
}

// RevokeToken makes a token a bad one.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// SetMaxItems is [api] MAX_RESPONSE_ITEMS, to which the limit of every list is cut; 50 where it is not set.
func (s *Server) SetMaxItems(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxItems = n
}

// AddRepo makes a public repository, with an organization as its owner unless a user of that name exists. One that exists
// is left alone; a redirect from that name ends.
func (s *Server) AddRepo(owner, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key(owner + "/" + name)
	if s.repos[k] != nil {
		return
	}
	u := s.userNamed(owner)
	if u == nil {
		u = s.addUser(owner)
		u.org = true
	}
	now := s.clock()
	s.repos[k] = &repository{id: s.nextID(), owner: u, name: name, created: now, updated: now, perms: map[*user]Permission{}}
	delete(s.redirects, k)
}

// SetPermission sets what a user may do in a repository.
func (s *Server) SetPermission(owner, name, login string, p Permission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustRepo(owner + "/" + name).perms[s.mustUser(login)] = p
}

// SetPrivate hides a repository from everyone without a permission, or shows it again.
func (s *Server) SetPrivate(repo string, private bool) {
	s.change(repo, func(r *repository) { r.private = private })
}

// Archive makes a repository read-only, as far as Gitea does.
func (s *Server) Archive(repo string) {
	s.change(repo, func(r *repository) { r.archivedAt = s.clock() })
}

// Unarchive takes Archive back.
func (s *Server) Unarchive(repo string) {
	s.change(repo, func(r *repository) { r.archivedAt = time.Time{} })
}

// DisableIssues switches the issues of a repository off. They are kept.
func (s *Server) DisableIssues(repo string) {
	s.change(repo, func(r *repository) { r.issuesOff = true })
}

// EnableIssues takes DisableIssues back.
func (s *Server) EnableIssues(repo string) {
	s.change(repo, func(r *repository) { r.issuesOff = false })
}

func (s *Server) change(repo string, f func(*repository)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.mustRepo(repo))
}

// Rename gives a repository another name ("new") or another owner too ("owner/new"). The old path answers 301 from then
// on, until a new repository takes it or this one is deleted.
func (s *Server) Rename(repo, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.mustRepo(repo)
	owner, name, transfer := strings.Cut(to, "/")
	if !transfer {
		owner, name = r.owner.login, to
	}
	k := key(owner + "/" + name)
	if s.repos[k] != nil {
		panic(fmt.Sprintf("giteatest: the repository %s/%s exists", owner, name))
	}
	delete(s.repos, key(repo))
	s.redirects[key(repo)] = r
	r.owner, r.name = s.mustUser(owner), name
	s.repos[k] = r
	delete(s.redirects, k)
}

// DeleteRepo deletes a repository with all that is in it.
func (s *Server) DeleteRepo(repo string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustRepo(repo).deleted = true
	delete(s.repos, key(repo))
}

// AddLabel makes a label and returns its id. A second one of the same name is another label.
func (s *Server) AddLabel(repo, name string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addLabel(&s.mustRepo(repo).labels, label{name: name, color: "ee0701"}).id
}

// AddOrgLabel makes a label that all repositories of an organization have.
func (s *Server) AddOrgLabel(org, name string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.mustUser(org)
	return s.addLabel(&u.labels, label{name: name, color: "ee0701", org: u}).id
}

// DeleteLabel deletes every label of that name from a repository and from its issues.
func (s *Server) DeleteLabel(repo, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.mustRepo(repo)
	r.labels = slices.DeleteFunc(r.labels, func(l *label) bool { return l.name == name })
	for _, i := range r.issues {
		i.labels = slices.DeleteFunc(i.labels, func(l *label) bool { return l.name == name && l.org == nil })
	}
}

func (s *Server) mustUser(login string) *user {
	if u := s.userNamed(login); u != nil {
		return u
	}
	panic(fmt.Sprintf("giteatest: no user %q", login))
}

func (s *Server) mustRepo(path string) *repository {
	if r := s.repos[key(path)]; r != nil {
		return r
	}
	panic(fmt.Sprintf("giteatest: no repository %q", path))
}
