package issuetext

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

// An issue that carries several incidents has a part that the bot writes anew, between two hidden lines: who they are and how it is with
// them. All else in its text stays as people left it.

// SharedData is what that part is made from.
type SharedData struct {
	Installation string
	Lead         incident.Incident
	Members      []SharedMember    // all that are known, the lead first
	Place        map[string]int    // orders their markers, by id; those of new ones are 0 and last
	Kept         []tracker.Marker  // of those that the issue carries and the state does not know yet
	Continues    *tracker.IssueRef // an issue of the same cause that has no room for more
	Status       string            // shell command that shows the state of all projects
	InGitea      bool              // operators may resume with a comment
	Brief        bool              // the server refuses a long text
}

// Others is how many projects there are beside that of the lead.
func (d SharedData) Others() int {
	return max(len(d.projects(func(SharedMember) bool { return true }))-1, 0)
}

// projects returns the projects of those members, and of all that are not known: these may be paused.
func (d SharedData) projects(of func(SharedMember) bool) map[string]bool {
	names := map[string]bool{}
	for _, m := range d.Members {
		if of(m) {
			names[m.Project] = true
		}
	}
	for _, m := range d.Kept {
		names[m.Project] = true
	}
	return names
}

// SharedMember is one of the incidents. If its evidence is to be shown, it has it.
type SharedMember struct {
	incident.Incident
	Resume string // shell command that resumes its project
}

const (
	maxShared      = 130_000 // bytes of a body that carries several incidents
	maxBriefLines  = 20
	maxEvidence    = 4000 // bytes of a member's output
	evidenceMarker = tracker.HiddenStart + "evidence -->"
)

// SharedTitle is [Composer.Title] for an issue that is about other projects, too.
func (c *Composer) SharedTitle(lead incident.Incident, others int) string {
	return c.title(lead, others)
}

// IsTitle reports whether the bot has given a title to the issue of an incident. A person may have changed it.
func (c *Composer) IsTitle(title string, lead incident.Incident) bool {
	if title == lead.Title {
		return true
	}
	for others := range max(len(lead.Members), 1) {
		if title == c.title(lead, others) {
			return true
		}
	}
	return false
}

// Share writes the bot's part into a body, at its top if there is none. The same data make the same part.
func (c *Composer) Share(body string, d SharedData) string {
	before, old, after := tracker.SplitPart(body)
	if old == "" {
		after = "\n\n" + body
	}
	markers := c.sharedMarkers(d)
	head, foot := c.sharedHead(d), c.sharedFoot(d)
	room := maxShared - len(before) - len(after) - len(markers) - len(head) - len(foot) - len(tracker.PartStart) - 10
	list, whole := c.sharedList(d, room)
	evidence := ""
	if whole && !d.Brief {
		evidence = c.sharedEvidence(d, old, room-len(list))
	}
	return before + tracker.PartStart + "\n" + head + "\n\n" + list + evidence + foot + "\n" + markers + tracker.PartEnd + after
}

func (c *Composer) sharedMarkers(d SharedData) string {
	var b strings.Builder
	markers := slices.Clone(d.Kept)
	marker := func(m incident.Incident) {
		markers = append(markers, tracker.Marker{Installation: d.Installation, Project: m.Project, Seq: m.Seq, Incident: m.ID})
	}
	for _, m := range d.Members {
		if m.ID != d.Lead.ID {
			marker(m.Incident)
		}
	}
	slices.SortStableFunc(markers, func(a, b tracker.Marker) int { return cmp.Compare(d.Place[a.Incident], d.Place[b.Incident]) })
	marker(d.Lead) // last, as in the whole body
	for _, m := range markers {
		b.WriteString(m.String() + "\n")
	}
	return b.String()
}

