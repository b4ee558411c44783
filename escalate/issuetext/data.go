package issuetext

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// IssueData is all that a new issue's body is made from.
type IssueData struct {
	Incident     incident.Incident
	Installation string       // of the marker
	Repo         tracker.Repo // where the issue goes; issues of the same repository are linked by number alone

	PauseFlag string // the flag's path
	FlagError string // not empty: the flag could not be written, and this is why

	Mentions []string          // people and teams whom the body addresses on purpose
	Missing  []string          // optional parts that could not be had, e.g. "assignee nobody: Gitea does not know this user"
	Replaces *tracker.IssueRef // the earlier issue of the incident, which was deleted or lost its marker

	ResumeInGitea bool // an operator's comment "/adf resume" resumes
	CloseResumes  bool // an operator's closing resumes; otherwise the bot opens the issue again
}

// The most bytes of names and of sentences from outside that a body shows.
const (
	maxName     = 200
	maxSentence = 600
	maxRuns     = 10
	maxEarlier  = 10
)

// Untrusted is text from outside, masked and cleaned. A template that prints it as it is gets it through [markdown.Text], so none
// of it becomes markup; the functions code, fence and text take it as it was.
type Untrusted string

// String is [markdown.Text].
func (u Untrusted) String() string { return markdown.Text(string(u)) }

// TemplateData is what a template for the body sees. Everything in it is masked and cut already.
type TemplateData struct {
	Project Untrusted
	Agent   Untrusted
	Name    Untrusted // of the incident, e.g. odilo#3
	Seq     int       // its number
	ID      Untrusted // its identity, 32 hexadecimal digits

	Failures  int // in a row, at the trip; 0 where it is not known
	Threshold int // 0 where it is not known
	Opened    time.Time
	Host      Untrusted // of the run that tripped the breaker
	Instance  Untrusted // what people call this bot

	PauseFlag     Untrusted // path of the pause flag
	Remove        Untrusted // the shell command that removes it
	NotPaused     bool      // the flag could not be written
	FlagError     Untrusted // why
	ResumeInGitea bool      // an operator's comment "/adf resume" resumes
	CloseResumes  bool      // an operator's closing resumes

	Runs    []TemplateRun // the newest first
	History string        // the same runs as marks, the oldest first
	Output  Untrusted     // of the last failed run, several lines
	Earlier []TemplateIncident
	More    int // earlier incidents that Earlier leaves out

	Mentions string // "@one @two", or empty
	Missing  []Untrusted
	Replaces string    // link to the issue that this one replaces, or empty
	Rebuilt  bool      // the incident was put together again after the state was lost
	Problem  Untrusted // why the operator's template was not used, or empty
}

// TemplateRun is a run in a [TemplateData].
type TemplateRun struct {
	Mark     string // ✔, ✘, or – for a run that does not count
	Outcome  Untrusted
	Result   Untrusted // e.g. "exit 1", "SIGKILL", "exit 1, timed out after 1h0m0s"; empty where it is not known
	Started  time.Time
	Finished time.Time
	Took     time.Duration // 0 where it is not known
	Host     Untrusted
	RunID    Untrusted
}

// TemplateIncident is an earlier incident in a [TemplateData].
type TemplateIncident struct {
	Name   Untrusted
	Opened time.Time
	Ended  time.Time
	Issue  string // a link, or a dash
}

