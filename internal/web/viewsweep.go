package web

import (
	"strings"

	"github.com/terraphim/adfbot/internal/status"
)

// sweepView is the last sweep.
type sweepView struct {
	At    moment // zero: there was none
	Took  string
	Scope string
	Done  []sweepStep
	More  int // steps that are not shown
	Also  []string
}

type sweepStep struct{ What, Name, Link, Why string }

// sweepSteps is how many steps of a sweep are shown.
const sweepSteps = 20

func sweepOf(s status.Status) sweepView {
	r := s.LastSweep
	if r == nil {
		return sweepView{}
	}
	v := sweepView{At: momentOf(r.At, s.At), Took: span(r.Took), Scope: plural(r.Projects, "project")}
	for _, a := range r.Actions[:min(len(r.Actions), sweepSteps)] {
		step := sweepStep{What: strings.ReplaceAll(string(a.Kind), "-", " "), Name: a.Name, Link: webLink(a.Issue.URL), Why: a.Why}
		if step.Name == "" {
			step.Name = a.Project
		}
		v.Done = append(v.Done, step)
	}
	v.More = len(r.Actions) - len(v.Done)
	if r.TakenIn > 0 {
		v.Also = append(v.Also, plural(r.TakenIn, "spooled result")+" taken in")
	}
	if r.LostRuns > 0 {
		v.Also = append(v.Also, plural(r.LostRuns, "run")+" gone without a result, counted as failed")
	}
	if r.Pruned > 0 {
		v.Also = append(v.Also, plural(r.Pruned, "old result")+" deleted")
	}
	if len(r.Errors) > 0 {
		v.Also = append(v.Also, plural(len(r.Errors), "error")+", above")
	}
	return v
}