// sharedHead says how many projects have failed, why as far as that is known, and how to resume them.
func (c *Composer) sharedHead(d SharedData) string {
	paused, n := len(d.projects(func(m SharedMember) bool { return m.IsOpen() })), d.Others()+1
	cause := "in the same way"
	if name := c.redact.Line(classOf(d.Lead), maxName); name != "" {
		cause = "for the same reason, " + markdown.CodeSpan(name)
	}
	how := fmt.Sprintf("%d of them are paused", paused)
	switch {
	case paused == 0:
		how = "All of them have been resumed"
	case paused == n && n == 2:
		how = "Both of them are paused"
	case paused == n:
		how = "All of them are paused"
	case paused == 1:
		how = "One of them is still paused"
	}
	failed := fmt.Sprintf("**%s have failed %s.**", text.Plural(n, "project"), cause)
	if why := c.lastRun(d.Lead.Evidence); why != "" {
		failed = fmt.Sprintf("**%s have failed %s:** %s.", text.Plural(n, "project"), cause, why)
	}
	s := fmt.Sprintf("%s %s. This issue is about all of them.", failed, how)
	if d.Continues != nil {
		s += fmt.Sprintf(" It continues %s, which has no room for more.", c.link(*d.Continues, d.Lead.Issue.Repo))
	}
	s += "\n\nTo resume a project, run its command below or remove its pause flag."
	if d.InGitea {
		s += " An operator can also comment `/adf resume` for all, or `/adf resume PROJECT` for one."
	}
	return tracker.BreakMarkers(s + " Ticking a box resumes nothing: the bot ticks it when the project has been resumed.")
}

// lastRun says how the last failed run ended, and its last line of output; "" if that is not known.
func (c *Composer) lastRun(e incident.Evidence) string {
	var why []string
	for _, r := range e.Runs {
		if r.Outcome == "failure" {
			why = append(why, markdown.Text(string(c.sentence(result(r)))))
			break
		}
	}
	if line := class.LastLine(e.Output); line != "" {
		why = append(why, markdown.CodeSpan(string(c.name(line))))
	}
	return strings.Join(slices.DeleteFunc(why, func(s string) bool { return s == "" }), ", ")
}

// sharedList returns the checklist, and whether all lines have found room. The rest is counted.
func (c *Composer) sharedList(d SharedData, room int) (list string, whole bool) {
	var b strings.Builder
	var left, paused int
	for n, m := range d.Members {
		line := tracker.BreakMarkers(c.sharedLine(m)) + "\n"
		if left > 0 || b.Len()+len(line) > room-200 || d.Brief && n >= maxBriefLines {
			left++
			if m.IsOpen() {
				paused++
			}
			continue
		}
		b.WriteString(line)
	}
	if whole = left == 0; left+len(d.Kept) > 0 {
		fmt.Fprintf(&b, "\nand %d more, of which %d are paused: %s\n", left+len(d.Kept), paused+len(d.Kept),
			markdown.CodeSpan(string(c.sentence(d.Status))))
	}
	return b.String(), whole
}

func (c *Composer) sharedLine(m SharedMember) string {
	code := func(s string) string { return markdown.CodeSpan(c.redact.Line(s, maxName)) }
	who := code(m.Project)
	if agent := agentOf(m.Incident); agent != "project-meta" {
		who += " (" + code(agent) + ")"
	}
	since := minute(m.Opened)
	if m.Host != "" {
		since += " on " + code(m.Host)
	}
	command := markdown.CodeSpan(string(c.sentence(m.Resume)))
	switch m.Shows() {
	case incident.ShownEnded:
		how := strings.TrimPrefix(string(c.sentence(m.EndedHow)), "resumed ")
		if how != "" {
			how = ": " + markdown.Text(how)
		}
		return fmt.Sprintf("- [x] %s, paused %s, resumed %s%s", who, since, minute(m.Ended), how)
	case incident.ShownNotPaused:
		return fmt.Sprintf("- [ ] %s, failed %s, **NOT PAUSED**: its pause flag is not written, work may still be dispatched. To resume: %s", who, since, command)
	}
	return fmt.Sprintf("- [ ] %s, paused since %s: %s", who, since, command)
}

