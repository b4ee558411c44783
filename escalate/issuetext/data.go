package issuetext

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

// IssueData is the input of [Composer.Body].
type IssueData struct {
	Incident     incident.Incident
	Installation string       // for the marker
	Repo         tracker.Repo // of the new issue

	PauseFlag  string // path
	RunAs      string // what comes before a command of adfbot to run it as the bot's user, e.g. "sudo -u adfbot ", or ""
	RemoveAs   string // the same, before a command that removes the flag
	ConfigFlag string // what comes after one of adfbot to name the configuration, e.g. " --config /srv/a.yaml", or ""
	FlagError  string // why the flag could not be written; "" if it was

	Mentions []string          // logins and teams, e.g. "acme/ops"
	Replaces *tracker.IssueRef // an earlier issue of the incident, which was deleted or lost its marker

	ResumeInGitea bool // operators may resume with a comment
	CloseResumes  bool // operators may resume by closing the issue; otherwise the bot reopens it
	AnyHost       bool // several hosts have the flag, and it may be removed on any of them

	Workflow tracker.Workflow // whose runs are the results of the project; zero: others report them
}

const (
	maxName     = 200 // bytes of a name
	maxSentence = 600 // bytes of a sentence
	maxRuns     = 10
	maxEarlier  = 10
)

// Untrusted is text from outside, cleaned and masked. Printed by a template, it is escaped so that none of it becomes
// markup. The functions code, fence and text use the original text.
type Untrusted string

// String returns [markdown.Text] of u.
func (u Untrusted) String() string { return markdown.Text(string(u)) }

// TemplateData is the data of a template. Its texts are masked and shortened.
type TemplateData struct {
	Project Untrusted
	Agent   Untrusted
	Name    Untrusted // of the incident, e.g. odilo#3
	Seq     int       // of the incident, e.g. 3
	ID      Untrusted // of the incident, 32 hexadecimal digits

	Failures  int  // consecutive, at the trip; 0 if unknown
	Threshold int  // 0 if unknown
	Unstored  bool // Host counted its own failures only, because it could not store them
	Opened    time.Time
	Ended     time.Time // when it was resumed, where the issue is opened for others that are still paused; else zero
	Class     Untrusted // what kind of failure tripped the breaker; "" if that is unknown
	Result    Untrusted // of that run, as in TemplateRun
	LastLine  Untrusted // of its output, without blank lines; at most 200 bytes
	Why       string    // the three as Markdown, joined by commas; "" if there is none
	Trend     string    // what happened before, as Markdown; "" if nothing did
	Host      Untrusted // of the run that tripped the breaker
	Instance  Untrusted // name of this bot

	PauseFlag     Untrusted // path of the pause flag
	Remove        Untrusted // shell command that removes it
	Resume        Untrusted // shell command that resumes the project
	NotPaused     bool      // the flag could not be written
	FlagError     Untrusted // why
	ResumeInGitea bool      // operators may resume with a comment
	ResumeComment Untrusted // that comment, e.g. "/adf resume odilo"
	CloseResumes  bool      // operators may resume by closing the issue
	AnyHost       bool      // the flag may be removed on any of several hosts

	Workflow     Untrusted // file of the workflow in Gitea Actions whose runs are the project's results; "" if others report them
	WorkflowRepo Untrusted // owner/name of its repository
	Disabled     bool      // it is disabled while the project is paused

	Runs    []TemplateRun // newest first
	History string        // the marks of Runs, oldest first
	Output  Untrusted     // of the last failed run; has several lines
	Earlier []TemplateIncident
	More    int // number of earlier incidents that are not in Earlier

	Mentions string      // "@one @two", or ""
	Missing  []Untrusted // a sentence for each part of the text that is left out; [AddLeftOut] adds to the list
	Replaces string      // link to the issue that this one replaces, or ""
	Rebuilt  bool        // the incident was rebuilt after the state was lost
	Awaited  bool        // the incident was made from the pause flag, before its results came: they could not be stored when they failed
	ShowRuns Untrusted   // shell command that lists the project's runs, with their output
	Problem  Untrusted   // why the operator's template was not used, or ""
}

// TemplateRun is a run in [TemplateData].
type TemplateRun struct {
	Mark     string // ✔, ✘, or – for a run that does not count
	Outcome  Untrusted
	Result   Untrusted // e.g. "exit 1", "SIGKILL", "exit 1, timed out after 1h0m0s"; "" if unknown
	Started  time.Time
	Finished time.Time
	Took     time.Duration // 0 if unknown
	Host     Untrusted
	RunID    Untrusted
}

// TemplateIncident is an earlier incident in [TemplateData].
type TemplateIncident struct {
	Name   Untrusted
	Opened time.Time
	Ended  time.Time
	Issue  string // link, or a dash
}

