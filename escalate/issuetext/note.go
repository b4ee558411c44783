package issuetext

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// Resume is how people on this machine resume a project.
type Resume struct {
	Command string // e.g. sudo -u adfbot adfbot resume odilo
	Flag    string // path of the pause flag
	InGitea bool   // operators may also comment on the issue
}

// ResumeCommand returns the command that resumes a project. runAs comes before it, e.g. "sudo -u adfbot ", and configFlag after it, e.g.
// " --config /srv/a.yaml"; both may be "".
func ResumeCommand(runAs, project, configFlag string) string {
	return runAs + "adfbot resume " + project + configFlag
}

// line is the advice in a flag.
func (w Resume) line() string {
	return fmt.Sprintf("%s%s\nor remove the file %s\n", ResumeLine, redact.Line(w.Command, 300), redact.Line(w.Flag, 1000))
}

// How the advice in a flag begins.
const (
	ResumeLine    = "To resume, run: "
	OrRemoveLine  = "or remove the file "
	OrCommentLine = "or comment /adf resume "
	OldResumeLine = "To resume, remove this file or run: " // of earlier versions
)

// Mark is what the bot writes into a flag to know it again.
type Mark struct {
	Pause   incident.Pause
	Written time.Time // the flag's modification time, in whole seconds: a flag with another one was touched
}

// lines are for [ParseFlagNote]; "" without a time.
func (m Mark) lines() string {
	if m.Written.IsZero() {
		return ""
	}
	return fmt.Sprintf("generation: %d\nwritten: %s\n", m.Pause.Generation, m.Written.UTC().Format(time.RFC3339))
}

// FlagNote returns the note of an incident's pause flag, less than 4096 bytes: some lines for people, and lines for
// [ParseFlagNote].
func FlagNote(i incident.Incident, resume Resume, mark Mark) string {
	agent, where := maskLine(agentOf(i), 200), minute(i.Opened)
	if host := maskLine(i.Host, 200); host != "" {
		where = host + ", " + where
	}
	var b strings.Builder
	why := text.Failed(i.Failures)
	if failed := maskLine(classOf(i), 200); failed != "" {
		why += ", " + failed
	}
	fmt.Fprintf(&b, "%s is paused: %s %s (%s).\n", i.Project, agent, why, where)
	b.WriteString(resume.line())
	if resume.InGitea {
		fmt.Fprintln(&b, OrCommentLine+i.Project+" on its issue, as an operator")
	}
	b.WriteString(flagFacts(i, agent, mark.lines()))
	return b.String()
}

// HoldFlag returns the note of a hold's pause flag, less than 4096 bytes: the hold's note, and lines for [ParseFlagNote].
func HoldFlag(h incident.Hold, resume Resume, mark Mark) string {
	note := strings.TrimRight(h.Note, "\n")
	if note == "" {
		note = fmt.Sprintf("%s is paused by a person's flag.\n%s", h.Project, strings.TrimRight(resume.line(), "\n"))
	}
	return note + "\n\n" + holdFacts(h) + mark.lines() + holdLine(h.Project, h.ID) + "\n"
}

// holdFacts returns the lines for [ParseFlagNote] that not every hold has.
func holdFacts(h incident.Hold) (lines string) {
	if h.Stop != "" {
		lines = fmt.Sprintf("stop: %s\n", h.Stop)
	}
	if !h.Until.IsZero() {
		lines += fmt.Sprintf("until: %s\n", h.Until.UTC().Format(time.RFC3339))
	}
	return lines
}

// maxKeptNote is how many bytes of a person's note are kept, so that it can be written again with the lines for [ParseFlagNote].
const maxKeptNote = 3000

