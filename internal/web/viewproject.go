package web

import (
	"fmt"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
)

type detailView struct {
	frame
	projectView
	FlagPath  string
	Paused    bool
	Runs      []runRow
	Incidents []incidentCard
	MoreRuns  bool
}

type runRow struct {
	Kind    string
	Began   moment
	Took    string
	How     string
	Agent   string
	Host    string
	RunID   string
	Note    string
	Output  string
	Visible bool // the output is shown at once
}

type incidentCard struct {
	Name, Anchor    string
	Opened, Ended   moment
	Lasted          string
	Why             string
	EndedHow        string
	Issue           issueView
	Lost            []issueView
	NoIssue, Wrong  string
	TakenBy         string
	TakenAt         moment
	Runs            []runRow
	Output          string
	Earlier         []earlierView
	Open, IsRebuilt bool
}

type issueView struct{ Text, Link string }

type earlierView struct {
	Name  string
	Span  string
	Issue issueView
}

// shownRuns is how many runs a full history brings; there may be more in the state.
const shownRuns = 50

// detailOf makes a project's page.
func detailOf(d bot.Detail) detailView {
	p := d.Projects[0]
	v := detailView{frame: frameOf(d.Status), projectView: projectOf(p, d.At), FlagPath: d.FlagPath, Paused: p.Paused == "yes"}
	v.Project = true
	switch {
	case p.Paused == "yes":
		v.Tone, v.Headline = toneBad, p.ID+" is paused"
		if p.Held {
			v.Tone, v.Headline = toneHeld, p.ID+" is held by a person"
		}
		if v.Since.Ago != "" {
			v.Headline += ", for " + v.Since.Ago
		}
		v.Sub = v.Reason
	case p.Paused != "no":
		v.Tone, v.Headline, v.Sub = toneUnknown, "It is not known whether "+p.ID+" may run", "Until it is, exec and gate do not let it run."
		if said(v.Problems, v.Reason) {
			v.Reason = ""
		}
	case len(v.Notes) > 0:
		v.Tone, v.Headline, v.Sub = toneWarn, p.ID+" may run", "Something needs a look."
	case len(d.Runs) == 0:
		v.Tone, v.Headline, v.Sub = toneIdle, p.ID+" may run", "Nothing has been reported of it yet."
	default:
		v.Tone, v.Headline, v.Sub = toneOK, p.ID+" may run", "Nothing is wrong."
		if v.Failing {
			v.Sub = "It failed last time."
		}
	}
	v.Title = v.Headline + " · adfbot"
	first := p.Failures > 0
	for _, r := range d.Runs {
		rv := runRowOf(r.Run, d.At)
		rv.Agent, rv.Output = r.Agent, r.Output
		if rv.Began.Machine == "" {
			rv.Began = momentOf(r.Recorded, d.At)
		}
		if !r.Counted && r.Outcome != store.Ignored {
			rv.Note = "does not count"
		}
		if rv.Output != "" && first {
			rv.Visible, first = true, false
		}
		v.Runs = append(v.Runs, rv)
	}
	v.MoreRuns = len(d.Runs) >= shownRuns
	for _, i := range d.Incidents {
		v.Incidents = append(v.Incidents, incidentCardOf(i, d.At))
	}
	return v
}

func runRowOf(r incident.Run, now time.Time) runRow {
	v := runRow{Kind: kindOf(r.Outcome), How: howEnded(r.Outcome, r.ExitCode, r.Signal, r.Detail), Host: r.Host, RunID: r.RunID, Began: momentOf(r.Started, now)}
	if r.Started.IsZero() {
		v.Began = momentOf(r.Finished, now)
	} else if !r.Finished.IsZero() {
		v.Took = span(r.Finished.Sub(r.Started))
	}
	return v
}

func incidentCardOf(i incident.Incident, now time.Time) incidentCard {
	v := incidentCard{
		Name: i.Name(), Anchor: fmt.Sprintf("incident-%d", i.Seq), Opened: momentOf(i.Opened, now), Open: i.IsOpen(), IsRebuilt: i.Rebuilt,
		EndedHow: i.EndedHow, Issue: issueOf(i.Issue), Output: i.Evidence.Output,
	}
	switch {
	case i.Failures > 0 && i.Threshold > 0:
		v.Why = fmt.Sprintf("%s failed %d times in a row, the threshold is %d", i.Agent, i.Failures, i.Threshold)
	case i.Failures > 0:
		v.Why = fmt.Sprintf("%s failed %d times in a row", i.Agent, i.Failures)
	default:
		v.Why = i.Agent + " failed repeatedly"
	}
	if i.Host != "" {
		v.Why += ", on " + i.Host
	}
	end := now
	if !v.Open {
		end = i.Ended
		v.Ended = momentOf(i.Ended, now)
	}
	v.Lasted = span(end.Sub(i.Opened))
	switch {
	case !i.Issue.IsZero():
	case v.Open:
		v.NoIssue = "Not open yet"
	default:
		v.NoIssue = "None was opened"
	}
	if i.Ack != nil {
		v.TakenBy, v.TakenAt = i.Ack.By.Login, momentOf(i.Ack.At, now)
	}
	if i.FlagError != "" && i.FlagWritten.IsZero() && v.Open {
		v.Wrong = i.FlagError
	}
	if i.LastErr != "" {
		if v.Wrong != "" {
			v.Wrong += "; "
		}
		v.Wrong += i.LastErr
	}
	for _, l := range i.Lost {
		v.Lost = append(v.Lost, issueOf(l))
	}
	for _, r := range i.Evidence.Runs {
		v.Runs = append(v.Runs, runRowOf(r, now))
	}
	for _, e := range i.Evidence.Earlier {
		v.Earlier = append(v.Earlier, earlierView{
			Name: fmt.Sprintf("%s#%d", i.Project, e.Seq), Issue: issueOf(e.Issue),
			Span: momentOf(e.Opened, now).Full + ", for " + span(e.Ended.Sub(e.Opened)),
		})
	}
	return v
}

func issueOf(r tracker.IssueRef) issueView {
	if r.IsZero() {
		return issueView{}
	}
	return issueView{Text: r.String(), Link: webLink(r.URL)}
}
