package page

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// visit is what the links of a page depend on: where it is, and what its reader has chosen. The address keeps the choice, so that it
// survives a reload, can be kept as a bookmark, and needs no script.
type visit struct {
	Root   string          // relative address of the front page
	still  bool            // the page does not reload
	chosen bool            // open is what the reader sees already
	open   map[string]bool // folds, by id
	pages  status.Pages    // of a project's history
	list   choice          // on the front page
}

// choice is which projects the front page lists, and in which order.
type choice struct {
	Find  string // part of what a row shows
	Group string // one of the groups, or "" for all
	Sort  string // one of the orders
	page  int    // from 0
}

const maxFind = 100 // characters

func newVisit(r *http.Request) visit {
	q := r.URL.Query()
	v := visit{
		Root:  cmp.Or(strings.Repeat("../", max(strings.Count(r.URL.EscapedPath(), "/")-1, 0)), "./"),
		still: q.Get("refresh") == "off", chosen: q.Has("open"), open: map[string]bool{},
	}
	for id := range strings.SplitSeq(q.Get("open"), ",") {
		v.open[id] = true
	}
	if n, err := strconv.ParseInt(q.Get("before"), 10, 64); err == nil && n > 0 {
		v.pages.Before = n
	}
	if after := q.Get("after"); len(after) <= 64 {
		v.pages.After = after
	}
	find := []rune(strings.TrimSpace(q.Get("find")))
	v.list.Find = string(find[:min(len(find), maxFind)])
	if g := group(q.Get("show")); slices.Contains(groups, g) {
		v.list.Group = string(g)
	}
	if o := q.Get("sort"); slices.ContainsFunc(orders, func(one order) bool { return one.Value == o }) {
		v.list.Sort = o
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		v.list.page = min(n-1, 1_000_000)
	}
	return v
}

// PagesOf returns the pages of its history that a project's page shows.
func PagesOf(r *http.Request) status.Pages { return newVisit(r).pages }

func (v visit) project(id string) string {
	return v.Root + "projects/" + url.PathEscape(id) + v.query()
}

// runsBefore returns the address of a project's page with the runs before a position. What was open there is not on that page.
func (v visit) runsBefore(position int64) string {
	v.pages.Before = position
	return v.history() + "#runs"
}

// incidentsAfter likewise returns that with the incidents behind one of them.
func (v visit) incidentsAfter(id string) string {
	v.pages.After = id
	return v.history() + "#incidents"
}

func (v visit) history() string {
	q := v.pagesQuery()
	if v.still {
		q.Set("refresh", "off")
	}
	return "?" + q.Encode()
}

func (v visit) pagesQuery() url.Values {
	q := url.Values{}
	if v.pages.After != "" {
		q.Set("after", v.pages.After)
	}
	if v.pages.Before > 0 {
		q.Set("before", strconv.FormatInt(v.pages.Before, 10))
	}
	return q
}

// Home returns the address of the front page.
func (v visit) Home() string { return v.Root + v.query() }

// Still reports whether the page does not reload, for a form, which has to keep that.
func (v visit) Still() bool { return v.still }

// query returns the reader's choice for another page.
func (v visit) query() string {
	if v.still {
		return "?refresh=off"
	}
	return ""
}

// listed returns the address of the front page with a choice. It is never empty.
func (v visit) listed(c choice) string {
	q := url.Values{}
	for _, p := range []struct{ key, value string }{{"find", c.Find}, {"show", c.Group}, {"sort", c.Sort}} {
		if p.value != "" {
			q.Set(p.key, p.value)
		}
	}
	if c.page > 0 {
		q.Set("page", strconv.Itoa(c.page+1))
	}
	if v.still {
		q.Set("refresh", "off")
	}
	return "?" + q.Encode()
}

// fold is something long that a page shows or hides.
type fold struct {
	ID   string // of its element
	Open bool
	Link string // shows or hides it
}

// folds are those of a page, from top to bottom.
type folds []*fold

// settle opens the folds that the reader has chosen, and makes their links.
func (f folds) settle(v visit) {
	for _, one := range f {
		if v.chosen {
			one.Open = v.open[one.ID]
		}
	}
	for _, one := range f {
		one.Open = !one.Open
		one.Link = f.query(v) + "#" + one.ID
		one.Open = !one.Open
	}
}

// query returns the address of the page with the folds as they are.
func (f folds) query(v visit) string {
	var open []string
	for _, one := range f {
		if one.Open {
			open = append(open, one.ID)
		}
	}
	q := "?open=" + strings.Join(open, ",")
	if pages := v.pagesQuery(); len(pages) > 0 {
		q += "&" + pages.Encode()
	}
	if v.still {
		q += "&refresh=off"
	}
	return q
}

// anyOpen reports whether a fold is open.
func (f folds) anyOpen() bool {
	for _, one := range f {
		if one.Open {
			return true
		}
	}
	return false
}

func runFold(r store.HistoryRun) *fold {
	return &fold{ID: fmt.Sprintf("run-%x", r.Recorded.UnixMilli())}
}
