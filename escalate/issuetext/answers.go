package issuetext

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
)

// The replies to commands show untrusted words in code spans or escaped, so they notify nobody.

// NotOperator is the reply to an account that may not give commands.
func NotOperator(key string, by tracker.Account, operators []string) string {
	text := markdown.CodeSpan(by.Login) + ", this bot takes commands only from its operators, so it did nothing."
	others := slices.DeleteFunc(slices.Clone(operators), func(o string) bool { return strings.EqualFold(o, by.Login) })
	var names []string
	for _, o := range others[:min(len(others), 10)] {
		names = append(names, markdown.CodeSpan(o))
	}
	if len(names) > 0 {
		text += " Please ask one of them: " + strings.Join(names, ", ") + "."
	}
	if len(others) < len(operators) {
		text += " Its operator " + markdown.CodeSpan(by.Login) + " is another account, which had this login before: if it is to be yours, " +
			"whoever runs the bot takes the login out of `operators`, lets a sweep pass, and puts it in again."
	}
	return reply(key, "%s", text)
}

// Edited is the reply to a command in an edited comment.
func Edited(key string, by tracker.Account) string {
	return reply(key, "%s, your comment was edited. Since other people can edit it, too, its command was not run. "+
		"Please write a new comment.", markdown.CodeSpan(by.Login))
}

// ReadLate is the reply to a command that was read long after it was written.
func ReadLate(key string, by tracker.Account) string {
	return reply(key, "%s, your comment was read more than a week after it was written, so its command was not run. "+
		"If you still want that, please write it again.", markdown.CodeSpan(by.Login))
}

// EditedMeanwhile answers the first of the commands that were not run because their comment was edited meanwhile.
func EditedMeanwhile() string {
	return "Not run, like all below it: your comment was edited. Please write a new comment."
}

// lateAnswer is how old an answer is that says so: what it tells may have changed since.
const lateAnswer = time.Hour

// CommandAnswer joins the answers of a command's steps; "" if there are none.
func CommandAnswer(key string, c incident.Command, now time.Time) string {
	var parts []string
	var late time.Time
	for _, s := range c.Steps {
		if !s.Ended && late.IsZero() && !s.Answered.IsZero() && now.Sub(s.Answered) > lateAnswer {
			late = s.Answered
		}
		switch {
		case s.Ended: // answered by ResumedComment
		case len(c.Steps) > 1:
			parts = append(parts, markdown.CodeSpan("/adf "+s.Line.Written)+": "+s.Answer)
		default:
			parts = append(parts, s.Answer)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if !late.IsZero() {
		parts = slices.Insert(parts, 0, "This was carried out at "+minute(late)+", and could not be answered until now. It says how things were then:")
	}
	return reply(key, "%s", strings.Join(parts, "\n\n"))
}

// UnknownCommand answers a command that does not exist.
func UnknownCommand(c incident.CommandLine) string {
	what := "There is no such command."
	if c.Written != "" {
		what = "There is no command " + markdown.CodeSpan(c.Written) + "."
	}
	return what + " The commands are `/adf resume [reason]`, `/adf pause [reason]`, `/adf status`, `/adf ack` and `/adf snooze 4h`; " +
		"`/adf pause all [for 2h] [reason]` and `/adf resume all` are about all projects."
}

// MisplacedCommand answers lines that look like commands and are not run.
func MisplacedCommand() string {
	return "Not run. Please put commands first in a new comment, each on a line of its own, at most ten, without the characters `` ` `` and `<`. " +
		"Explanations and mentions go below them. If yours does begin with `/adf`, type it anew: a copied line may begin with an invisible character."
}

// Failed answers a command that failed. The state says in Markdown what holds now, e.g. "`odilo` is still paused".
func Failed(v incident.Verb, state string, err error) string {
	cause := strings.TrimRight(ErrorText(err.Error()), ".")
	return fmt.Sprintf("`/adf %s` failed, %s: %s. Fix that, and give the command again.", v, state, cause)
}

// resumeComment is the command that resumes one project, whatever else its issue is about.
func resumeComment(project string) string { return markdown.CodeSpan("/adf resume " + project) }

// Paused answers a pause. The problem says why the flag could not be written, or is "".
func Paused(project, problem string, resume Resume) string {
	code := markdown.CodeSpan(project)
	if problem != "" {
		return code + " is not paused yet, because its pause flag cannot be written: " + ErrorText(problem) + ". The bot keeps trying."
	}
	return code + " is paused. " + howToResume(project, resume)
}

// PausedFromNowOn answers a pause that has taken the place of one that would have ended before.
func PausedFromNowOn(project string, resume Resume) string {
	return markdown.CodeSpan(project) + " was paused already, and stays paused until somebody resumes it. " + howToResume(project, resume)
}

// PausedWithoutFlag answers a pause that stands although its flag could not be written; how says where, and why.
func PausedWithoutFlag(project, how string, resume Resume) string {
	return ErrorText(how) + ". The bot keeps trying. " + howToResume(project, resume)
}

func howToResume(project string, resume Resume) string {
	return "To resume it, comment " + resumeComment(project) + " here, or run " + markdown.CodeSpan(resume.Command) + "."
}

// LaterIncident answers a resume that was given in the issue of an earlier incident.
func LaterIncident(project string, i, open incident.Incident) string {
	s := fmt.Sprintf("Nothing was done: this is the issue of %s, which has ended. %s is now paused by %s",
		markdown.CodeSpan(i.Name()), markdown.CodeSpan(project), markdown.CodeSpan(open.Name()))
	if !open.Issue.IsZero() {
		s += ": comment " + resumeComment(project) + " in " + issueLink(open.Issue, i.Issue.Repo) // which may be about other projects, too
	}
	return s + "."
}

// LaterHold answers a resume that was written before somebody paused the project by hand.
func LaterHold(project string, h incident.Hold) string {
	return fmt.Sprintf("Nothing was done: %s was paused by hand at %s, after this was written. To resume it all the same, give the command again.",
		markdown.CodeSpan(project), minute(h.Since))
}

// LaterResume answers a pause that was written before somebody resumed the project on the bot's machine.
func LaterResume(project string) string {
	return "Nothing was done: " + markdown.CodeSpan(project) + " was resumed after this was written. To pause it all the same, give the command again."
}

// CommandNote is the note of a pause flag that a command writes.
func CommandNote(c incident.Command, line incident.CommandLine, resume Resume, now time.Time) string {
	s := fmt.Sprintf("%s is paused by %s (in Gitea, %s, %s).\n",
		c.Project, maskLine(c.By.Login, 100), maskLine(c.Issue.String(), 200), minute(now))
	if why := maskLine(line.Reason, 500); why != "" {
		s += "Reason: " + why + "\n"
	}
	return s + resume.line()
}
