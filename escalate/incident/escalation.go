package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Escalation is what was done to have somebody answer for a pause, and who has. Of an issue that carries several incidents, the one that
// leads has it for all.
type Escalation struct {
	Step     *StepBegun `json:"step,omitempty"`     // the last one; nil: none
	Reminder *Reminder  `json:"reminder,omitempty"` // the last one; nil: none

	Earlier  []StepProblem `json:"earlier,omitempty"`  // of the steps before the last one
	Webhooks []Delivery    `json:"webhooks,omitempty"` // that are not delivered yet
	Assigned []string      `json:"assigned,omitempty"` // logins that the bot has assigned to the issue
	// AssignedIDs are their accounts, as far as they were seen on the issue: a login may change.
	AssignedIDs []int64  `json:"assigned_ids,omitempty"`
	Assignee    *Ack     `json:"assignee,omitempty"` // somebody else who is assigned, and since when that is known; nil: nobody
	Snoozes     []Snooze `json:"snoozes,omitempty"`  // in their order; they do not overlap
}

// StepBegun is a step of the escalation as it was configured when it was begun. It is stored before anybody is told.
type StepBegun struct {
	Of      string        `json:"of"`       // id of the incident that had waited for so long; see [StepKey]
	After   time.Duration `json:"after_ns"` // its opening, in whole seconds
	Number  int           `json:"number"`   // from 1
	Begun   time.Time     `json:"begun"`
	Mention []string      `json:"mention,omitempty"` // logins and teams
	Assign  []string      `json:"assign,omitempty"`  // logins
	Labels  []string      `json:"labels,omitempty"`
	Webhook bool          `json:"webhook,omitempty"` // a document is sent, too, see [Delivery]

	Left     []StepPart `json:"left,omitempty"`     // what is still to be done in the tracker
	Problems []string   `json:"problems,omitempty"` // a sentence for each part that could not be done
}

// StepProblem is what could not be done of a step.
type StepProblem struct {
	Number int    `json:"number"` // of the step
	Why    string `json:"why"`    // a sentence
}

// maxStepProblems is how many of them are kept, the latest.
const maxStepProblems = 10

// StepPart is a part of a step that is done in the tracker. The values are stored.
type StepPart string

const (
	CommentPart StepPart = "comment"
	LabelsPart  StepPart = "labels"
	AssignPart  StepPart = "assign"
)

// String says what the part does, for people.
func (p StepPart) String() string {
	if p == AssignPart {
		return "assignees"
	}
	return string(p)
}

// Parts returns the parts of the step in the tracker, in their order. The comment comes first: people wait for it.
func (s StepBegun) Parts() []StepPart {
	parts := []StepPart{CommentPart}
	if len(s.Labels) > 0 {
		parts = append(parts, LabelsPart)
	}
	if len(s.Assign) > 0 {
		parts = append(parts, AssignPart)
	}
	return parts
}

// Key is the key of the step's comment.
func (s StepBegun) Key() string { return StepKey(s.Of, s.After) }

// Delivery is a document that a step sends to a webhook.
type Delivery struct {
	Event  string        `json:"event"` // id: the step's key
	File   string        `json:"file"`  // that holds the URL
	Of     string        `json:"of"`
	Number int           `json:"number"`
	After  time.Duration `json:"after_ns"`
	Begun  time.Time     `json:"begun"`

	Tries   int           `json:"tries,omitempty"` // that failed
	NextTry time.Time     `json:"next_try,omitzero"`
	Wait    time.Duration `json:"wait_ns,omitempty"` // how long NextTry was away when it was set
	Err     string        `json:"err,omitempty"`     // why the last try failed
}

// Reminder is a comment that the project is still paused.
type Reminder struct {
	Of    string        `json:"of"` // id of the incident
	After time.Duration `json:"after_ns"`
	Begun time.Time     `json:"begun"`
}

// Key is the key of the comment.
func (m Reminder) Key() string { return ReminderKey(m.Of, m.After) }

// StepKey is the key of the comment of a step, and the id of the event that its webhook gets. It names the time of the step, not its
// number, because that changes with the configuration; and neither starts again after the state was lost.
func StepKey(id string, after time.Duration) string {
	return fmt.Sprintf("%s/step/%d", id, int64(after/time.Second))
}

// ReminderKey is the key of a reminder.
func ReminderKey(id string, after time.Duration) string {
	return fmt.Sprintf("%s/reminder/%d", id, int64(after/time.Second))
}

// Begin stores that a step has begun: with all that is to be done. An earlier step is over, whatever is left of it; only its document is
// still sent, unless this one sends one to the same place.
func (e *Escalation) Begin(s StepBegun, webhookFile string) {
	s.Left, s.Webhook = s.Parts(), webhookFile != ""
	if last := e.Step; last != nil {
		e.Earlier = slices.Clone(e.Earlier)
		for _, why := range last.Problems {
			e.Earlier = append(e.Earlier, StepProblem{last.Number, why})
		}
		for _, part := range last.Left {
			e.Earlier = append(e.Earlier, StepProblem{last.Number, "the " + part.String() + " could not be done before the next step was due"})
		}
		e.Earlier = e.Earlier[max(len(e.Earlier)-maxStepProblems, 0):]
	}
	e.Step = &s
	e.AddAssigned(s.Assign...)
	if s.Webhook {
		e.Webhooks = slices.DeleteFunc(slices.Clone(e.Webhooks), func(d Delivery) bool { return d.File == webhookFile })
		e.Webhooks = append(e.Webhooks, Delivery{Event: s.Key(), File: webhookFile, Of: s.Of, Number: s.Number, After: s.After, Begun: s.Begun})
	}
}

// EndPart stores that a part of a step was done, or why it could not be.
func (e *Escalation) EndPart(part StepPart, problems []string) {
	if e.Step == nil {
		return
	}
	s := *e.Step
	s.Left = slices.DeleteFunc(slices.Clone(s.Left), func(p StepPart) bool { return p == part })
	s.Problems = append(slices.Clone(s.Problems), problems...)
	e.Step = &s
}

// ChangeWebhook applies f to the delivery of an event, if it is still to be made. A delivery that f reports as made is over.
func (e *Escalation) ChangeWebhook(event string, f func(*Delivery) (made bool)) {
	var left []Delivery
	for _, d := range e.Webhooks {
		if d.Event != event || !f(&d) {
			left = append(left, d)
		}
	}
	e.Webhooks = left
}

// AddAssigned notes whom the bot assigns: that is no answer.
func (e *Escalation) AddAssigned(logins ...string) {
	list := slices.Clone(e.Assigned)
	for _, login := range logins {
		if !slices.Contains(list, login) {
			list = append(list, login)
		}
	}
	e.Assigned = list
}

// AddAccounts notes the accounts of those whom the bot has assigned.
func (e *Escalation) AddAccounts(accounts ...tracker.Account) {
	ids := slices.Clone(e.AssignedIDs)
	for _, a := range accounts {
		if a.ID != 0 && !slices.Contains(ids, a.ID) {
			ids = append(ids, a.ID)
		}
	}
	e.AssignedIDs = ids
}

// Clone returns a copy that shares nothing which is changed in place.
func (e Escalation) Clone() Escalation {
	e.Webhooks, e.Snoozes = slices.Clone(e.Webhooks), slices.Clone(e.Snoozes)
	return e
}
