package giteatest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// The types of Gitea's answers. They include fields that are always null or constant here, because clients decode them.

type apiUser struct {
	ID            int64     `json:"id"`
	Login         string    `json:"login"`
	LoginName     string    `json:"login_name"`
	SourceID      int64     `json:"source_id"`
	FullName      string    `json:"full_name"`
	Email         string    `json:"email"`
	AvatarURL     string    `json:"avatar_url"`
	HTMLURL       string    `json:"html_url"`
	Language      string    `json:"language"`
	IsAdmin       bool      `json:"is_admin"`
	LastLogin     time.Time `json:"last_login"`
	Created       time.Time `json:"created"`
	Restricted    bool      `json:"restricted"`
	Active        bool      `json:"active"`
	ProhibitLogin bool      `json:"prohibit_login"`
	Location      string    `json:"location"`
	Website       string    `json:"website"`
	Description   string    `json:"description"`
	Visibility    string    `json:"visibility"`
	Followers     int       `json:"followers_count"`
	Following     int       `json:"following_count"`
	Starred       int       `json:"starred_repos_count"`
	UserName      string    `json:"username"`
}

// userJSON returns u as doer sees it. Anonymous requests (a nil doer) do not see the e-mail address. Only u and
// administrators see whether the account is active and an administrator's. Comments show their authors as to a nil
// doer.
func (s *Server) userJSON(u, doer *user) *apiUser {
	avatar := u.email
	if avatar == "" {
		avatar = u.login
	}
	sum := md5.Sum([]byte(strings.ToLower(avatar)))
	o := &apiUser{
		ID: u.id, Login: u.login, UserName: u.login, FullName: u.fullName,
		Email:      fmt.Sprintf("%d+%s@noreply.localhost", u.id, u.login),
		AvatarURL:  s.baseURL + "/avatars/" + hex.EncodeToString(sum[:]),
		HTMLURL:    s.baseURL + "/" + u.login,
		Created:    u.created,
		Visibility: "public",
	}
	if doer != nil {
		o.Email = u.email
	}
	if doer != nil && (doer == u || doer.admin) && !u.org {
		o.Active, o.IsAdmin, o.LastLogin = true, u.admin, time.Unix(0, 0).UTC()
	}
	return o
}

type apiLabel struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Exclusive   bool   `json:"exclusive"`
	IsArchived  bool   `json:"is_archived"`
	Color       string `json:"color"`
	Description string `json:"description"`
	URL         string `json:"url"`
}

func (s *Server) labelJSON(l *label, r *repository) *apiLabel {
	at := ""
	if l.org != nil {
		at = "orgs/" + l.org.login
	} else {
		at = "repos/" + r.path()
	}
	return &apiLabel{
		ID: l.id, Name: l.name, Exclusive: l.exclusive, Color: l.color, Description: l.description,
		URL: fmt.Sprintf("%s/api/v1/%s/labels/%d", s.baseURL, at, l.id),
	}
}

// pullJSON returns the part of a pull request that tells whether and when it was merged.
func pullJSON(e *event) any {
	return map[string]any{"pull_request": map[string]any{
		"merged": !e.mergedAt.IsZero(), "merged_at": orNull(e.mergedAt), "draft": false,
	}}
}

func (s *Server) labelsJSON(ls []*label, r *repository) []*apiLabel {
	out := []*apiLabel{}
	for _, l := range ls {
		out = append(out, s.labelJSON(l, r))
	}
	return out
}

type repoMeta struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Owner    string `json:"owner"`
	FullName string `json:"full_name"`
}

type apiIssue struct {
	ID               int64       `json:"id"`
	URL              string      `json:"url"`
	HTMLURL          string      `json:"html_url"`
	Number           int64       `json:"number"`
	User             *apiUser    `json:"user"`
	OriginalAuthor   string      `json:"original_author"`
	OriginalAuthorID int64       `json:"original_author_id"`
	Title            string      `json:"title"`
	Body             string      `json:"body"`
	Ref              string      `json:"ref"`
	Assets           []any       `json:"assets"`
	Labels           []*apiLabel `json:"labels"`
	Milestone        any         `json:"milestone"`
	Assignee         *apiUser    `json:"assignee"`
	Assignees        []*apiUser  `json:"assignees"` // null if there are none
	State            string      `json:"state"`
	IsLocked         bool        `json:"is_locked"`
	Comments         int         `json:"comments"`
	Created          time.Time   `json:"created_at"`
	Updated          time.Time   `json:"updated_at"`
	Closed           *time.Time  `json:"closed_at"`
	Due              *time.Time  `json:"due_date"`
	TimeEstimate     int64       `json:"time_estimate"`
	PullRequest      any         `json:"pull_request"`
	Repository       repoMeta    `json:"repository"`
	PinOrder         int         `json:"pin_order"`
	ContentVersion   *int        `json:"content_version,omitempty"` // a pointer to 0 is not left out
}

