package giteatest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxPage     = 50
	defaultPage = 30
)

// page returns the parameters page and limit.
func (c *call) page() (page, limit int) {
	page, _ = strconv.Atoi(c.query.Get("page"))
	limit, _ = strconv.Atoi(c.query.Get("limit"))
	if limit <= 0 {
		limit = defaultPage
	}
	return max(page, 1), min(limit, cmp.Or(c.s.maxItems, maxPage))
}

// cutPage returns the requested page of a list, or the first.
func cutPage[T any](c *call, all []T) []T {
	page, limit := c.page()
	start := min((page-1)*limit, len(all))
	return all[start:min(start+limit, len(all))]
}

// replyList returns a list and, in X-Total-Count, the total number of entries.
func replyList[T any](list []T, total int) *response {
	if list == nil {
		list = []T{} // [], not null
	}
	resp := reply(http.StatusOK, list)
	resp.header.Set("X-Total-Count", strconv.Itoa(total))
	return resp
}

// link returns the Link header of a list with total entries: next and last, then first and prev, as far as they exist.
func (c *call) link(total int) string {
	page, limit := c.page()
	last := max((total+limit-1)/limit, 1)
	page = min(page, last)
	var links []string
	add := func(page int, rel string) {
		q := url.Values{}
		for k, v := range c.query {
			q[k] = v
		}
		q.Set("page", strconv.Itoa(page))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, c.s.baseURL, c.r.URL.EscapedPath(), q.Encode(), rel))
	}
	if page < last {
		add(page+1, "next")
		add(last, "last")
	}
	if page > 1 {
		add(1, "first")
		add(page-1, "prev")
	}
	return strings.Join(links, ",")
}

// timeRange returns a filter for the parameters since and before, both inclusive, or an error response.
func (c *call) timeRange() (within func(time.Time) bool, refusal *response) {
	var at [2]time.Time
	for i, name := range []string{"since", "before"} {
		v := c.query.Get(name)
		if v == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return nil, c.s.message(http.StatusUnprocessableEntity, err.Error())
		}
		at[i] = t.Truncate(time.Second)
	}
	since, before := at[0], at[1]
	return func(t time.Time) bool {
		return (since.IsZero() || !t.Before(since)) && (before.IsZero() || !t.After(before))
	}, nil
}
