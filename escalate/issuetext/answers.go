package issuetext

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
)

// The bot's answers to commands. Names and words from outside stand in code spans or are escaped: an answer notifies
// nobody beyond those who follow the issue anyway.

func NotOperator(key string, by tracker.Account, operators []string) string {
	var names []string
	for _, o := range operators[:min(len(operators), 10)] {
		names = append(names, markdown.CodeSpan(o))
	}
	return reply(key, "%s, this bot takes commands only from its operators, so nothing was done. Please ask one of them: %s.",
		markdown.CodeSpan(by.Login), strings.Join(names, ", "))
}

func Edited(key string, by tracker.Account) string {
	return reply(key, "%s, your comment was edited, and others than you can edit it, so its command was not carried out. "+
		"Please write a new comment.", markdown.CodeSpan(by.Login))
}

// CommandAnswer puts the answers of all steps together; "" where there is nothing to say.
func CommandAnswer(key string, o incident.Command) string {
	var parts []string
	for _, s := range o.Steps {
		if s.Ended {
			continue
		}
		if len(o.Steps) > 1 {
			parts = append(parts, markdown.CodeSpan("/adf "+s.Line.Written)+": "+s.Answer)
		} else {
			parts = append(parts, s.Answer)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return reply(key, "%s", strings.Join(parts, "\n\n"))
}

func UnknownCommand(c incident.CommandLine) string {
	what := "There is no such command"
	if c.Written != "" {
		what = "There is no command " + markdown.CodeSpan(c.Written)
	}
	return what + ". There are `/adf resume [reason]`, `/adf pause [reason]`, `/adf status` and `/adf ack`."
}

func Failed(v incident.Verb, state string, err error) string {
	return fmt.Sprintf("`/adf %s` failed, %s: %s. Once that is mended, give the command again.", v, state, strings.TrimRight(ErrorText(err.Error()), "."))
}

func Paused(project, problem string) string {
	s := markdown.CodeSpan(project) + " is paused. To resume it, comment `/adf resume` here, or run " + markdown.CodeSpan("adfbot resume "+project) + "."
	if problem != "" {
		s = markdown.CodeSpan(project) + " is to be paused, but its pause flag can't be written yet: " + ErrorText(problem) + ". The bot goes on trying."
	}
	return s
}

// LaterIncident refuses to end a later incident from the issue of an earlier one.
func LaterIncident(project string, i, open incident.Incident) string {
	s := fmt.Sprintf("Nothing was done: this is the issue of %s, which is over. %s is paused by %s now", markdown.CodeSpan(i.Name()), markdown.CodeSpan(project), markdown.CodeSpan(open.Name()))
	if !open.Issue.IsZero() {
		s += ": give the command in " + issueLink(open.Issue, i.Issue.Repo)
	}
	return s + "."
}

// CommandNote is what an order writes in a pause flag.
func CommandNote(o incident.Command, c incident.CommandLine, now time.Time) string {
	s := fmt.Sprintf("%s is paused by %s (in Gitea, %s, %s).\n", o.Project, maskLine(o.By.Login, 100), maskLine(o.Issue.String(), 200), minute(now))
	if why := maskLine(c.Reason, 500); why != "" {
		s += "Reason: " + why + "\n"
	}
	return s + "To resume, remove this file or run: adfbot resume " + o.Project + "\n"
}
