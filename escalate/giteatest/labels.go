package giteatest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

func listLabels(c *call) *answer { return c.listLabels(c.repo.labels) }

func listOrgLabels(c *call) *answer {
	u := c.s.userNamed(c.args[0])
	if u == nil || !u.org {
		return c.s.notFound()
	}
	return c.listLabels(u.labels)
}

func (c *call) listLabels(ls []*label) *answer {
	all := slices.SortedFunc(slices.Values(ls), byName)
	return listed(c.s.labelsJSON(paged(c, all, true), c.repo), len(all))
}

type createLabelOption struct {
	Name        string `json:"name" binding:"Required"`
	Color       string `json:"color" binding:"Required"`
	Description string `json:"description"`
	Exclusive   bool   `json:"exclusive"`
}

var hexColor = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{6}$`) })

func createLabel(c *call) *answer {
	if !c.mayWriteIssues() {
		return c.s.message(http.StatusForbidden, "user should have a permission to write to a repo")
	}
	var form createLabelOption
	if a := c.decode(&form); a != nil {
		return a
	}
	color := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(form.Color), "#"))
	if !hexColor().MatchString(color) {
		return c.s.message(http.StatusUnprocessableEntity, "bad color code: "+form.Color)
	}
	l := c.s.addLabel(&c.repo.labels, label{
		name: form.Name, color: color, description: form.Description, exclusive: form.Exclusive,
	})
	return reply(http.StatusCreated, c.s.labelJSON(l, c.repo))
}

func listIssueLabels(c *call) *answer {
	i := c.issue()
	if i == nil || !c.mayReadIssues() {
		return c.s.notFound()
	}
	return reply(http.StatusOK, c.s.labelsJSON(i.sortedLabels(), c.repo))
}

// addIssueLabels takes ids, and names too, as Gitea does on this path alone. What it does not know it ignores.
func addIssueLabels(c *call) *answer {
	var form struct {
		Labels []json.RawMessage `json:"labels"`
	}
	if a := c.decode(&form); a != nil {
		return a
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	if !c.mayWriteIssues() {
		return &answer{status: http.StatusForbidden}
	}
	for _, raw := range form.Labels {
		var id int64
		var name string
		if json.Unmarshal(raw, &id) == nil {
			if l := c.repo.labelByID(id); l != nil {
				c.s.mark(i, c.doer, l)
			}
		} else if json.Unmarshal(raw, &name) == nil {
			for _, id := range c.repo.labelIDs(name) {
				c.s.mark(i, c.doer, c.repo.labelByID(id))
			}
		}
	}
	return reply(http.StatusOK, c.s.labelsJSON(i.sortedLabels(), c.repo))
}
