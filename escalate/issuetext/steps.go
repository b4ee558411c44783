package issuetext

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

// StepData is what a comment of the escalation is made from.
type StepData struct {
	Of      incident.Incident // the one that has been open for the longest
	Others  int               // further projects of the issue that are paused
	Resume  Resume
	Mention []string // logins and teams
	Ack     *incident.Ack

	Assigned bool // the bot has assigned people, who cannot answer by that
}

// paused says who has been paused, and for how long at a time.
func (d StepData) paused(at time.Time) string {
	who, since := markdown.CodeSpan(d.Of.Project)+" has", minute(d.Of.Opened)
	lasts := "for " + text.Age(at.Sub(d.Of.Opened))
	if d.Others > 0 {
		who = fmt.Sprintf("%s and %s of this issue have", markdown.CodeSpan(d.Of.Project), text.Plural(d.Others, "other project"))
		lasts = "for up to" + lasts[len("for"):]
	}
	return fmt.Sprintf("%s been paused %s, since %s", who, lasts, since)
}

// StepComment says that nobody has answered, and what the step does.
func StepComment(key string, d StepData, s incident.StepBegun) string {
	var does []string
	if len(s.Assign) > 0 {
		does = append(does, "assigns "+codeSpans(s.Assign))
	}
	if len(s.Labels) > 0 {
		does = append(does, "sets "+codeSpans(s.Labels))
	}
	if s.Webhook {
		does = append(does, "calls a webhook")
	}
	what := fmt.Sprintf("This is step %d of the escalation.", s.Number)
	if len(does) > 0 {
		what = fmt.Sprintf("Step %d of the escalation %s.", s.Number, andList(does))
	}
	return reply(key, "%s%s, and nobody has answered.\n\n%s %s", address(s.Mention), d.paused(s.Begun), what, d.howToAnswer())
}

// ReminderComment says that the project is still paused.
func ReminderComment(key string, d StepData, m incident.Reminder) string {
	whom := ""
	if d.Ack != nil {
		whom = fmt.Sprintf(" %s took it on %s.", markdown.CodeSpan(d.Ack.By.Login), minute(d.Ack.At))
	}
	how := "To resume the project, run " + markdown.CodeSpan(d.Resume.Command) + "."
	switch {
	case d.Others > 0:
		how = "The list above says how to resume them."
	case d.Resume.InGitea:
		how += " An operator can also comment `/adf resume`, or `/adf snooze 7d` to hear of it later."
	}
	return reply(key, "%sA reminder: %s.%s\n\n%s", address(d.Mention), d.paused(m.Begun), whom, how)
}

// howToAnswer says what ends the escalation.
func (d StepData) howToAnswer() string {
	assign := "assign yourself to this issue"
	if d.Assigned {
		assign += ", unless the bot has assigned you"
	}
	if !d.Resume.InGitea {
		return "To answer, " + assign + "; then there is no further step."
	}
	return "To answer, comment `/adf ack` as an operator, or " + assign + "; then there is no further step. `/adf snooze 4h` puts the next one off."
}

// address returns mentions and a line end, or "".
func address(names []string) string {
	if m := mentions(names); m != "" {
		return m + " "
	}
	return ""
}

func codeSpans(names []string) string {
	var spans []string
	for _, name := range names[:min(len(names), maxNames)] {
		spans = append(spans, markdown.CodeSpan(maskLine(name, maxName)))
	}
	if more := len(names) - maxNames; more > 0 {
		spans = append(spans, fmt.Sprint(more, " more"))
	}
	return andList(spans)
}

// andList returns words as in "a, b and c".
func andList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// Snoozed answers a snooze.
func Snoozed(until time.Time) string {
	return "Steps and reminders wait until " + minute(until) + "."
}

// SnoozeOver answers a snooze whose time was over when the command was read.
func SnoozeOver(until time.Time) string {
	return "The bot reads this only now, and that was over at " + minute(until) + ": steps and reminders go on. They come later by that time."
}

// SnoozeUsage answers a snooze without a time, or with one that is longer than the most; d is 0 if it is none.
func SnoozeUsage(written string, d time.Duration, most string) string {
	what := "Say for how long"
	switch {
	case d > 0:
		what = markdown.CodeSpan(maskLine(written, maxName)) + " is longer than " + most
	case written != "":
		what = markdown.CodeSpan(maskLine(written, maxName)) + " is no time"
	}
	return what + ": `/adf snooze 4h`, `90m`, `3d` or `1d12h`, at most " + most + ". It is for the whole issue."
}

// NothingToSnooze answers a snooze in the issue of an incident that is over.
func NothingToSnooze(i incident.Incident) string {
	return "Incident " + markdown.CodeSpan(i.Name()) + " is over: there is nothing to snooze."
}

// StepText is the text of the document that a step sends to a webhook. It is for chat, so it is plain.
func StepText(d incident.Delivery, of incident.Incident, others int, issue tracker.IssueRef) string {
	who, has := maskLine(of.Project, maxName), "has"
	if others > 0 {
		who, has = who+" and "+text.Plural(others, "other project"), "have"
	}
	return fmt.Sprintf("[ADF] %s %s been paused for %s, and nobody has answered: %s",
		who, has, text.Age(d.Begun.Sub(of.Opened)), issue.URL)
}
