package giteatest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The methods below take repositories as "owner/name". They panic on names that do not exist, so that a test with such
// a mistake does not go on and prove nothing.

// Permission is a user's permission in a repository.
type Permission int

// Permissions. On a public repository, None is the same as Read.
const (
	None Permission = iota
	Read
	Write
	Admin
)

// UserOptions are the options of [Server.AddUser].
type UserOptions struct {
	Email    string // default: login@example.com
	FullName string
	Admin    bool // of the whole server
}

// AddUser adds a user and returns its id. An existing user keeps its id and gets the options.
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

// AddToken gives a user a token. The scopes have Gitea's names: "read:user", "write:issue", …, "all". Write implies
// read. No scopes mean "all".
func (s *Server) AddToken(login, token string, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = newToken(s.mustUser(login), scopes)
}

// RevokeToken makes a token invalid.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// SetMaxItems sets the maximum page size of lists, Gitea's MAX_RESPONSE_ITEMS. The default is 50.
func (s *Server) SetMaxItems(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxItems = n
}

// HideContentVersion makes the server one from before Gitea 1.26: it knows no content_version, and the last edit of a body wins.
func (s *Server) HideContentVersion() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unversioned = true
}

// AddRepo adds a public repository, and an organization as its owner if there is no user of that name. It replaces a
// redirect from that name, and does nothing if the repository exists.
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
	s.repos[k] = &repository{id: s.nextID(), owner: u, name: name, created: now, updated: now, perms: map[*user]Permission{},
		issuePerms: map[*user]Permission{}}
	delete(s.redirects, k)
}

// SetPermission sets a user's permission in a repository.
func (s *Server) SetPermission(owner, name, login string, p Permission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustRepo(owner + "/" + name).perms[s.mustUser(login)] = p
}

// SetIssuePermission sets a user's permission on a repository's issues, as a team may have, apart from that on its code.
func (s *Server) SetIssuePermission(owner, name, login string, p Permission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustRepo(owner + "/" + name).issuePerms[s.mustUser(login)] = p
}

// SetPrivate makes a repository private or public. A private one is hidden from users without a permission.
func (s *Server) SetPrivate(repo string, private bool) {
	s.change(repo, func(r *repository) { r.private = private })
}

// Archive archives a repository, which makes it read-only in part, see the package comment.
func (s *Server) Archive(repo string) {
	s.change(repo, func(r *repository) { r.archivedAt = s.clock() })
}

// Unarchive undoes Archive.
func (s *Server) Unarchive(repo string) {
	s.change(repo, func(r *repository) { r.archivedAt = time.Time{} })
}

// DisableIssues disables the issues of a repository and keeps them.
func (s *Server) DisableIssues(repo string) {
	s.change(repo, func(r *repository) { r.issuesOff = true })
}

// EnableIssues undoes DisableIssues.
func (s *Server) EnableIssues(repo string) {
	s.change(repo, func(r *repository) { r.issuesOff = false })
}

func (s *Server) change(repo string, f func(*repository)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.mustRepo(repo))
}

// Rename gives a repository another name ("new") or another owner and name ("owner/new"). The old path then answers 301
// until a new repository takes it or this one is deleted.
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

// DeleteRepo deletes a repository with its issues and labels.
func (s *Server) DeleteRepo(repo string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustRepo(repo).deleted = true
	delete(s.repos, key(repo))
}

// AddLabel adds a label and returns its id, even if the repository has a label of that name already.
func (s *Server) AddLabel(repo, name string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addLabel(&s.mustRepo(repo).labels, label{name: name, color: "ee0701"}).id
}

// AddOrgLabel adds a label to all repositories of an organization and returns its id.
func (s *Server) AddOrgLabel(org, name string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.mustUser(org)
	return s.addLabel(&u.labels, label{name: name, color: "ee0701", org: u}).id
}

// AddExclusiveOrgLabel is AddOrgLabel for a label that is exclusive in its scope, with a color of six hexadecimal digits.
func (s *Server) AddExclusiveOrgLabel(org, name, color string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.mustUser(org)
	return s.addLabel(&u.labels, label{name: name, color: color, exclusive: true, org: u}).id
}

// DeleteLabel deletes all labels of that name from a repository and its issues.
func (s *Server) DeleteLabel(repo, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustRepo(repo).dropLabels(func(l *label) bool { return l.name == name && l.org == nil })
}

// dropLabels deletes labels from the repository and its issues.
func (r *repository) dropLabels(which func(*label) bool) {
	r.labels = slices.DeleteFunc(r.labels, which)
	for _, i := range r.issues {
		i.labels = slices.DeleteFunc(i.labels, which)
	}
}

// RenameUser changes the login of a user or an organisation. The old login is free at once; look-ups of it, and the old paths of the
// repositories, answer 307 until somebody takes it.
func (s *Server) RenameUser(login, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.mustUser(login)
	if s.userNamed(to) != nil {
		panic(fmt.Sprintf("giteatest: the user %s exists", to))
	}
	delete(s.users, strings.ToLower(login))
	u.login = to
	s.users[strings.ToLower(to)] = u
	s.renamed[strings.ToLower(login)] = u
	delete(s.renamed, strings.ToLower(to))
	for old, r := range maps.Clone(s.repos) {
		if r.owner == u {
			delete(s.repos, old)
			s.repos[key(r.path())] = r
		}
	}
	for old, r := range maps.Clone(s.redirects) {
		if name, of := strings.CutPrefix(old, strings.ToLower(login)+"/"); of {
			delete(s.redirects, old)
			s.redirects[key(to+"/"+name)] = r
		}
	}
}

// Block makes a user block another one, who then cannot assign the first to an issue.
func (s *Server) Block(login, blocked string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.mustUser(login)
	u.blocked = append(u.blocked, s.mustUser(blocked))
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
