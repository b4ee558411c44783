package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/text"
)

// Step is a step of the escalation, as it is configured.
type Step struct {
	After   time.Duration // since the opening, in whole seconds
	Mention []string      // logins and teams whom a comment addresses
	Assign  []string      // logins
	Labels  []string      // names
	Webhook string        // file with the URL of a webhook; "": none
}

// Escalation says what is done until somebody answers, and how often people are reminded of a pause.
type Escalation struct {
	Steps  []Step        // in the order of After
	Remind time.Duration // 0: never
}

// DueStep is a step and the incident that has waited for so long.
type DueStep struct {
	Step
	Number int // from 1
	Of     incident.Incident
}

// Unanswered returns the oldest of the incidents that an issue carries which is open and for which nobody has answered, or false: nobody
// has given the command ack for it, and nobody is assigned whom the bot has not assigned. The first one leads.
func Unanswered(carried []incident.Incident) (incident.Incident, bool) {
	if len(carried) == 0 || carried[0].Escalation.Assignee != nil {
		return incident.Incident{}, false
	}
	return oldest(carried, IsUnanswered)
}

// AwaitsAnswer reports whether people are told now that nobody has answered: not while that is snoozed, also of what has begun before.
func AwaitsAnswer(carried []incident.Incident, now time.Time) bool {
	_, waits := Unanswered(carried)
	return waits && carried[0].Escalation.SnoozedUntil(now).IsZero()
}

// IsUnanswered reports whether an incident is open and nobody has given the command ack for it.
func IsUnanswered(i incident.Incident) bool { return i.IsOpen() && i.Ack == nil }

// Named returns which of the incidents that an issue carries is named in what people are told, and how many others are meant: the one with
// an id or, if that is no longer meant, the oldest that is. If none is, it is the one that leads, which is the first.
func Named(carried []incident.Incident, id string, isMeant func(incident.Incident) bool) (named incident.Incident, others int) {
	meant := those(carried, isMeant)
	if len(meant) == 0 {
		meant = carried[:1]
	}
	if n := slices.IndexFunc(meant, func(i incident.Incident) bool { return i.ID == id }); n >= 0 {
		return meant[n], len(meant) - 1
	}
	return slices.MinFunc(meant, byOpening), len(meant) - 1
}

func oldest(carried []incident.Incident, which func(incident.Incident) bool) (incident.Incident, bool) {
	found := those(carried, which)
	if len(found) == 0 {
		return incident.Incident{}, false
	}
	return slices.MinFunc(found, byOpening), true
}

func those(carried []incident.Incident, which func(incident.Incident) bool) []incident.Incident {
	return slices.DeleteFunc(slices.Clone(carried), func(i incident.Incident) bool { return !which(i) })
}

func byOpening(a, b incident.Incident) int { return a.Opened.Compare(b.Opened) }

// Due returns the step that is due now for the incidents that an issue carries: the latest one whose time has come and which has not begun.
// Those before it are left out.
func (e Escalation) Due(carried []incident.Incident, now time.Time) (due DueStep, ok bool) {
	of, waits := Unanswered(carried)
	if !waits || !carried[0].Escalation.SnoozedUntil(now).IsZero() {
		return due, false
	}
	awake := carried[0].Escalation.Awake(of.Opened, now)
	for n, s := range e.Steps {
		if s.After <= awake && !hasBegun(carried[0], of, s) {
			due, ok = DueStep{s, n + 1, of}, true
		}
	}
	return due, ok
}

// Next returns the step that comes next, and when.
func (e Escalation) Next(carried []incident.Incident) (next DueStep, at time.Time, ok bool) {
	of, waits := Unanswered(carried)
	if !waits {
		return next, at, false
	}
	for n, s := range e.Steps {
		if !hasBegun(carried[0], of, s) {
			return DueStep{s, n + 1, of}, carried[0].Escalation.WhenAwake(of.Opened, s.After), true
		}
	}
	return next, at, false
}

// hasBegun reports whether a step or a later one was begun in the issue for the incident, or since it was opened.
func hasBegun(lead, of incident.Incident, s Step) bool {
	last := lead.Escalation.Step
	return last != nil && s.After <= last.After && (last.Of == of.ID || !last.Begun.Before(of.Opened))
}

// DueReminder returns the reminder that is due now for the incidents that an issue carries: at the first, second, … multiple of the
// interval, if that much has passed since the last one.
func (e Escalation) DueReminder(carried []incident.Incident, now time.Time) (incident.Reminder, bool) {
	if e.Remind <= 0 || len(carried) == 0 {
		return incident.Reminder{}, false
	}
	of, open := oldest(carried, incident.Incident.IsOpen)
	lead := carried[0].Escalation
	if !open || !lead.SnoozedUntil(now).IsZero() {
		return incident.Reminder{}, false
	}
	from := of.Opened
	if last := lead.Reminder; last != nil && last.Begun.After(from) && !last.Begun.After(now) { // else a clock was wrong then
		from = last.Begun
	}
	if lead.Awake(from, now) < e.Remind {
		return incident.Reminder{}, false
	}
	return incident.Reminder{Of: of.ID, After: lead.Awake(of.Opened, now).Truncate(e.Remind), Begun: now}, true
}

// escalation plans what is due in an open issue for want of an answer.
func (p *planner) escalation(i *incident.Incident) {
	carried := p.o.Carried(i)
	if by, listed := p.o.Assignees[i.ID]; listed && len(p.o.Escalation.Steps) > 0 && by.ID != assigneeOf(*i) {
		why := "nobody is assigned any more who was not by the bot"
		if by.ID != 0 {
			why = fmt.Sprintf("%s is assigned", by.Login)
		}
		p.add(NoteAssignee, i, why)
		return // what follows from that is planned next
	}
	if p.o.Unnoted[i.ID] {
		p.add(NoteAssignee, i, "whom the bot has assigned may take another login")
		return
	}
	if !i.Escalation.SnoozedUntil(p.o.Now).IsZero() {
		return // what is not finished waits, too
	}
	if due, ok := p.o.Escalation.Due(carried, p.o.Now); ok {
		p.add(Escalate, i, fmt.Sprintf("%s has been paused for %s, and nobody has answered", due.Of.Name(), text.Age(p.o.Now.Sub(due.Of.Opened))))
	} else if _, waits := Unanswered(carried); waits && i.Escalation.Step != nil && len(i.Escalation.Step.Left) > 0 {
		p.add(Escalate, i, fmt.Sprintf("step %d of the escalation is not finished", i.Escalation.Step.Number))
	}
	last := i.Escalation.Reminder
	if _, ok := p.o.Escalation.DueReminder(carried, p.o.Now); ok || last != nil && isBegun(*i, last.Key()) {
		p.add(Remind, i, "it is still paused")
	}
}

func assigneeOf(i incident.Incident) int64 {
	if i.Escalation.Assignee == nil {
		return 0
	}
	return i.Escalation.Assignee.By.ID
}

// isBegun reports whether a comment was begun and is not done.
func isBegun(i incident.Incident, key string) bool {
	c, begun := i.Comments[key]
	return begun && !c.Done
}
