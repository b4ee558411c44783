package issuetext

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// FlagNote is what the bot writes in a pause flag: a few lines for people, also more ways to resume where given, one
// sentence each, and lines that [ParseFlagNote] reads, the incident last. It has fewer than 4096 bytes.
func FlagNote(i incident.Incident, resume ...string) string {
	agent := maskLine(agentOf(i), 200)
	failed := "failed repeatedly"
	switch {
	case i.Failures == 1:
		failed = "failed"
	case i.Failures > 1:
		failed = fmt.Sprintf("failed %d times in a row", i.Failures)
	}
	where := ""
	if host := maskLine(i.Host, 200); host != "" {
		where = host + ", "
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is paused: %s %s (%s%s).\n", i.Project, agent, failed, where, minute(i.Opened))
	fmt.Fprintf(&b, "To resume, remove this file or run: adfbot resume %s\n", i.Project)
	for _, r := range resume[:min(len(resume), 5)] {
		fmt.Fprintf(&b, "%s\n", maskLine(r, 300))
	}
	fmt.Fprintf(&b, "\nagent: %s\nfailures: %d\n", agent, i.Failures)
	if !i.Opened.IsZero() {
		fmt.Fprintf(&b, "opened: %s\n", i.Opened.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "incident: %s %s\n", i.Name(), i.ID)
	return b.String()
}

// HoldNote is the text of the flag of a project that who paused by hand on an instance of the bot.
func HoldNote(project, why, who, instance string, now time.Time) string {
	s := fmt.Sprintf("%s is paused by %s (%s, %s).\n", project, redact.Line(who, 100), redact.Line(instance, 100), minute(now))
	if why = redact.Line(why, 500); why != "" {
		s += "Reason: " + why + "\n"
	}
	return s + "To resume, remove this file or run: adfbot resume " + project + "\n"
}

// maskLine is for text that knows no secret values: it masks by looks.
func maskLine(s string, limit int) string {
	var looks *redact.Redactor
	return looks.Line(s, limit)
}

// ParseFlagNote reads what [FlagNote] wrote. It needs the incident's line, the last one that is exactly so, and takes from
// the lines right above it what is there. A note that a person wrote, or that was cut, has none.
func ParseFlagNote(note string) (incident.FlagInfo, bool) {
	lines := strings.Split(note, "\n")
	for n := len(lines) - 1; n >= 0; n-- {
		info, ok := parseIncidentLine(lines[n])
		if !ok {
			continue
		}
		for n--; n >= 0; n-- {
			key, value, ok := strings.Cut(strings.TrimSpace(lines[n]), ": ")
			if !ok {
				break
			}
			switch key {
			case "agent":
				info.Agent = redact.Line(value, 200)
			case "failures":
				if f, err := strconv.Atoi(value); err == nil && f >= 0 {
					info.Failures = f
				}
			case "opened":
				if t, err := time.Parse(time.RFC3339, value); err == nil {
					info.Opened = t.UTC()
				}
			}
		}
		return info, true
	}
	return incident.FlagInfo{}, false
}

// parseIncidentLine reads "incident: odilo#3 <32 hexadecimal digits>".
func parseIncidentLine(line string) (incident.FlagInfo, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(line, " \t\r"), "incident: ")
	if !ok {
		return incident.FlagInfo{}, false
	}
	name, id, ok := strings.Cut(rest, " ")
	if !ok || !pause.IsRandomID(id) {
		return incident.FlagInfo{}, false
	}
	project, number, ok := strings.Cut(name, "#")
	seq, valid := tracker.ParseSeq(number)
	if !ok || !valid || !pause.ValidID(project) {
		return incident.FlagInfo{}, false
	}
	return incident.FlagInfo{Project: project, Seq: seq, Incident: id}, true
}