// sharedEvidence returns what is known of the failures of those members that have evidence, as far as there is room. After the state was
// lost, only the issue has it.
func (c *Composer) sharedEvidence(d SharedData, old string, room int) string {
	var b strings.Builder
	for _, m := range d.Members {
		if m.ID == d.Lead.ID || len(m.Evidence.Runs) == 0 && m.Evidence.Output == "" {
			continue
		}
		end := ""
		for _, r := range m.Evidence.Runs {
			if r.Outcome == "failure" {
				end = ": " + markdown.Text(string(c.sentence(result(r))))
				break
			}
		}
		output := "It wrote no output."
		if m.Evidence.Output != "" {
			output = markdown.Fence(c.redact.Shorten(m.Evidence.Output, maxEvidence))
		}
		b.WriteString(tracker.BreakMarkers(fmt.Sprintf("\n<details><summary>The last failed run of %s%s</summary>\n\n%s\n\n</details>\n", m.Project, end, output)))
	}
	evidence := b.String()
	if _, kept, ok := strings.Cut(old, evidenceMarker+"\n"); ok && evidence == "" && d.Lead.Rebuilt {
		evidence, _, _ = strings.Cut(kept, evidenceMarker)
	}
	if evidence == "" || len(evidence)+2*len(evidenceMarker)+10 > room {
		return ""
	}
	return "\n" + evidenceMarker + "\n" + evidence + evidenceMarker + "\n"
}

func (c *Composer) sharedFoot(d SharedData) string {
	return fmt.Sprintf("\nWhat follows is about %s alone, as it was when this issue was opened. The list above says how it is now, and the bot closes this issue when all have been resumed.\n",
		markdown.CodeSpan(d.Lead.Project))
}

// maxListed is how many projects a comment names.
const maxListed = 20

// oncePerProject returns the first incident of each project.
func oncePerProject(all []incident.Incident) (of []incident.Incident) {
	seen := map[string]bool{}
	for _, i := range all {
		if !seen[i.Project] {
			of = append(of, i)
		}
		seen[i.Project] = true
	}
	return of
}

// projectList names projects as in "`odilo`, `twins` and 3 more".
func projectList(of []incident.Incident) string {
	var names []string
	for _, i := range of[:min(len(of), maxListed)] {
		names = append(names, markdown.CodeSpan(i.Project))
	}
	if more := len(of) - maxListed; more > 0 {
		names = append(names, fmt.Sprint(more, " more"))
	}
	return andList(names)
}

// JoinedComment tells which projects have joined an issue, and how many it is about now.
func JoinedComment(key string, joined, all []incident.Incident) string {
	joined = oncePerProject(joined)
	have := "have"
	if len(joined) == 1 {
		have = "has"
	}
	return reply(key, "%s %s failed, too. This issue is about %s now: the list above says how to resume them.", projectList(joined), have, text.Plural(len(oncePerProject(all)), "project"))
}

// AllResumedComment says that all incidents of an issue have ended, and how the last one did.
func AllResumedComment(key string, all []incident.Incident) string {
	var last incident.Incident
	for _, i := range all {
		if !i.Ended.Before(last.Ended) {
			last = i
		}
	}
	projects := len(oncePerProject(all))
	if projects == 1 {
		return ResumedComment(key, last)
	}
	how := ErrorText(last.EndedHow)
	if how == "" {
		how = "it is not known how"
	}
	return reply(key, "All %s of this issue have been resumed, %s as the last one on %s: %s.",
		text.Plural(projects, "project"), markdown.CodeSpan(last.Project), minute(last.Ended), strings.TrimPrefix(how, "resumed "))
}

// SomeStillPausedComment is [StillPausedComment] for an issue that carries several incidents.
func SomeStillPausedComment(key string, paused []incident.Incident, hint string) string {
	are, them := "are", "them"
	if len(paused) == 1 {
		are, them = "is", "it"
	}
	if hint != "" {
		hint = "\n\n" + hint
	}
	return reply(key, "This issue was closed, but %s %s still paused, so the bot reopens it. The list above says how to resume %s. "+
		"The bot closes the issue when all are resumed.%s", projectList(paused), are, them, hint)
}

// NotInIssue answers a command that names a project of which the issue says nothing.
func NotInIssue(project string) string {
	return "Nothing was done: this issue is not about " + markdown.CodeSpan(project) + "."
}