func (s *Server) issueJSON(i *issue, doer *user) *apiIssue {
	r := i.repo
	o := &apiIssue{
		ID:      i.id,
		URL:     fmt.Sprintf("%s/api/v1/repos/%s/issues/%d", s.baseURL, r.path(), i.number),
		HTMLURL: s.issueURL(i),
		Number:  i.number,
		User:    s.userJSON(i.poster, doer),
		Title:   i.title, Body: i.body,
		Assets: []any{}, Labels: s.labelsJSON(i.sortedLabels(), r),
		State: i.state(), IsLocked: i.locked, Comments: len(i.comments()),
		Created: i.created, Updated: i.updated, Closed: orNull(i.closedAt), Due: orNull(i.due),
		Repository: repoMeta{r.id, r.name, r.owner.login, r.path()},
	}
	if !s.unversioned {
		version := i.version
		o.ContentVersion = &version
	}
	for _, u := range i.assignees {
		o.Assignees = append(o.Assignees, s.userJSON(u, nil))
	}
	if len(o.Assignees) > 0 {
		o.Assignee = o.Assignees[0]
	}
	return o
}

func (s *Server) issueURL(i *issue) string {
	return fmt.Sprintf("%s/%s/issues/%d", s.baseURL, i.repo.path(), i.number)
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type apiComment struct {
	ID               int64     `json:"id"`
	HTMLURL          string    `json:"html_url"`
	PullRequestURL   string    `json:"pull_request_url"`
	IssueURL         string    `json:"issue_url"`
	User             *apiUser  `json:"user"`
	OriginalAuthor   string    `json:"original_author"`
	OriginalAuthorID int64     `json:"original_author_id"`
	Body             string    `json:"body"`
	Assets           []any     `json:"assets"`
	Created          time.Time `json:"created_at"`
	Updated          time.Time `json:"updated_at"`
}

func (s *Server) commentJSON(i *issue, e *event) *apiComment {
	return &apiComment{
		ID: e.id, HTMLURL: s.eventURL(i, e), IssueURL: s.issueURL(i), User: s.userJSON(e.by, nil),
		Body: e.body, Assets: []any{}, Created: e.created, Updated: e.updated,
	}
}

func (s *Server) eventURL(i *issue, e *event) string {
	return fmt.Sprintf("%s#issuecomment-%d", s.issueURL(i), e.id)
}

type apiEvent struct {
	ID              int64     `json:"id"`
	Type            string    `json:"type"`
	HTMLURL         string    `json:"html_url"`
	PullRequestURL  string    `json:"pull_request_url"`
	IssueURL        string    `json:"issue_url"`
	User            *apiUser  `json:"user"`
	Body            string    `json:"body"`
	Created         time.Time `json:"created_at"`
	Updated         time.Time `json:"updated_at"`
	OldProjectID    int64     `json:"old_project_id"`
	ProjectID       int64     `json:"project_id"`
	OldMilestone    any       `json:"old_milestone"`
	Milestone       any       `json:"milestone"`
	TrackedTime     any       `json:"tracked_time"`
	OldTitle        string    `json:"old_title"`
	NewTitle        string    `json:"new_title"`
	OldRef          string    `json:"old_ref"`
	NewRef          string    `json:"new_ref"`
	RefIssue        any       `json:"ref_issue"`
	RefComment      any       `json:"ref_comment"`
	RefAction       string    `json:"ref_action"`
	RefCommitSHA    string    `json:"ref_commit_sha"`
	ReviewID        int64     `json:"review_id"`
	Label           *apiLabel `json:"label"` // an object, although Gitea's SDK expects a list
	Assignee        *apiUser  `json:"assignee"`
	AssigneeTeam    any       `json:"assignee_team"`
	RemovedAssignee bool      `json:"removed_assignee"`
	ResolveDoer     any       `json:"resolve_doer"`
	DependentIssue  any       `json:"dependent_issue"`
}

func (s *Server) eventJSON(i *issue, e *event) *apiEvent {
	o := &apiEvent{
		ID: e.id, Type: e.kind, HTMLURL: s.eventURL(i, e), IssueURL: s.issueURL(i), User: s.userJSON(e.by, nil),
		Body: e.body, Created: e.created, Updated: e.updated, OldTitle: e.oldTitle, NewTitle: e.newTitle,
		RefAction: "none", RefCommitSHA: e.sha, RemovedAssignee: e.removed,
	}
	if e.closes {
		o.RefAction, o.RefIssue = "closes", pullJSON(e)
	}
	if e.label != nil {
		o.Label = s.labelJSON(e.label, i.repo)
	}
	if e.assignee != nil {
		o.Assignee = s.userJSON(e.assignee, nil)
	}
	return o
}