// PersonsNote returns the text of a project's flag that is taken for a pause by hand, without the lines for [ParseFlagNote]. That of a copy
// of another project's flag says nothing about this one.
func PersonsNote(project, note string) string {
	if info, ok := ParseFlagNote(note); ok {
		if info.Project != project {
			return ""
		}
		note = withoutFacts(note)
	}
	note = strings.ToValidUTF8(note, "\uFFFD")
	for n := maxKeptNote; len(note) > maxKeptNote; n-- {
		if utf8.RuneStart(note[n]) {
			note = note[:n]
		}
	}
	return note
}

// withoutFacts returns a note without the lines for [ParseFlagNote] and the blank line before them. What a person wrote below them stays.
func withoutFacts(note string) string {
	lines := strings.Split(note, "\n")
	last := len(lines) - 1
	for ; last >= 0; last-- {
		_, incident := parseIncidentLine(lines[last])
		if _, hold := parseHoldLine(lines[last]); incident || hold {
			break
		}
	}
	first := last
	for first > 0 && strings.Contains(lines[first-1], ": ") && strings.TrimSpace(lines[first-1]) != "" {
		first--
	}
	if first > 0 && strings.TrimSpace(lines[first-1]) == "" {
		first--
	}
	return strings.Join(append(lines[:max(first, 0)], lines[last+1:]...), "\n")
}

// flagFacts returns the lines for [ParseFlagNote], with those of the mark.
func flagFacts(i incident.Incident, agent, mark string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nagent: %s\nfailures: %d\n", agent, i.Failures)
	if i.Class != "" {
		fmt.Fprintf(&b, "class: %s\n", maskLine(i.Class, 200))
	}
	if !i.Opened.IsZero() {
		fmt.Fprintf(&b, "opened: %s\n", i.Opened.UTC().Format(time.RFC3339))
	}
	b.WriteString(mark)
	fmt.Fprintln(&b, incidentLine(i.Project, i.Seq, i.ID))
	return b.String()
}

// Held is what the flag of a project that was paused by hand says.
type Held struct {
	Why      string
	Who      string
	Instance string // of the bot
	At       time.Time
	Until    time.Time // when the pause ends by itself; zero: it does not
	With     string    // what was paused with the project, e.g. "all projects"; "": nothing
}

// HoldNote returns the text of the flag of a project that was paused by hand.
func HoldNote(project string, h Held, resume Resume) string {
	with := ""
	if h.With != "" {
		with = " with " + redact.Line(h.With, 200)
	}
	s := fmt.Sprintf("%s is paused%s by %s (%s, %s).\n", project, with, redact.Line(h.Who, 100), redact.Line(h.Instance, 100), minute(h.At))
	if !h.Until.IsZero() {
		s += ResumesLine + minute(h.Until) + ".\n"
	}
	if why := redact.Line(h.Why, 500); why != "" {
		s += "Reason: " + why + "\n"
	}
	return s + resume.line()
}

// ResumesLine is how the line in a flag begins that says when the pause ends.
const ResumesLine = "It resumes by itself at "

// WithoutEnd returns a note without the line that says when the pause ends.
func WithoutEnd(note string) string {
	return strings.Join(slices.DeleteFunc(strings.SplitAfter(note, "\n"), func(line string) bool { return strings.HasPrefix(line, ResumesLine) }), "")
}

// StopNote is [HoldNote] for a project that a stop holds.
func StopNote(project string, s incident.Stop, instance string, resume Resume) string {
	return HoldNote(project, Held{Why: s.Reason, Who: s.By, Instance: instance, At: s.Since, Until: s.Until, With: s.What()}, resume)
}

// SpoolNote is [FlagNote] for failures that could not be stored. Their incident has no number yet, and the generation is not known. written is
// as in [Mark].
func SpoolNote(i incident.Incident, resume Resume, written time.Time) string {
	agent, what := maskLine(agentOf(i), 200), text.Plural(i.Failures, "failure")
	if i.Failures > 1 {
		what += " in a row"
	}
	what += " could not be stored"
	if failed := maskLine(classOf(i), 200); failed != "" {
		what += ", " + failed
	}
	return fmt.Sprintf("%s is paused: %s (%s on %s, %s).\n", i.Project, what, agent, maskLine(i.Host, 200), minute(i.Opened)) +
		resume.line() + flagFacts(i, agent, hostLine(i)+fmt.Sprintf("spooled: %s\n", written.UTC().Format(time.RFC3339)))
}