// data masks, cleans and cuts everything that a template sees.
func (c *Composer) data(l IssueData) TemplateData {
	i := l.Incident
	d := TemplateData{
		Project: c.name(i.Project), Agent: c.name(agentOf(i)), Name: c.name(i.Name()), Seq: i.Seq, ID: c.name(i.ID),
		Failures: i.Failures, Threshold: i.Threshold, Opened: i.Opened, Host: c.name(i.Host), Instance: c.name(i.Instance),
		PauseFlag: c.sentence(l.PauseFlag), Remove: c.sentence("rm " + shellPath(l.PauseFlag)),
		NotPaused: l.FlagError != "", FlagError: c.sentence(l.FlagError),
		ResumeInGitea: l.ResumeInGitea, CloseResumes: l.CloseResumes,
		Mentions: mentions(l.Mentions), Rebuilt: i.Rebuilt,
	}
	for _, m := range l.Missing[:min(len(l.Missing), maxRuns)] {
		d.Missing = append(d.Missing, c.sentence(m))
	}
	if l.Replaces != nil {
		d.Replaces = c.link(*l.Replaces, repoOf(l))
	}
	for _, r := range i.Evidence.Runs[:min(len(i.Evidence.Runs), maxRuns)] {
		d.Runs = append(d.Runs, TemplateRun{
			Mark: mark(r.Outcome), Outcome: c.name(r.Outcome), Result: c.sentence(result(r)), Host: c.name(r.Host),
			RunID: c.name(r.RunID), Started: r.Started, Finished: r.Finished, Took: took(r),
		})
	}
	d.History = history(d.Runs)
	earlier := slices.Clone(i.Evidence.Earlier)
	slices.SortStableFunc(earlier, func(a, b incident.EarlierIncident) int { return b.Seq - a.Seq })
	d.More = max(len(earlier)-maxEarlier, 0)
	for _, e := range earlier[:len(earlier)-d.More] {
		name := incident.Incident{Project: i.Project, Seq: e.Seq}.Name()
		d.Earlier = append(d.Earlier, TemplateIncident{c.name(name), e.Opened, e.Ended, c.link(e.Issue, repoOf(l))})
	}
	d.Output = Untrusted(c.redact.Shorten(i.Evidence.Output, MaxBody))
	return d
}

func (c *Composer) name(s string) Untrusted     { return Untrusted(c.redact.Line(s, maxName)) }
func (c *Composer) sentence(s string) Untrusted { return Untrusted(c.redact.Line(s, maxSentence)) }

// link is issueLink, masked.
func (c *Composer) link(ref tracker.IssueRef, from tracker.Repo) string {
	for _, s := range []*string{&ref.Repo.Server, &ref.Repo.Owner, &ref.Repo.Name, &ref.URL} {
		*s = c.redact.Line(*s, maxSentence)
	}
	return issueLink(ref, from)
}

func repoOf(l IssueData) tracker.Repo {
	if l.Repo != (tracker.Repo{}) {
		return l.Repo
	}
	return l.Incident.Target
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

// history gives the marks of runs, the oldest first.
func history(runs []TemplateRun) string {
	var marks []string
	for _, r := range slices.Backward(runs) {
		marks = append(marks, r.Mark)
	}
	return strings.Join(marks, " ")
}

// result says how a run ended. A failure with exit code 0 was reported without a code.
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

// mentions writes logins and teams with an @ each. What can't be one is left out.
func mentions(names []string) string {
	var out []string
	for _, n := range names {
		n = strings.TrimPrefix(strings.TrimSpace(n), "@")
		owner, team, isTeam := strings.Cut(n, "/")
		if pause.ValidID(owner) && (!isTeam || pause.ValidID(team)) && len(out) < 50 {
			out = append(out, "@"+n)
		}
	}
	return strings.Join(out, " ")
}

// stamp is a time to the second, e.g. 2026-11-23 07:04:05.
func stamp(t time.Time) string {
	if t.IsZero() {
		return markdown.Dash
	}
	return t.UTC().Format(time.DateTime)
}

// minute is a time for sentences, e.g. "2026-11-23 07:04 UTC".
func minute(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04") + " UTC"
}

// durationText is a duration as people say it: 0.4s, 42s, 12m 5s, 3h 20m, 2d 4h.
func durationText(d time.Duration) string {
	two := func(a int64, au string, b int64, bu string) string {
		if b == 0 {
			return strconv.FormatInt(a, 10) + au
		}
		return strconv.FormatInt(a, 10) + au + " " + strconv.FormatInt(b, 10) + bu
	}
	switch s := int64(d.Round(time.Second) / time.Second); {
	case d <= 0:
		return markdown.Dash
	case d < 10*time.Second:
		return strconv.FormatFloat(max(d.Seconds(), 0.1), 'f', 1, 64) + "s"
	case s < 60:
		return two(s, "s", 0, "")
	case s < 3600:
		return two(s/60, "m", s%60, "s")
	case s < 86400:
		return two(s/3600, "h", s%3600/60, "m")
	default:
		return two(s/86400, "d", s%86400/3600, "h")
	}
}

// shellPath quotes a path for a shell where that is needed.
func shellPath(path string) string {
	plain := path != "" && path[0] != '-'
	for i := 0; plain && i < len(path); i++ {
		plain = redact.IsKeyByte(path[i]) || path[i] == '/' || path[i] == '+' || path[i] == ':' || path[i] == '@'
	}
	if plain {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
