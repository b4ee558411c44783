package issuetext

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

// EndCommand is [ResumeCommand] for a stop.
func EndCommand(runAs string, s incident.Stop, configFlag string) string {
	if s.All() {
		return ResumeCommand(runAs, "--all", configFlag)
	}
	quoted := make([]string, len(s.Patterns))
	for n, pattern := range s.Patterns {
		quoted[n] = text.ShellQuote(pattern)
	}
	return ResumeCommand(runAs, strings.Join(quoted, " "), configFlag)
}

// The answers to commands about all projects.

// StoppedAll answers a stop: how many projects it holds, how many were paused before, with those that what ends it resumes, too; why some have
// no flag yet, and which command ends it.
func StoppedAll(s incident.Stop, held, others, with int, failed error, end string) string {
	answer := text.Plural(held, "project") + " paused"
	if !s.Until.IsZero() {
		answer += " until " + minute(s.Until)
	}
	answer += ", and any that becomes known from now on. "
	if n := others - with; n > 0 {
		answer += text.Plural(n, "other project") + " had been paused before, and stay so. "
	}
	if failed != nil {
		answer += "Not all have their pause flags yet, the bot keeps trying: " + ErrorText(failed.Error()) + ". "
	}
	answer += "To end this, comment `/adf resume all` in any issue of the bot, or run " + markdown.CodeSpan(end) + "."
	if with > 0 {
		answer += " That also resumes " + text.Plural(with, "project") + " that an earlier stop holds."
	}
	return answer
}

// EndedStop answers the end of stops.
func EndedStop(stops, resumed, still int, failed error) string {
	over, before := "The stop of all projects is over: ", "the stop"
	if stops > 1 {
		over, before = "The stops of all projects are over: ", "the first of them"
	}
	answer := over + text.Plural(resumed, "project") + " resumed"
	if still > 0 {
		answer += fmt.Sprintf(", %d still paused by an incident or another stop", still)
	}
	answer += ". What was paused before " + before + " is as it was."
	if failed != nil {
		answer += " The bot keeps trying to remove the other flags: " + ErrorText(failed.Error()) + "."
	}
	return answer
}

// NoStop answers a resume of all projects when they are not stopped.
func NoStop(project string) string {
	return fmt.Sprintf("Nothing was done: no stop of all projects is in force. To resume %s, comment `/adf resume`.", markdown.CodeSpan(project))
}

// LaterStop answers a resume of all projects that was written before they were stopped.
func LaterStop(s incident.Stop) string {
	return fmt.Sprintf("Nothing was done: all projects were paused at %s, after this was written. To resume them all the same, give the command again.",
		minute(s.Since))
}

// LaterStopEnd answers a pause of all projects that was written before an earlier stop was ended; "" without one.
func LaterStopEnd(s *incident.Stop) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("Nothing was done: an earlier stop of all projects was ended at %s, after this was written. To pause them all the same, "+
		"give the command again.", minute(s.Ended))
}

// WrongPauseTime answers a pause of all projects for a time that cannot be; d is 0 if the word is none.
func WrongPauseTime(word string, d time.Duration) string {
	is := "no time"
	switch {
	case d > incident.MaxPause:
		is = "longer than 30d"
	case d > 0:
		is = "shorter than 1m"
	}
	return fmt.Sprintf("Nothing was paused: %s is %s. Write a time from 1m to 30d as in `/adf pause all for 2h`, `90m` or `3d`.", markdown.CodeSpan(word), is)
}
