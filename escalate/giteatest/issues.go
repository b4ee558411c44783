package giteatest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (c *call) issue() *issue { return c.repo.issue(c.number()) }

func listIssues(c *call) *response {
	kind := c.query.Get("type")
	if !c.mayReadIssues() {
		if kind == "issues" {
			return c.s.notFound()
		}
		kind = "pulls" // only these can be listed
	}
	within, refusal := c.timeRange()
	if refusal != nil {
		return refusal
	}
	poster, refusal := c.userFilter("created_by")
	if refusal != nil {
		return refusal
	}
	assignee, refusal := c.userFilter("assigned_by")
	if refusal != nil {
		return refusal
	}
	labels := c.labelFilter()
	var found []*issue
	for _, i := range slices.Backward(c.repo.issues) { // newest first
		if c.stateFilter(i) && within(i.updated) && (poster == nil || i.poster == poster) &&
			(assignee == nil || slices.Contains(i.assignees, assignee)) && hasAll(i, labels) && kind != "pulls" {
			found = append(found, i)
		}
	}
	var out []*apiIssue
	for _, i := range cutPage(c, found) {
		out = append(out, c.s.issueJSON(i, c.doer))
	}
	resp := replyList(out, len(found))
	if link := c.link(len(found)); link != "" {
		resp.header.Set("Link", link)
	}
	return resp
}

func (c *call) userFilter(name string) (*user, *response) {
	login := c.query.Get(name)
	if login == "" {
		return nil, nil
	}
	if u := c.s.userNamed(login); u != nil {
		return u, nil
	}
	return nil, c.s.notFound(noUser(login))
}

func noUser(login string) string { return fmt.Sprintf("user does not exist [uid: 0, name: %s]", login) }

func (c *call) stateFilter(i *issue) bool {
	switch c.query.Get("state") {
	case "all":
		return true
	case "closed":
		return i.state() == "closed"
	}
	return i.state() == "open"
}

// labelFilter returns the ids of the named labels. An issue must have all of them, as in Gitea: so the name of two
// labels matches nothing, and an unknown name filters nothing.
func (c *call) labelFilter() []int64 {
	var ids []int64
	for _, name := range strings.Split(c.query.Get("labels"), ",") {
		ids = append(ids, c.repo.labelIDs(name)...)
	}
	return ids
}

func hasAll(i *issue, ids []int64) bool {
	for _, id := range ids {
		if !slices.ContainsFunc(i.labels, func(l *label) bool { return l.id == id }) {
			return false
		}
	}
	return true
}

func getIssue(c *call) *response {
	i := c.issue()
	if i == nil || !c.mayReadIssues() {
		return c.s.notFound()
	}
	return reply(http.StatusOK, c.s.issueJSON(i, c.doer))
}

// These types have Gitea's names, because error messages show them.

type createIssueOption struct {
	Title     string     `json:"title" binding:"Required"`
	Body      string     `json:"body"`
	Assignee  string     `json:"assignee"`
	Assignees []string   `json:"assignees"`
	Due       *time.Time `json:"due_date"`
	Labels    []int64    `json:"labels"`
	Closed    bool       `json:"closed"`
}

func createIssue(c *call) *response {
	if resp := c.s.archived(c.repo); resp != nil {
		return resp
	}
	var form createIssueOption
	if resp := c.decode(&form); resp != nil {
		return resp
	}
	if !c.mayReadIssues() && !c.may(Admin) {
		return c.s.message(http.StatusForbidden,
			"user should have specific read permission or be a repo admin or a site admin")
	}
	var assignees []*user
	if c.mayWriteIssues() {
		us, refusal := c.assignees(append(form.Assignees, strings.Fields(form.Assignee)...))
		if refusal != nil {
			return refusal
		}
		assignees = us
	} else {
		form.Labels, form.Due = nil, nil // silently
	}
	i := c.s.open(c.repo, c.doer, form.Title, form.Body)
	i.due = endOfDay(form.Due)
	for _, id := range form.Labels {
		if l := c.repo.labelByID(id); l != nil {
			c.s.attachLabel(i, c.doer, l)
		}
	}
	c.s.setAssignees(i, c.doer, assignees)
	if form.Closed {
		c.s.setClosed(i, c.doer, true)
	}
	return reply(http.StatusCreated, c.s.issueJSON(i, c.doer))
}

// assignees returns the users with these logins, for a new issue, or an error response if one cannot be assigned.
func (c *call) assignees(logins []string) ([]*user, *response) {
	var us []*user
	for _, login := range logins {
		u := c.s.userNamed(login)
		switch {
		case u == nil:
			return nil, c.s.message(http.StatusUnprocessableEntity,
				fmt.Sprintf("Assignee does not exist: [name: %s]", noUser(login)))
		case u.org:
			return nil, c.s.message(http.StatusInternalServerError, "")
		case c.repo.permission(u) == None:
			return nil, c.s.message(http.StatusUnprocessableEntity,
				fmt.Sprintf("user doesn't have access to repo [user_id: %d, repo_name: %s]", u.id, c.repo.name))
		}
		us = append(us, u)
	}
	return us, c.blockedBy(us)
}

