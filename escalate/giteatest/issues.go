package giteatest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (c *call) issue() *issue { return c.repo.issue(c.number()) }

func listIssues(c *call) *answer {
	kind := c.query.Get("type")
	if !c.mayReadIssues() {
		if kind == "issues" {
			return c.s.notFound()
		}
		kind = "pulls" // those alone are listed then
	}
	within, refusal := c.span()
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
	for _, i := range paged(c, found, false) {
		out = append(out, c.s.issueJSON(i, c.doer))
	}
	a := listed(out, len(found))
	if link := c.link(len(found)); link != "" {
		a.header.Set("Link", link)
	}
	return a
}

func (c *call) userFilter(name string) (*user, *answer) {
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

// labelFilter turns names into ids, all of which an issue must bear. That is Gitea's way, and why a name that two labels
// have finds nothing, and a name that no label has filters nothing.
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

func getIssue(c *call) *answer {
	i := c.issue()
	if i == nil || !c.mayReadIssues() {
		return c.s.notFound()
	}
	return reply(http.StatusOK, c.s.issueJSON(i, c.doer))
}

// The names of the forms are Gitea's, because error messages show them.

type createIssueOption struct {
	Title     string     `json:"title" binding:"Required"`
	Body      string     `json:"body"`
	Assignee  string     `json:"assignee"`
	Assignees []string   `json:"assignees"`
	Due       *time.Time `json:"due_date"`
	Labels    []int64    `json:"labels"`
	Closed    bool       `json:"closed"`
}

func createIssue(c *call) *answer {
	if a := c.s.archived(c.repo); a != nil {
		return a
	}
	var form createIssueOption
	if a := c.decode(&form); a != nil {
		return a
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
			c.s.mark(i, c.doer, l)
		}
	}
	c.s.setAssignees(i, c.doer, assignees)
	if form.Closed {
		c.s.setClosed(i, c.doer, true)
	}
	return reply(http.StatusCreated, c.s.issueJSON(i, c.doer))
}

// assignees finds the users with these logins and makes sure that they can see the repository.
func (c *call) assignees(logins []string) ([]*user, *answer) {
	var us []*user
	for _, login := range logins {
		u := c.s.userNamed(login)
		if u == nil {
			return nil, c.s.message(http.StatusUnprocessableEntity,
				fmt.Sprintf("Assignee does not exist: [name: %s]", noUser(login)))
		}
		if u.org || c.repo.permission(u) == None {
			return nil, c.s.message(http.StatusUnprocessableEntity,
				fmt.Sprintf("user doesn't have access to repo [user_id: %d, repo_name: %s]", u.id, c.repo.name))
		}
		us = append(us, u)
	}
	return us, nil
}

// endOfDay is what Gitea makes of a due date: its time of day counts for nothing.
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
}

// editIssue does one thing after the other, so that a refusal leaves what came before it done, as Gitea does.
func editIssue(c *call) *answer {
	var form editIssueOption
	if a := c.decode(&form); a != nil {
		return a
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	if i.poster != c.doer && !c.mayWriteIssues() {
		return &answer{status: http.StatusForbidden}
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
			us, refusal := c.assignees(logins)
			if refusal != nil {
				return refusal
			}
			c.s.setAssignees(i, c.doer, us)
		}
	}
	if form.State != nil {
		if a := c.setState(i, *form.State); a != nil {
			return a
		}
	}
	return reply(http.StatusCreated, c.s.issueJSON(i, c.doer))
}

func (c *call) setState(i *issue, state string) *answer {
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

func deleteIssue(c *call) *answer {
	if !c.may(Admin) {
		return c.s.message(http.StatusForbidden,
			"user should be an owner or a collaborator with admin write of a repository")
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	c.s.remove(i)
	return &answer{status: http.StatusNoContent}
}

func lockIssue(c *call) *answer   { return c.setLocked(true, "no permission to lock this issue") }
func unlockIssue(c *call) *answer { return c.setLocked(false, "no permission to unlock this issue") }

func (c *call) setLocked(locked bool, refusal string) *answer {
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	if !c.mayWriteIssues() {
		return c.s.message(http.StatusForbidden, refusal)
	}
	c.s.setLocked(i, c.doer, locked)
	return &answer{status: http.StatusNoContent}
}

// addDependency says 201 and does nothing, as the recorded server did: see issue-close-blocked.json.
func addDependency(c *call) *answer {
	if c.issue() == nil {
		return c.s.notFound()
	}
	return &answer{status: http.StatusCreated}
}
