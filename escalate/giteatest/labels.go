package giteatest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

func listLabels(c *call) *response { return c.listLabels(c.repo.labels) }

func listOrgLabels(c *call) *response {
	u := c.s.userNamed(c.args[0])
	if u == nil || !u.org {
		return c.s.notFound()
	}
	return c.listLabels(u.labels)
}

func (c *call) listLabels(ls []*label) *response {
	all := slices.SortedFunc(slices.Values(ls), byName)
	return replyList(c.s.labelsJSON(cutPage(c, all), c.repo), len(all))
}

type createLabelOption struct {
	Name        string `json:"name" binding:"Required"`
	Color       string `json:"color" binding:"Required"`
	Description string `json:"description"`
	Exclusive   bool   `json:"exclusive"`
}

var hexColor = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{6}$`) })

func createLabel(c *call) *response {
	if !c.mayWriteIssues() {
		return c.s.message(http.StatusForbidden, "user should have a permission to write to a repo")
	}
	var form createLabelOption
	if resp := c.decode(&form); resp != nil {
		return resp
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

// deleteLabel also answers 204 if there is no such label.
func deleteLabel(c *call) *response {
	if !c.mayWriteIssues() {
		return c.s.message(http.StatusForbidden, "user should have a permission to write to a repo")
	}
	id, _ := strconv.ParseInt(c.args[0], 10, 64)
	c.repo.dropLabels(func(l *label) bool { return l.id == id && l.org == nil })
	return &response{status: http.StatusNoContent}
}

func listIssueLabels(c *call) *response {
	i := c.issue()
	if i == nil || !c.mayReadIssues() {
		return c.s.notFound()
	}
	return reply(http.StatusOK, c.s.labelsJSON(i.sortedLabels(), c.repo))
}

// addLabelTo adds a label to an existing issue, in place of another one of its exclusive scope.
func (s *Server) addLabelTo(i *issue, by *user, l *label) {
	for _, other := range slices.Clone(i.labels) {
		if other != l && l.scope() != "" && other.scope() == l.scope() {
			s.detachLabel(i, by, other)
		}
	}
	s.attachLabel(i, by, l)
}

// scope returns the exclusive scope of a label, or "".
func (l *label) scope() string {
	if !l.exclusive {
		return ""
	}
	return l.name[:max(strings.LastIndexByte(l.name, '/'), 0)]
}

// addIssueLabels accepts ids and names, as Gitea does only here, and ignores unknown ones.
func addIssueLabels(c *call) *response {
	var form struct {
		Labels []json.RawMessage `json:"labels"`
	}
	if resp := c.decode(&form); resp != nil {
		return resp
	}
	i := c.issue()
	if i == nil {
		return c.s.notFound()
	}
	if !c.mayWriteIssues() {
		return c.s.message(http.StatusForbidden, "write permission is required")
	}
	for _, raw := range form.Labels {
		var id int64
		var name string
		if json.Unmarshal(raw, &id) == nil {
			if l := c.repo.labelByID(id); l != nil {
				c.s.addLabelTo(i, c.doer, l)
			}
		} else if json.Unmarshal(raw, &name) == nil {
			for _, id := range c.repo.labelIDs(name) {
				c.s.addLabelTo(i, c.doer, c.repo.labelByID(id))
			}
		}
	}
	return reply(http.StatusOK, c.s.labelsJSON(i.sortedLabels(), c.repo))
}