// hostLine is for [ParseFlagNote]: once the daemon of the host is back, the flag alone tells of the failures.
func hostLine(i incident.Incident) string {
	host := maskLine(i.Host, 200)
	if host == "" {
		return ""
	}
	return fmt.Sprintf("host: %s\n", host)
}

// maskLine masks by patterns only, without a list of known secrets.
func maskLine(s string, limit int) string {
	var patterns *redact.Redactor
	return patterns.Line(s, limit)
}

// ParseFlagNote reads a note of [FlagNote] or [HoldFlag]: the last line that names an incident or a hold, and the "key: value" lines
// right above it as far as they are valid. It returns false for a note that a person wrote or that was cut.
func ParseFlagNote(note string) (incident.FlagInfo, bool) {
	lines := strings.Split(note, "\n")
	for n := len(lines) - 1; n >= 0; n-- {
		info, ok := parseIncidentLine(lines[n])
		if !ok {
			info, ok = parseHoldLine(lines[n])
		}
		if !ok {
			continue
		}
		for n--; n >= 0; n-- {
			key, value, ok := strings.Cut(strings.TrimSpace(lines[n]), ": ")
			if !ok {
				break
			}
			setFlagInfo(&info, key, value)
		}
		return info, true
	}
	return incident.FlagInfo{}, false
}

func setFlagInfo(info *incident.FlagInfo, key, value string) {
	switch key {
	case "agent":
		info.Agent = redact.Line(value, 200)
	case "host":
		info.Host = redact.Line(value, 200)
	case "failures":
		if n, err := strconv.Atoi(value); err == nil && n >= 0 {
			info.Failures = n
		}
	case "class":
		if class.ValidName(value) {
			info.Class = value
		}
	case "opened":
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			info.Opened = tracker.PossibleTime(t.UTC())
		}
	case "stop":
		if pause.IsRandomID(value) {
			info.Stop = value
		}
	case "until":
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			info.Until = tracker.PossibleTime(t.UTC())
		}
	case "generation":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
			info.Pause.Generation = n
		}
	case "written":
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			info.Written = tracker.PossibleTime(t.UTC())
		}
	case "spooled":
		if t, err := time.Parse(time.RFC3339, value); err == nil {
			info.Spooled = tracker.PossibleTime(t.UTC())
		}
	}
}

func incidentLine(project string, seq int, id string) string {
	return fmt.Sprintf("incident: %s#%d %s", project, seq, id)
}

// parseIncidentLine reads the fields and accepts them if they make the same line again.
func parseIncidentLine(line string) (incident.FlagInfo, bool) {
	line = strings.TrimRight(line, " \t\r")
	name, id, _ := strings.Cut(strings.TrimPrefix(line, "incident: "), " ")
	project, number, _ := strings.Cut(name, "#")
	seq, err := strconv.Atoi(number)
	if err != nil || seq < 0 || !pause.ValidID(project) || !pause.IsRandomID(id) || incidentLine(project, seq, id) != line {
		return incident.FlagInfo{}, false
	}
	return incident.FlagInfo{Project: project, Seq: seq, Incident: id, Pause: incident.Pause{ID: id}}, true
}

func holdLine(project, id string) string { return "hold: " + project + " " + id }

func parseHoldLine(line string) (incident.FlagInfo, bool) {
	line = strings.TrimRight(line, " \t\r")
	project, id, _ := strings.Cut(strings.TrimPrefix(line, "hold: "), " ")
	if !pause.ValidID(project) || !pause.IsRandomID(id) || holdLine(project, id) != line {
		return incident.FlagInfo{}, false
	}
	return incident.FlagInfo{Project: project, Pause: incident.Pause{ID: id}}, true
}
