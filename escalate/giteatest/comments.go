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

// listComments is never paged: Gitea takes no page or limit here.
func listComments(c *call) *answer {
	within, refusal := c.span()
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
	return listed(out, len(out))
}

func listRepoComments(c *call) *answer {
	within, refusal := c.span()
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
	return listed(paged(c, all, true), len(all))
}

func createComment(c *call) *answer {
	if a := c.s.archived(c.repo); a != nil {
		return a
	}
	var form commentOption
	if a := c.decode(&form); a != nil {
		return a
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

func getComment(c *call) *answer {
	i, e, refusal := c.event()
	if refusal != nil {
		return refusal
	}
	if e.kind != comment {
		return &answer{status: http.StatusNoContent}
	}
	return reply(http.StatusOK, c.s.commentJSON(i, e))
}

func editComment(c *call) *answer {
	if a := c.s.archived(c.repo); a != nil {
		return a
	}
	var form commentOption
	if a := c.decode(&form); a != nil {
		return a
	}
	i, e, refusal := c.event()
	switch {
	case refusal != nil:
		return refusal
	case e.by != c.doer && !c.mayWriteIssues():
		return &answer{status: http.StatusForbidden}
	case e.kind != comment: // other entries of the timeline have ids too
		return &answer{status: http.StatusNoContent}
	}
	c.s.editComment(e, form.Body)
	return reply(http.StatusOK, c.s.commentJSON(i, e))
}

func (c *call) event() (*issue, *event, *answer) {
	i, e := c.repo.event(c.number())
	if e == nil {
		return nil, nil, c.s.notFound(fmt.Sprintf("comment does not exist [id: %d, issue_id: 0]", c.number()))
	}
	if !c.mayReadIssues() {
		return nil, nil, c.s.notFound()
	}
	return i, e, nil
}

// listTimeline tells the number of entries in the answer, not of all there are, and gives no links.
func listTimeline(c *call) *answer {
	within, refusal := c.span()
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
	page := paged(c, all, true)
	return listed(page, len(page))
}
