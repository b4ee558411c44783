package page

import (
	"cmp"
	"strings"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
)

type sweepView struct {
	At    moment // zero: there was no sweep
	Took  string
	Scope string
	Done  []sweepStep
	More  int // steps that are not shown
	Also  []string
}

type sweepStep struct {
	What, Why string
	On        link // project or issue
}

const maxSteps = 20 // shown of a sweep

func newSweep(s status.Status) sweepView {
	r := s.LastSweep
	if r == nil {
		return sweepView{}
	}
	v := sweepView{At: newMoment(r.At, s.At), Took: text.Duration(r.Took), Scope: text.Plural(r.Projects, "project")}
	for _, a := range r.Actions[:min(len(r.Actions), maxSteps)] {
		v.Done = append(v.Done, sweepStep{
			What: strings.ReplaceAll(string(a.Kind), "-", " "), Why: a.Why, On: link{cmp.Or(a.Name, a.Project), webLink(a.Issue.URL)},
		})
	}
	v.More = len(r.Actions) - len(v.Done)
	for _, c := range []struct {
		n           int
		noun, state string
	}{
		{r.TakenIn, "spooled result", " stored"},
		{r.Runs, "result", " read from Gitea Actions"},
		{r.LostRuns, "run", " without a result, recorded as failed or ignored"},
		{r.Pruned, "old result", " deleted"},
		{len(r.Errors), "error", ", see above"},
	} {
		if c.n > 0 {
			v.Also = append(v.Also, text.Plural(c.n, c.noun)+c.state)
		}
	}
	return v
}
