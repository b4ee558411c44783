package page

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/internal/status"
)

// group is a part of the list of projects. Each project is in one.
type group string

const (
	groupPaused  group = "paused"
	groupUnknown group = "unknown"
	groupLook    group = "look" // it may run, and somebody should look at it
	groupWell    group = "well"
)

// groups are in the order of the page: what is worst comes first.
var groups = []group{groupPaused, groupUnknown, groupLook, groupWell}

func (g group) title() string {
	return map[group]string{groupPaused: "Paused", groupUnknown: "Unknown", groupLook: "May run, but look", groupWell: "May run"}[g]
}

func (s *summary) group() group {
	switch s.Rank() {
	case status.RankUnknown:
		return groupUnknown
	case status.RankPaused, status.RankHeld:
		return groupPaused
	case status.RankLook:
		return groupLook
	}
	return groupWell
}

// order is an order of the projects within their group.
type order struct{ Value, Text string }

var orders = []order{
	{"", "most urgent first"},
	{"name", "by name"},
	{"latest", "latest run first"},
	{"oldest", "longest without a run first"},
	{"failures", "most failures first"},
}

// includes reports whether the reader wants to see a project.
func (c choice) includes(s *summary) bool {
	if c.Group != "" && c.Group != string(s.Group) {
		return false
	}
	find := strings.ToLower(c.Find)
	if strings.Contains(find, "*") { // as on the command line
		fits, err := path.Match(find, strings.ToLower(s.ID))
		return fits && err == nil
	}
	return slices.ContainsFunc([]string{s.ID, s.Class, s.LastLine, s.LastHow, s.Reason}, func(text string) bool {
		return strings.Contains(strings.ToLower(text), find)
	})
}

// sort sorts projects by group, and within a group as the reader wants. Equal ones stay in the order of the configuration.
func (c choice) sort(list []*summary) {
	within := map[string]func(a, b *summary) int{
		"name":     func(a, b *summary) int { return strings.Compare(a.ID, b.ID) },
		"latest":   func(a, b *summary) int { return strings.Compare(b.LastRun.Machine, a.LastRun.Machine) },
		"oldest":   func(a, b *summary) int { return strings.Compare(a.LastRun.Machine, b.LastRun.Machine) },
		"failures": func(a, b *summary) int { return cmp.Compare(b.Failures, a.Failures) },
	}[c.Sort]
	if within == nil {
		within = moreUrgent
	}
	slices.SortStableFunc(list, func(a, b *summary) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)), within(a, b))
	})
}

// moreUrgent puts incidents before pauses by hand, those that nobody has taken first, and then the latest; of the others those that fail.
func moreUrgent(a, b *summary) int {
	rank := func(s *summary) int {
		switch {
		case s.Group == groupPaused && s.Held:
			return 2
		case s.Group == groupPaused && s.TakenAt.Machine != "":
			return 1
		case s.Group == groupLook && s.Failures == 0 && s.Silence == nil && s.HalfOpen == "":
			return 1
		}
		return 0
	}
	order := cmp.Compare(rank(a), rank(b))
	if a.Group == groupPaused {
		return cmp.Or(order, strings.Compare(b.Since.Machine, a.Since.Machine))
	}
	return cmp.Or(order, cmp.Compare(b.Failures, a.Failures))
}

// finder searches, filters and sorts the list: links and a form, whose answer is another page.
type finder struct {
	choice
	Tabs   []groupTab
	Orders []order
}

// groupTab is a link that lists one group, or all.
type groupTab struct {
	Text   string
	Number int
	Link   string
	Here   bool
}

func newFinder(all []*summary, at visit) *finder {
	f := &finder{choice: at.list, Orders: orders}
	number := map[group]int{}
	for _, s := range all {
		number[s.Group]++
	}
	add := func(g group, text string, n int) {
		c := at.list
		c.Group, c.page = string(g), 0
		f.Tabs = append(f.Tabs, groupTab{text, n, at.listed(c), at.list.Group == string(g)})
	}
	add("", "All", len(all))
	for _, g := range groups {
		if number[g] > 0 || at.list.Group == string(g) {
			add(g, g.title(), number[g])
		}
	}
	return f
}

// Everything returns the address without the choice.
func (f *finder) Everything() string { return f.Tabs[0].Link }

// pager leads to the other pages of a list.
type pager struct {
	Text                string // what this page shows
	First, Before, Next string // addresses; "": there is no such page
}

func newPager(c choice, total int, at visit) *pager {
	p := &pager{Text: fmt.Sprintf("%d to %d of %d projects", c.page*maxListed+1, min((c.page+1)*maxListed, total), total)}
	to := func(page int) string { c.page = page; return at.listed(c) }
	here := c.page
	if (here+1)*maxListed < total {
		p.Next = to(here + 1)
	}
	if here > 0 {
		p.First, p.Before = to(0), to(here-1)
	}
	return p
}
