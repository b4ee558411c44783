package giteatest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

type commentOption struct {
	Body string `json:"body" binding:"Required"`
}

// listComments ignores page and limit, as Gitea does.
func listComments(c *call) *response {
	within, refusal := c.timeRange()
	if refusal != nil {
		return refusal
	}
	i := c.issue()
	if i == nil || !c.mayReadIssues() {
		return c.s.notFound()
	}
	var out []*apiComment
	for _, e := range i.comments() {
		if within(e.updated) {
			out = append(out, c.s.commentJSON(i, e))
		}
	}
	return replyList(out, len(out))
}

func listRepoComments(c *call) *response {
	within, refusal := c.timeRange()
	if refusal != nil {
		return refusal
	}
	if !c.mayReadIssues() {
		return c.s.notFound()
	}
	var all []*apiComment
	for _, i := range c.repo.issues {
		for _, e := range i.comments() {
			if within(e.updated) {
				all = append(all, c.s.commentJSON(i, e))
			}
		}
	}
	slices.SortFunc(all, func(a, b *apiComment) int { return cmp.Compare(a.ID, b.ID) }) // oldest first
	return replyList(cutPage(c, all), len(all))
}

func createComment(c *call) *response {
	if resp := c.s.archived(c.repo); resp != nil {
		return resp
	}
	var form commentOption
	if resp := c.decode(&form); resp != nil {
		return resp
	}
	i := c.issue()
	if i == nil || !c.mayReadIssues() {
		return c.s.notFound()
	}
	if i.locked && !c.mayWriteIssues() {
		return c.s.message(http.StatusForbidden, "You cannot comment on a locked issue.")
	}
	return reply(http.StatusCreated, c.s.commentJSON(i, c.s.comment(i, c.doer, form.Body)))
}

func getComment(c *call) *response {
	i, e, refusal := c.event()
	if refusal != nil {
		return refusal
	}
	if e.kind != comment {
		return &response{status: http.StatusNoContent}
	}
	return reply(http.StatusOK, c.s.commentJSON(i, e))
}

func editComment(c *call) *response {
	if resp := c.s.archived(c.repo); resp != nil {
		return resp
	}
	var form commentOption
	if resp := c.decode(&form); resp != nil {
		return resp
	}
	i, e, refusal := c.event()
	switch {
	case refusal != nil:
		return refusal
	case e.by != c.doer && !c.mayWriteIssues():
		return &response{status: http.StatusForbidden}
	case e.kind != comment: // the id of another timeline entry
		return &response{status: http.StatusNoContent}
	}
	c.s.editComment(e, form.Body)
	return reply(http.StatusOK, c.s.commentJSON(i, e))
}

func (c *call) event() (*issue, *event, *response) {
	i, e := c.repo.event(c.number())
	if e == nil {
		return nil, nil, c.s.notFound(fmt.Sprintf("comment does not exist [id: %d, issue_id: 0]", c.number()))
	}
	if !c.mayReadIssues() {
		return nil, nil, c.s.notFound()
	}
	return i, e, nil
}

// listTimeline sends the number of entries in the answer as X-Total-Count, not that of all entries, and no links. An empty
// page is null.
func listTimeline(c *call) *response {
	within, refusal := c.timeRange()
	if refusal != nil {
		return refusal
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	var all []*apiEvent
	for _, e := range i.timeline {
		if within(e.updated) {
			all = append(all, c.s.eventJSON(i, e))
		}
	}
	page := cutPage(c, all)
	resp := replyList(page, len(page))
	if len(page) == 0 {
		resp.body = []byte("null\n")
	}
	return resp
}