// NoPatterns answers a command that names projects by a pattern.
func NoPatterns(v incident.Verb, pattern string) string {
	return fmt.Sprintf("Nothing was done: a comment names one project, and no pattern such as %s. The shell knows patterns: see `adfbot %s --help`.",
		markdown.CodeSpan(maskLine(pattern, maxName)), shellVerb(v))
}

// shellVerb returns the command of the shell that does what a command in a comment does.
func shellVerb(v incident.Verb) incident.Verb {
	if v == incident.PauseVerb || v == incident.ResumeVerb {
		return v
	}
	return incident.StatusVerb
}

// NoPauseTime answers a pause of one project that is to end by itself, which the command does.
func NoPauseTime(command string) string {
	return fmt.Sprintf("Nothing was done: only a pause of all projects, `/adf pause all for 2h`, can end by itself. To pause one until somebody resumes it, leave out "+
		"the time; for a time, run %s on the machine.", markdown.CodeSpan(command))
}

// NoResumeTime answers a resume that says how long, or when.
func NoResumeTime() string {
	return "Nothing was done: a resume is for now and for good. Please leave out the time, or give the command when the project is to run again."
}

// OneProjectEach answers a command that names several projects.
func OneProjectEach(v incident.Verb, project string) string {
	return fmt.Sprintf("Nothing was done: name one project in each line, e.g. %s.", markdown.CodeSpan(fmt.Sprintf("/adf %s %s", v, project)))
}

// ResumeWhom answers a resume of a project that the issue is not about. What was meant may have been one of them, or a reason.
func ResumeWhom(name string, members []incident.Incident) string {
	of := max(slices.IndexFunc(members, incident.Incident.IsOpen), 0) // one that is still paused, if there is one
	return fmt.Sprintf("Nothing was done: %s is none of this issue's projects. Comment %s to resume one of them, or `/adf resume` without more to resume all.",
		markdown.CodeSpan(maskLine(name, maxName)), resumeComment(members[of].Project))
}

// WhichProject answers a pause in an issue that is about several projects.
func WhichProject(members []incident.Incident) string {
	return fmt.Sprintf("Nothing was done: this issue is about %s. Name the one to pause, e.g. %s.",
		text.Plural(len(oncePerProject(members)), "project"), markdown.CodeSpan("/adf pause "+members[0].Project))
}

// ResumedAll is what a resume of all projects of an issue did.
type ResumedAll struct {
	Resumed []incident.Incident
	Later   []incident.Incident // those that were paused, or listed, after the command was written
	Held    []incident.Incident // those that have ended, and whose projects are paused by hand
	Failed  []FailedResume
}

// FailedResume is one that failed.
type FailedResume struct {
	incident.Incident
	Err error
}

// String is the answer.
func (r ResumedAll) String() string {
	var parts []string
	is := func(n int) string {
		if n == 1 {
			return "is"
		}
		return "are"
	}
	if resumed := oncePerProject(r.Resumed); len(resumed) > 0 {
		parts = append(parts, fmt.Sprintf("%s %s resumed.", projectList(resumed), is(len(resumed))))
	}
	if n := len(r.Later); n > 0 {
		parts = append(parts, fmt.Sprintf("%s %s still paused, because that was after this was written, or not in the list yet. To resume all the same, give the command again.",
			projectList(r.Later), is(n)))
	}
	if held := oncePerProject(r.Held); len(held) > 0 {
		parts = append(parts, fmt.Sprintf("%s %s still paused, by hand. To resume one, name it: %s.", projectList(held), is(len(held)), resumeComment(held[0].Project)))
	}
	for n, f := range r.Failed {
		if n == maxListed {
			parts = append(parts, fmt.Sprintf("And %d more failed.", len(r.Failed)-n))
			break
		}
		parts = append(parts, Failed(incident.ResumeVerb, markdown.CodeSpan(f.Project)+" is paused as before", f.Err))
	}
	if len(parts) == 0 {
		return "No project of this issue was paused."
	}
	return strings.Join(parts, "\n\n")
}
