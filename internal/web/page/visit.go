package page

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/terraphim/adfbot/internal/store"
)

// visit is what the links of a page depend on: where it is, and what its reader has chosen. Every link keeps the choice, because the
// page has no script that could.
type visit struct {
	Root   string          // relative address of the front page
	still  bool            // the page does not reload
	chosen bool            // open is what the reader sees already
	open   map[string]bool // folds, by id
}

func newVisit(r *http.Request) visit {
	q := r.URL.Query()
	v := visit{
		Root:  cmp.Or(strings.Repeat("../", max(strings.Count(r.URL.EscapedPath(), "/")-1, 0)), "./"),
		still: q.Get("refresh") == "off", chosen: q.Has("open"), open: map[string]bool{},
	}
	for id := range strings.SplitSeq(q.Get("open"), ",") {
		v.open[id] = true
	}
	return v
}

func (v visit) project(id string) string {
	return v.Root + "projects/" + url.PathEscape(id) + v.query()
}

// Home returns the address of the front page.
func (v visit) Home() string { return v.Root + v.query() }

// query returns the reader's choice for another page.
func (v visit) query() string {
	if v.still {
		return "?refresh=off"
	}
	return ""
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