// data cleans, masks and shortens everything that a template sees.
func (c *Composer) data(in IssueData) TemplateData {
	i := in.Incident
	d := TemplateData{
		Project: c.name(i.Project), Agent: c.name(agentOf(i)), Name: c.name(i.Name()), Seq: i.Seq, ID: c.name(i.ID),
		Failures: i.Failures, Threshold: i.Threshold, Unstored: i.Unstored, Opened: i.Opened, Ended: i.Ended, Host: c.name(i.Host), Instance: c.name(i.Instance),
		PauseFlag: c.sentence(in.PauseFlag), Remove: c.sentence(in.RemoveAs + "rm " + text.ShellQuote(in.PauseFlag)),
		Resume:    c.sentence(ResumeCommand(in.RunAs, i.Project, in.ConfigFlag)),
		NotPaused: in.FlagError != "", FlagError: c.sentence(in.FlagError),
		ResumeInGitea: in.ResumeInGitea, ResumeComment: c.sentence("/adf resume " + i.Project), CloseResumes: in.CloseResumes, AnyHost: in.AnyHost,
		Workflow: c.name(in.Workflow.File), WorkflowRepo: c.name(in.Workflow.Repo), Disabled: in.Workflow.Disable,
		Mentions: mentions(in.Mentions), Rebuilt: i.Rebuilt && !i.Unstored, Awaited: i.Rebuilt && i.Unstored,
		ShowRuns: c.sentence(in.RunAs + "adfbot runs " + i.Project + " --output 20" + in.ConfigFlag),
		Trend:    trend(i.Trend), Class: c.name(classOf(i)), LastLine: c.name(class.LastLine(i.Evidence.Output)),
	}
	if in.Replaces != nil {
		d.Replaces = c.link(*in.Replaces, repoOf(in))
	}
	for _, r := range i.Evidence.Runs[:min(len(i.Evidence.Runs), maxRuns)] {
		d.Runs = append(d.Runs, TemplateRun{
			Mark: mark(r.Outcome), Outcome: c.name(r.Outcome), Result: c.sentence(result(r)), Host: c.name(r.Host),
			RunID: c.name(r.RunID), Started: r.Started, Finished: r.Finished, Took: took(r),
		})
	}
	d.History = history(d.Runs)
	d.setWhy()
	earlier := slices.Clone(i.Evidence.Earlier)
	slices.SortStableFunc(earlier, func(a, b incident.EarlierIncident) int { return b.Seq - a.Seq })
	d.More = max(len(earlier)-maxEarlier, 0)
	for _, e := range earlier[:len(earlier)-d.More] {
		name := incident.Incident{Project: i.Project, Seq: e.Seq}.Name()
		d.Earlier = append(d.Earlier, TemplateIncident{c.name(name), e.Opened, e.Ended, c.link(e.Issue, repoOf(in))})
	}
	d.Output = Untrusted(c.redact.Shorten(i.Evidence.Output, MaxBody))
	return d
}

// setWhy sets what a reader must see first: a mail shows little more than the title and the first line.
func (d *TemplateData) setWhy() {
	var why []string
	if d.Class != "" {
		why = append(why, markdown.Text(string(d.Class)))
	}
	if len(d.Runs) > 0 {
		d.Result = d.Runs[0].Result
	}
	if d.Result != "" {
		why = append(why, markdown.Text(string(d.Result)))
	}
	if d.LastLine != "" {
		why = append(why, markdown.CodeSpan(string(d.LastLine)))
	}
	d.Why = strings.Join(why, ", ")
}

// classOf returns the class of an incident, "" if it says nothing.
func classOf(i incident.Incident) string {
	if i.Class == class.Unknown {
		return ""
	}
	return i.Class
}

func (c *Composer) name(s string) Untrusted     { return Untrusted(c.redact.Line(s, maxName)) }
func (c *Composer) sentence(s string) Untrusted { return Untrusted(c.redact.Line(s, maxSentence)) }

func repoOf(in IssueData) tracker.Repo {
	if in.Repo != (tracker.Repo{}) {
		return in.Repo
	}
	return in.Incident.Target
}

func agentOf(i incident.Incident) string {
	if i.Agent == "" {
		return "project-meta"
	}
	return i.Agent
}

func mark(outcome string) string {
	switch outcome {
	case "success":
		return "✔"
	case "failure":
		return "✘"
	}
	return markdown.Dash
}

// history returns the marks of runs, oldest first.
func history(runs []TemplateRun) string {
	var marks []string
	for _, r := range slices.Backward(runs) {
		marks = append(marks, r.Mark)
	}
	return strings.Join(marks, " ")
}

// result returns how a run ended. A failure with exit code 0 was reported without a code.
func result(r incident.Run) string {
	end := ""
	switch {
	case r.Signal != "":
		end = r.Signal
	case r.ExitCode != 0 || r.Outcome == "success":
		end = "exit " + strconv.Itoa(r.ExitCode)
	}
	if end != "" && r.Detail != "" {
		end += ", "
	}
	return end + r.Detail
}

func took(r incident.Run) time.Duration {
	if r.Started.IsZero() || r.Finished.IsZero() {
		return 0
	}
	return max(r.Finished.Sub(r.Started), 0)
}
