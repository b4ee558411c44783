package page

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// visit is what the links of a page depend on: where it is, and what its reader has chosen.
type visit struct {
	Root  string // relative address of the front page
	still bool   // the page does not reload
}

func newVisit(r *http.Request) visit {
	return visit{
		Root:  cmp.Or(strings.Repeat("../", max(strings.Count(r.URL.EscapedPath(), "/")-1, 0)), "./"),
		still: r.URL.Query().Get("refresh") == "off",
	}
}

func (v visit) project(id string) string { return v.Root + "projects/" + url.PathEscape(id) }
