package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/text"
)

// Escalation is how far the steps of an incident are. Incidents that share an issue share it.
type Escalation struct {
	Steps        int        `json:"steps"`                   // that are configured
	Step         int        `json:"step"`                    // the last one that was taken; 0: none
	StepAt       *time.Time `json:"step_at,omitempty"`       // when it was
	Next         int        `json:"next_step,omitempty"`     // 0: none comes
	NextAt       *time.Time `json:"next_step_at,omitempty"`  // when it is due, unless somebody answers
	SnoozedUntil *time.Time `json:"snoozed_until,omitempty"` // steps and reminders wait
	RemindedAt   *time.Time `json:"reminded_at,omitempty"`   // the last time
	Problems     []string   `json:"problems,omitempty"`      // what of the last step could not be done, and why
	Webhooks     []Webhook  `json:"webhooks,omitempty"`      // that could not be called yet

	Earlier []StepProblem `json:"earlier_problems,omitempty"` // of the steps before the last one
	left    []string      // what of the last step is still to be done
}

// StepProblem is what could not be done of a step, and why.
type StepProblem struct {
	Step    int    `json:"step"`
	Problem string `json:"problem"`
}

// Webhook is a webhook of a step that was called in vain.
type Webhook struct {
	ID      string    `json:"id"` // of the event, as in the document
	Step    int       `json:"step"`
	Tries   int       `json:"tries"`
	NextTry time.Time `json:"next_try"`
	Error   string    `json:"error"`
}

// Note is the escalation in a few words, as of a time: ", step 2 of 3"; "" if there is nothing to say.
func (e *Escalation) Note(now time.Time) string {
	return e.note(func(at time.Time) string { return until(now, at) })
}

// TimedNote is [Escalation.Note] with the time at which the next step is due, in place of how long that takes: it stays the same until
// something happens.
func (e *Escalation) TimedNote() string {
	return e.note(func(at time.Time) string { return "due " + at.UTC().Format(describeFormat) })
}

func (e *Escalation) note(due func(time.Time) string) string {
	switch {
	case e == nil:
	case e.SnoozedUntil != nil:
		return ", snoozed until " + e.SnoozedUntil.Format(describeFormat)
	case e.Step > 0 && e.Next > 0:
		return fmt.Sprintf(", step %d of %d, the next one %s", e.Step, e.Steps, due(*e.NextAt))
	case e.Step > 0:
		return fmt.Sprintf(", step %d of %d", e.Step, max(e.Step, e.Steps))
	case e.Next > 0:
		return fmt.Sprintf(", step %d of %d %s", e.Next, e.Steps, due(*e.NextAt))
	}
	return ""
}

// until says when something is due. A step that is due is taken by the next sweep that reaches Gitea.
func until(now, then time.Time) string {
	if left := then.Sub(now).Truncate(time.Second); left > 0 {
		return "in " + text.Duration(left)
	}
	return "due now"
}

// escalation returns how far the steps of an open incident are, nil if there is nothing to say, and whether somebody has answered.
func (r *Reader) escalation(carried []incident.Incident) *Escalation {
	from, now := carried[0].Escalation, r.from.Now()
	e := &Escalation{Steps: len(r.from.Config.Escalation.Steps)}
	if s := from.Step; s != nil {
		e.Step, e.StepAt, e.Problems = s.Number, known(s.Begun), s.Problems
	}
	for _, p := range from.Earlier {
		e.Earlier = append(e.Earlier, StepProblem{p.Number, p.Why})
	}
	if number, at := r.from.Reconciler.NextStep(carried); number > 0 {
		e.Next, e.NextAt = number, known(at)
	}
	e.SnoozedUntil = known(from.SnoozedUntil(now))
	if m := from.Reminder; m != nil {
		e.RemindedAt = known(m.Begun)
	}
	if e.Steps > 0 && r.from.Reconciler.Unanswered(carried) {
		if from.Step != nil {
			for _, part := range from.Step.Left {
				e.left = append(e.left, part.String())
			}
		}
		for _, d := range from.Webhooks {
			if d.Err != "" {
				e.Webhooks = append(e.Webhooks, Webhook{ID: d.Event, Step: d.Number, Tries: d.Tries, NextTry: d.NextTry.UTC(), Error: d.Err})
			}
		}
	}
	if e.Steps == 0 && e.Step == 0 && e.SnoozedUntil == nil && e.RemindedAt == nil {
		return nil
	}
	return e
}

// addEscalation adds it to an open incident. The one that leads has the problems: they are said once.
func (r *Reader) addEscalation(p *Project, i incident.Incident, carried []incident.Incident) {
	p.Incident.Escalation = r.escalation(carried)
	if by := carried[0].Escalation.Assignee; by != nil && i.Ack == nil {
		p.Incident.TakenBy, p.Incident.TakenAt = by.By.Login, by.At
	}
	e := p.Incident.Escalation
	if e == nil || i.ID != carried[0].ID {
		return
	}
	for _, earlier := range e.Earlier {
		p.Warnings = append(p.Warnings, fmt.Sprintf("step %d of the escalation: %s", earlier.Step, earlier.Problem))
	}
	for _, why := range e.Problems {
		p.Warnings = append(p.Warnings, fmt.Sprintf("step %d of the escalation: %s", e.Step, why))
	}
	if len(e.left) > 0 {
		when := ""
		if e.SnoozedUntil != nil {
			when = "after the snooze "
		}
		p.addUnfinished(i, fmt.Sprintf("step %d of the escalation to be finished %s(%s)", e.Step, when, strings.Join(e.left, ", ")))
	}
	for _, h := range e.Webhooks {
		w := wait{incident: i.Name(), what: fmt.Sprintf("the webhook of step %d to be called", h.Step), reason: h.Error}
		p.waits, p.Pending = append(p.waits, w), append(p.Pending, w.String())
	}
}

// addUnfinished says what an open incident waits for whose issue there is, also where the last failure is not known any more.
func (p *Project) addUnfinished(i incident.Incident, what string) {
	for n, w := range p.waits {
		if w.incident == i.Name() && w.what == "" {
			p.Pending = slices.DeleteFunc(p.Pending, func(s string) bool { return s == w.String() })
			p.waits = slices.Delete(p.waits, n, n+1)
			break
		}
	}
	w := wait{incident: i.Name(), what: what, reason: i.LastErr}
	p.waits, p.Pending = append(p.waits, w), append(p.Pending, w.String())
}

// addForgotten marks a pause by hand that is older than the time after which people are reminded of one that has an issue.
func (r *Reader) addForgotten(p *Project, since time.Time) {
	age := r.from.Now().Sub(since)
	if remind := r.from.Config.Escalation.Remind; remind > 0 && age >= remind {
		p.Forgotten = true
		p.Warnings = append(p.Warnings, fmt.Sprintf("paused by hand since %s, and there is no issue to remind of it: resume it if it was forgotten", since.UTC().Format(describeFormat)))
	}
}

// failingWebhooks returns how many documents of an incident's steps could not be sent yet.
func (r *Reader) failingWebhooks(i incident.Incident, s snapshot) int {
	if len(i.Escalation.Webhooks) == 0 {
		return 0
	}
	return len(r.escalation(s.views.Carried(i)).Webhooks)
}