func (c *call) blockedBy(us []*user) *response {
	if slices.ContainsFunc(us, func(u *user) bool { return slices.Contains(u.blocked, c.doer) }) {
		return c.s.message(http.StatusForbidden, "user is blocked")
	}
	return nil
}

// editAssignees replaces the assignees of an issue. A login that cannot be assigned is 500. Where it exists, the former
// assignees have been removed by then.
func (c *call) editAssignees(i *issue, logins []string) *response {
	var us []*user
	for _, login := range logins {
		u := c.s.userNamed(login)
		if u == nil {
			return c.s.message(http.StatusInternalServerError, "")
		}
		us = append(us, u)
	}
	if refusal := c.blockedBy(us); refusal != nil {
		return refusal
	}
	may := slices.DeleteFunc(slices.Clone(us), func(u *user) bool { return u.org || c.repo.permission(u) == None })
	c.s.setAssignees(i, c.doer, may)
	if len(may) < len(us) {
		return c.s.message(http.StatusInternalServerError, "")
	}
	return nil
}

// endOfDay returns the due date that Gitea stores, which ignores the time of day.
func endOfDay(t *time.Time) time.Time {
	if t == nil || t.IsZero() {
		return time.Time{}
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 23, 59, 59, 0, t.Location()).UTC()
}

type editIssueOption struct {
	Title     string     `json:"title"`
	Body      *string    `json:"body"`
	Assignee  *string    `json:"assignee"`
	Assignees []string   `json:"assignees"`
	State     *string    `json:"state"`
	Due       *time.Time `json:"due_date"`
	RemoveDue *bool      `json:"unset_due_date"`
	Version   *int       `json:"content_version"`
}

// editIssue applies one change after the other. After an error the earlier changes stay, as in Gitea.
func editIssue(c *call) *response {
	var form editIssueOption
	if resp := c.decode(&form); resp != nil {
		return resp
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	if i.poster != c.doer && !c.mayWriteIssues() {
		return &response{status: http.StatusForbidden}
	}
	if form.Version != nil && form.Body != nil && !c.s.unversioned && *form.Version != i.version {
		return c.s.message(http.StatusConflict, "the issue is already changed")
	}
	if form.Title != "" {
		c.s.setTitle(i, c.doer, form.Title)
	}
	if form.Body != nil && *form.Body != i.body {
		c.s.setBody(i, *form.Body)
	}
	if c.mayWriteIssues() {
		if form.RemoveDue != nil && *form.RemoveDue {
			i.due = time.Time{}
		} else if form.Due != nil {
			i.due = endOfDay(form.Due)
		}
		if form.Assignees != nil || form.Assignee != nil {
			logins := form.Assignees
			if form.Assignee != nil {
				logins = append(logins, strings.Fields(*form.Assignee)...)
			}
			if refusal := c.editAssignees(i, logins); refusal != nil {
				return refusal
			}
		}
	}
	if form.State != nil {
		if resp := c.setState(i, *form.State); resp != nil {
			return resp
		}
	}
	return reply(http.StatusCreated, c.s.issueJSON(i, c.doer))
}

func (c *call) setState(i *issue, state string) *response {
	switch {
	case state != "open" && state != "closed":
		return c.s.message(http.StatusPreconditionFailed, "unknown state: "+state)
	case state == "closed" && i.state() == "open" && i.blocked():
		return c.s.message(http.StatusPreconditionFailed,
			"cannot close this issue or pull request because it still has open dependencies")
	}
	c.s.setClosed(i, c.doer, state == "closed")
	return nil
}

func deleteIssue(c *call) *response {
	if !c.may(Admin) {
		return c.s.message(http.StatusForbidden,
			"user should be an owner or a collaborator with admin write of a repository")
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	c.s.remove(i)
	return &response{status: http.StatusNoContent}
}

func lockIssue(c *call) *response   { return c.setLocked(true) }
func unlockIssue(c *call) *response { return c.setLocked(false) }

func (c *call) setLocked(locked bool) *response {
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	if !c.may(Admin) {
		return c.s.message(http.StatusForbidden,
			"user should be an owner or a collaborator with admin write of a repository")
	}
	c.s.setLocked(i, c.doer, locked)
	return &response{status: http.StatusNoContent}
}

// addDependency answers 201 and does nothing, like the recorded server, see issue-close-blocked.json.
func addDependency(c *call) *response {
	if c.issue() == nil {
		return c.s.notFound()
	}
	return &response{status: http.StatusCreated}
}
