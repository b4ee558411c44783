package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

type projectView struct {
	frame
	summary
	FlagPath  string
	Paused    bool
	Chart     *chart     // of the runs; nil: there are none
	Month     *monthView // nil: nothing was reported in it
	Runs      []runRow
	Older     string // address of the runs before these; "": there are none
	Newest    string // address of the newest runs; "": these are they
	Incidents []incidentCard
	Earlier   string // address of the incidents before these; "": there are none
	Latest    string // address of the latest incidents; "": these are they
	folds     folds
}

type runRow struct {
	store.HistoryRun
	Kind string
	At   moment
	What string // happened then: "began", or where that is unknown "ended" or "recorded"
	Took string
	How  string
	Note string
	Fold *fold // the output
}

func newProject(d status.Detail, at visit) projectView {
	p := d.Projects[0]
	v := projectView{frame: newFrame(d.Status, at), summary: newSummary(p, d.Status, at), FlagPath: d.FlagPath, Paused: p.Paused == status.Yes}
	v.Back = true
	v.setHeadline(p, len(p.LastRuns) > 0)
	v.Chart, v.Month = newChart(d.Runs, d.At), newMonth(d)
	expand := p.Failures > 0 // the output of the last failed run
	for _, r := range d.Runs {
		row := newRunRow(r, d.At)
		if !r.Counted && r.Outcome != store.Ignored {
			row.Note = "does not count"
		}
		if row.Output != "" {
			row.Fold = runFold(r)
			row.Fold.Open, expand = expand, false
			v.folds = append(v.folds, row.Fold)
		}
		v.Runs = append(v.Runs, row)
	}
	same := map[string]int{}
	for _, row := range slices.Backward(v.Runs) { // results from the spool may have been recorded in one moment
		if row.Fold == nil {
			continue
		}
		id := row.Fold.ID
		if same[id]++; same[id] > 1 {
			row.Fold.ID += fmt.Sprintf("-%d", same[id])
		}
	}
	for _, i := range d.Incidents {
		card := newIncidentCard(i, d.At)
		card.Shown = v.outputOf(card.Evidence.Output)
		v.Incidents = append(v.Incidents, card)
		if card.Fold != nil {
			v.folds = append(v.folds, card.Fold)
		}
	}
	v.folds.settle(at)
	if d.Older > 0 {
		v.Older = at.runsBefore(d.Older)
	}
	if at.pages.Before > 0 {
		v.Newest = at.runsBefore(0)
	}
	if d.Earlier != "" {
		v.Earlier = at.incidentsAfter(d.Earlier)
	}
	if at.pages.After != "" {
		v.Latest = at.incidentsAfter("")
	}
	return v
}

// outputOf returns the id of the run on the page that has this output, so that it is shown once; "" if there is none.
func (v *projectView) outputOf(output string) string {
	for _, row := range v.Runs {
		if output != "" && row.Fold != nil && strings.TrimSpace(row.Output) == strings.TrimSpace(output) {
			return row.Fold.ID
		}
	}
	return ""
}

func (v *projectView) setHeadline(p status.Project, anyRun bool) {
	switch {
	case p.Paused == status.Yes:
		v.Tone, v.Headline = toneBad, p.ID+" is paused"
		if p.Held {
			v.Tone, v.Headline = toneHeld, p.ID+" is paused by "+v.HeldBy
		}
		v.For, v.Sub = v.Since, v.Reason
	case p.Paused != status.No:
		v.Tone, v.Headline, v.Sub = toneUnknown, "Unknown whether "+p.ID+" may run", "Where exec and gate find the same, they do not let it run."
		if isProblem(v.Problems, v.Reason) {
			v.Reason = ""
		}
	case p.Silence != nil:
		v.Tone, v.Headline, v.Sub = toneWarn, p.ID+" may run", "It has not reported in time."
	case len(v.Notes) > 0 || len(v.Problems) > 0:
		v.Tone, v.Headline, v.Sub = toneWarn, p.ID+" may run", "Something needs attention."
	case v.HalfOpen != "":
		v.Tone, v.Headline, v.Sub = toneWarn, p.ID+" may run", "It was resumed and has had no success since."
	case !anyRun:
		v.Tone, v.Headline, v.Sub = toneIdle, p.ID+" may run", "Nothing has been reported for it yet."
	default:
		v.Tone, v.Headline, v.Sub = toneOK, p.ID+" may run", "Nothing is wrong."
		if v.failedLast() {
			v.Sub = "It failed last time."
		}
	}
}

func newRunRow(r store.HistoryRun, now time.Time) runRow {
	v := runRow{HistoryRun: r, Kind: status.Outcome(r.Outcome), How: howEnded(r.Outcome, r.ExitCode, r.Signal, r.Detail)}
	for _, at := range []struct {
		what string
		time time.Time
	}{{"began", r.Started}, {"ended", r.Finished}, {"recorded", r.Recorded}} {
		if !at.time.IsZero() {
			v.What, v.At = at.what, newMoment(at.time, now)
			break
		}
	}
	v.Class = knownClass(r.Class)
	if !r.Started.IsZero() && !r.Finished.IsZero() {
		v.Took = text.Duration(r.Finished.Sub(r.Started))
	}
	return v
}
