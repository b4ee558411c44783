package giteatest

import (
	"fmt"
	"html"
	"net/url"
	"strings"
)

// MentionInCommit pushes a commit, to a branch that is not the default one, whose message names an issue: a commit_ref in
// the timeline, and nothing else.
func (p *Person) MentionInCommit(repo string, n int64, sha, message string) {
	p.on(repo, n, func(i *issue) {
		subject, _, _ := strings.Cut(message, "\n")
		e := p.s.note(i, p.u, "commit_ref")
		e.sha = sha
		e.body = fmt.Sprintf(`<a href="/%s/commit/%s">%s</a>`, i.repo.path(), url.PathEscape(sha), html.EscapeString(subject))
	})
}

// CloseInPull opens a pull request that says it closes an issue: a pull_ref in the timeline. What it returns merges it,
// which closes the issue and leaves a close by whoever merged, and no other entry.
func (p *Person) CloseInPull(repo string, n int64) (merge func(by *Person)) {
	var ref *event
	p.on(repo, n, func(i *issue) {
		ref = p.s.note(i, p.u, "pull_ref")
		ref.closes = true
	})
	return func(by *Person) {
		by.on(repo, n, func(i *issue) {
			ref.mergedAt = by.s.clock()
			by.s.setClosed(i, by.u, true)
		})
	}
}

// pullRef is as much of the pull request as tells whether and when it was merged.
func pullRef(e *event) any {
	return map[string]any{"pull_request": map[string]any{
		"merged": !e.mergedAt.IsZero(), "merged_at": orNull(e.mergedAt), "draft": false,
	}}
}

// RenameUser gives a user another login. The old one is free for somebody else at once; Gitea answers a look-up of it with
// a redirect until somebody has taken it, which is left out here.
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
}
