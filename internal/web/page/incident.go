package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

type incidentCard struct {
	incident.Incident
	Opened, Ended moment
	Anchor        string // of the card, unique on the page
	Lasted        string
	Why           string
	Issue         link
	Lost          []link // deleted issues
	Pending       string
	TakenBy       string
	TakenAt       moment
	Runs          []runRow
	Earlier       []earlierIncident
	Shown         string // id of the run whose output is the evidence's; "": that is not on the page
	Fold          *fold  // the evidence, if there is any
}

type earlierIncident struct {
	Name  string
	Span  string
	Issue link
}

func newIncidentCard(i incident.Incident, now time.Time) incidentCard {
	v := incidentCard{
		Incident: i, Opened: newMoment(i.Opened, now), Ended: newMoment(i.Ended, now), Why: reason(i), Anchor: anchor(i), Issue: issueLink(i.Issue), Pending: pending(i),
	}
	end := i.Ended
	if i.IsOpen() {
		end = now
	}
	v.Lasted = text.Duration(end.Sub(i.Opened))
	if i.Ack != nil {
		v.TakenBy, v.TakenAt = i.Ack.By.Login, newMoment(i.Ack.At, now)
	}
	for _, l := range i.Lost {
		v.Lost = append(v.Lost, issueLink(l))
	}
	for _, r := range i.Evidence.Runs {
		v.Runs = append(v.Runs, newRunRow(store.HistoryRun{Run: r}, now))
	}
	for _, e := range i.Evidence.Earlier {
		v.Earlier = append(v.Earlier, earlierIncident{
			Name: fmt.Sprintf("%s#%d", i.Project, e.Seq), Issue: issueLink(e.Issue),
			Span: newMoment(e.Opened, now).Full + ", for " + text.Duration(e.Ended.Sub(e.Opened)),
		})
	}
	if len(v.Runs) > 0 || i.Evidence.Output != "" || len(v.Earlier) > 0 {
		v.Fold = &fold{ID: "incident-" + v.Anchor, Open: i.IsOpen()}
	}
	return v
}

// anchor is the part of an incident's name behind the project.
func anchor(i incident.Incident) string {
	_, name, _ := strings.Cut(i.Name(), "#")
	return name
}

// reason says why an incident was opened.
func reason(i incident.Incident) string {
	if i.IsSilent() {
		return silentReason(i)
	}
	s := i.Agent + " " + text.Failed(i.Failures)
	if i.Failures > 0 && i.Threshold > 0 {
		s += fmt.Sprintf(", the threshold is %d", i.Threshold)
	}
	if i.Host != "" {
		s += ", on " + i.Host
	}
	if i.Unstored && i.Host != "" {
		s += ", which could not store its results then and counted no others"
	}
	if c := knownClass(i.Class); c != "" {
		s += ": " + c
	}
	return s
}

func silentReason(i incident.Incident) string {
	s := i.Agent + " had not reported since " + newMoment(i.Since, i.Opened).Full
	if i.Expect != "" {
		s += ", expected " + i.Expect
	}
	if !i.Began.IsZero() {
		s += "; a run that began " + newMoment(i.Began, i.Opened).Full + " on " + i.Host + " had no result"
	}
	return s
}

// pending returns why the flag is not written, and why Gitea does not show the incident as it is.
func pending(i incident.Incident) string {
	if i.FlagError == "" || !i.FlagWritten.IsZero() || !i.IsOpen() {
		return i.LastErr
	}
	return strings.TrimSuffix(i.FlagError+"; "+i.LastErr, "; ")
}

func issueLink(r tracker.IssueRef) link {
	if r.IsZero() {
		return link{}
	}
	return link{Text: r.String(), Link: webLink(r.URL)}
}
